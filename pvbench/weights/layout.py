"""Checkpoints as their publishers lay them out: where one lies on this machine, and which of its files are read.

A checkpoint is a folder with one sub-folder a model (diffusers' layout), or a single file. A model's tensors lie in one
file or in shards with an index, in full or half precision. Nothing is loaded here, and nothing is fetched.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from pvbench.digest import digest
from pvbench.errors import WeightsError
from pvbench.weights.digests import FOLDER_VARIABLE, digest_of, weights_root

FOR_SINGLE_FILES = (".safetensors", ".ckpt", ".pt", ".pth", ".bin")
_STEMS = ("diffusion_pytorch_model", "model", "pytorch_model")


@dataclass(frozen=True)
class Repository:
    """A checkpoint that somebody publishes on huggingface.co.

    Attributes:
        name: of the repository, such as "guoyww/animatediff-motion-adapter-v1-5-3".
        gigabytes: of the files that are read, about.
        licence: what its publisher allows.
        parts: gigabytes of the tensors below a sub-folder, "" for those of the folder itself, as far as they are known.
    """

    name: str
    gigabytes: float
    licence: str
    parts: Mapping[str, float] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """Its page."""
        return f"https://huggingface.co/{self.name}"


REPOSITORIES: Mapping[str, Repository] = {
    one.name: one
    for one in (
        Repository(
            "stable-diffusion-v1-5/stable-diffusion-v1-5",
            4.3,
            "CreativeML OpenRAIL-M",
            {"unet": 3.44, "text_encoder": 0.49, "vae": 0.33},
        ),
        Repository("SG161222/Realistic_Vision_V5.1_noVAE", 4.3, "CreativeML OpenRAIL-M, and its author's terms"),
        Repository("guoyww/animatediff-motion-adapter-v1-5-3", 1.7, "Apache-2.0", {"": 1.67}),
        Repository("guoyww/animatediff-motion-adapter-v1-5-2", 1.8, "Apache-2.0", {"": 1.81}),
        Repository("guoyww/animatediff-motion-lora-v1-5-3", 0.1, "Apache-2.0"),
        Repository(
            "hunyuanvideo-community/HunyuanVideo",
            41.9,
            "Tencent Hunyuan Community: not in the EU, the UK and South Korea; outputs must not improve other models",
            {"transformer": 25.65, "text_encoder": 15.0, "text_encoder_2": 0.25, "vae": 0.986},
        ),
        Repository("Wan-AI/Wan2.1-T2V-1.3B-Diffusers", 29.0, "Apache-2.0"),
        Repository("Wan-AI/Wan2.1-T2V-14B-Diffusers", 80.0, "Apache-2.0"),
        Repository("Wan-AI/Wan2.1-VACE-1.3B-diffusers", 30.0, "Apache-2.0"),
        Repository("zai-org/CogVideoX-2b", 13.8, "Apache-2.0"),
        Repository("zai-org/CogVideoX-5b", 21.5, "CogVideoX: free for research; commercial use needs registration"),
        Repository(
            "BestWishYsh/ConsisID-preview",
            22.5,
            "Apache-2.0, on CogVideoX-5B's licence; its face networks of InsightFace: non-commercial research",
            {"transformer": 12.3, "text_encoder": 9.5},
        ),
    )
}
"""What pvbench's profiles name; any other folder of the same layout will do."""


def find_checkpoint(name: str, where: str) -> Path:
    """The folder or file of a checkpoint.

    Args:
        name: a path, or the name of a repository, whose copy is looked for in the weights folder and in the cache of
            huggingface.co's own programs.
        where: what asks for it, such as a profile and its line.

    Raises:
        WeightsError: it is nowhere; the message says where it was looked for and where it is published.
    """
    places = [weights_root() / name, Path(name).expanduser()]
    for place in places:
        if place.exists():
            return place
    cached = _cached(name)
    if cached is not None:
        return cached
    raise WeightsError(
        f"{where}: there is no {name!r}: neither {' nor '.join(map(str, dict.fromkeys(places)))} is there"
        f"{_published(name)}"
    )


def _published(name: str) -> str:
    entry = REPOSITORIES.get(name)
    if entry is None:
        return (
            f"; give the path of a folder or file, or the name of a folder below {weights_root()} ({FOLDER_VARIABLE})"
        )
    return (
        f", nor has huggingface.co's cache a copy. It is published at {entry.url} ({entry.gigabytes:g} GB; "
        f"{entry.licence}): hf download {name} --local-dir {weights_root() / name}"
    )


def _cached(name: str) -> Path | None:
    """The copy that huggingface.co's own programs keep; None where there is none."""
    if name.count("/") != 1 or name.startswith((".", "/", "~")):
        return None
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError):
        return None


@dataclass(frozen=True)
class ModelFiles:
    """The files of one model that are read.

    Attributes:
        folder: where they lie.
        weights: files of tensors; several where they are in shards.
        others: configurations and the index of shards.
        variant: "fp16" where only the files in half precision are there.
        safe: the tensors are safetensors; otherwise a pickle, of which tensors alone are read.
    """

    folder: Path
    weights: tuple[Path, ...]
    others: tuple[Path, ...] = ()
    variant: str | None = None
    safe: bool = True

    @property
    def digest(self) -> str:
        """First 16 hex digits of what all of them digest to."""
        return files_digest([*self.others, *self.weights], self.folder)


def files_digest(files: Iterable[Path], folder: Path) -> str:
    """First 16 hex digits of a digest of files, by their names below a folder."""
    return digest({file.relative_to(folder).as_posix(): digest_of(file) for file in files})[:16]


def part_digests(folder: Path, models: Iterable[str], others: Iterable[str]) -> dict[str, str]:
    """First 16 hex digits of what the files of each part of a pipeline's folder digest to.

    Args:
        models: names of the folders that hold networks.
        others: names of those that hold tokenizers and schedulers.

    Raises:
        WeightsError: a part is missing, or a file of it.
    """
    found = {part: model_files(folder / part).digest for part in models}
    for part in others:
        files = sorted(path for path in (folder / part).glob("*") if path.is_file())
        if not files:
            raise WeightsError(f"{folder / part} holds nothing; fetch the whole checkpoint again")
        found[part] = files_digest(files, folder / part)
    return found


def model_files(folder: Path) -> ModelFiles:
    """The files of the model in a folder: safetensors before a pickle, full precision before half.

    Raises:
        WeightsError: there is no configuration, no file of tensors, or a shard is missing.
    """
    config = folder / "config.json"
    if not config.is_file():
        raise WeightsError(
            f"{config} is not there; expected a model in diffusers' layout: fetch the whole checkpoint, or name another"
        )
    found = tensors_of(folder)
    if found is not None:
        variant = "fp16" if ".fp16." in found.name else None
        if found.suffix == ".json":
            return ModelFiles(folder, _shards(found), (config, found), variant)
        return ModelFiles(folder, (found,), (config,), variant, safe=found.suffix == ".safetensors")
    raise WeightsError(
        f"{folder} holds no tensors; expected diffusion_pytorch_model.safetensors or model.safetensors, whole, in "
        f"shards or as fp16: fetch the checkpoint again"
    )


def tensors_of(folder: Path) -> Path | None:
    """What says where a model's tensors lie: the index of its shards, or their one file; None where neither is there.

    Safetensors come before a pickle, full precision before half, shards before one file.
    """
    safe = [
        folder / name
        for dotted in ("", ".fp16")
        for stem in _STEMS
        for name in (f"{stem}.safetensors.index{dotted}.json", f"{stem}{dotted}.safetensors")
    ]
    return next((path for path in (*safe, *(folder / f"{stem}.bin" for stem in _STEMS)) if path.is_file()), None)


def shard_names(index: Path) -> tuple[str, ...]:
    """Names of the shards that an index lists, in order.

    Raises:
        WeightsError: it lists none, or something else than files beside it.
    """
    listed = read_json(index).get("weight_map")
    if not isinstance(listed, dict) or not listed:
        raise WeightsError(f"{index} lists no shards (weight_map); fetch it again")
    names = sorted(set(map(str, listed.values())))
    for name in names:
        if name != PurePosixPath(name).name:
            raise WeightsError(f"{index} lists {name!r}, which is not a file beside it; fetch it again")
    return tuple(names)


def _shards(index: Path) -> tuple[Path, ...]:
    names = shard_names(index)
    missing = [str(index.parent / name) for name in names if not (index.parent / name).is_file()]
    if missing:
        raise WeightsError(
            f"{' and '.join(missing)} {'are' if len(missing) > 1 else 'is'} missing, {len(missing)} of {len(names)} "
            f"shards that {index.name} lists; fetch the checkpoint again"
        )
    return tuple(index.parent / name for name in names)


def read_json(path: Path) -> dict[str, Any]:
    """The table in a JSON file.

    Raises:
        WeightsError: it is missing or holds no table.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path} cannot be read as JSON ({error}); fetch the checkpoint again") from error
    if not isinstance(found, dict):
        raise WeightsError(f"{path} holds a {type(found).__name__}, expected a table; fetch the checkpoint again")
    return found
