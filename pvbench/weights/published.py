"""Weights that others publish: where each file lies, the sha256 that it must have, its licence, and how to get it.

pvbench ships none of them. A file is taken from the weights folder (`PVBENCH_WEIGHTS`, by default
`~/.cache/pvbench/weights`), from the cache of its publisher's own program, or from a path of the user's; a missing one
is fetched once from its publisher and checked.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
import tempfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from pvbench.digest import file_digest
from pvbench.errors import WeightsError, did_you_mean
from pvbench.weights.caches import cached_folder, cached_others
from pvbench.weights.digests import digest_of, weights_root

OFFLINE_VARIABLE = "PVBENCH_OFFLINE"
_SECONDS = 30
_INSIGHTFACE = "https://github.com/deepinsight/insightface/releases/download/model-zoo"
_OPENAI = "https://openaipublic.azureedge.net/clip/models"


@dataclass(frozen=True)
class Published:
    """Weights that somebody publishes.

    Attributes:
        part: what they are for: face, flow, video, clip, dino, hps, curricular, inception, an aesthetic score or a
            method's segmenter.
        files: path below the weights folder -> sha256 in hex; empty where it is not known, so that the file is neither
            fetched nor checked, only named by its digest in signatures.
        url: the file itself, or a zip archive that holds the files under their last names.
        licence: what the publisher allows.
        megabytes: what has to be fetched, about: the archive, or as many bytes as the weights take.
    """

    name: str
    part: str
    files: Mapping[str, str]
    url: str
    licence: str
    megabytes: int
    zipped: bool = False

    @property
    def path(self) -> str:
        """Of the file, or of the folder of a pack, below the weights folder."""
        first = next(iter(self.files))
        return str(Path(first).parent) if len(self.files) > 1 else first


_DET_10G = "5838f7fe053675b1c7a08b633df49e7af5495cee0493c7dcf6697200b85b5b91"
_GLINTR100 = "4ab1d6435d639628a6f3e5008dd4f929edf4c4124b1a7169e1048f9fef534cdf"
_W600K_R50 = "4c06341c33c2ca1f86781dab0e829f88ad5b64be9fba56e56bc9ebdefc619e43"
_RESEARCH = "InsightFace's models: non-commercial research only"
_KINETICS = "Apache-2.0 (kinetics-i3d), trained on Kinetics-400"

PUBLISHED: Mapping[str, Published] = {
    entry.name: entry
    for entry in (
        Published(
            "antelopev2",
            "face",
            {
                "insightface/antelopev2/scrfd_10g_bnkps.onnx": _DET_10G,
                "insightface/antelopev2/glintr100.onnx": _GLINTR100,
            },
            f"{_INSIGHTFACE}/antelopev2.zip",
            _RESEARCH,
            361,
            zipped=True,
        ),
        Published(
            "buffalo_l",
            "face",
            {
                "insightface/buffalo_l/det_10g.onnx": _DET_10G,
                "insightface/buffalo_l/w600k_r50.onnx": _W600K_R50,
            },
            f"{_INSIGHTFACE}/buffalo_l.zip",
            _RESEARCH,
            289,
            zipped=True,
        ),
        Published(
            "curricularface",
            "curricular",
            {"curricularface/glint360k_curricular_face_r101_backbone.bin": ""},
            "https://huggingface.co/BestWishYsh/ConsisID-preview (face_encoder)",
            "published with ConsisID (Apache-2.0); trained on Glint360K, which is for research only",
            261,
        ),
        Published(
            "inception-v3-google",
            "inception",
            {"inception/inception_v3_google-0cc3c7bd.pth": ""},
            "https://download.pytorch.org/models/inception_v3_google-0cc3c7bd.pth",
            "BSD-3-Clause (torchvision); trained on ImageNet, which is for research only",
            109,
        ),
        Published(
            "raft-things",
            "flow",
            {"raft/raft-things.pth": "fcfa4125d6418f4de95d84aec20a3c5f4e205101715a79f193243c186ac9a7e1"},
            "https://dl.dropboxusercontent.com/s/4j4z58wuv8o0mfz/models.zip",
            "BSD-3-Clause (princeton-vl/RAFT); the weights carry no licence of their own",
            82,
            zipped=True,
        ),
        Published(
            "raft-small",
            "flow",
            {"raft/raft-small.pth": "c7d41b9cc88442bb8aa911dbb33086dac55a226394b142937ff22d5578717332"},
            "https://dl.dropboxusercontent.com/s/4j4z58wuv8o0mfz/models.zip",
            "BSD-3-Clause (princeton-vl/RAFT); the weights carry no licence of their own",
            82,
            zipped=True,
        ),
        Published(
            "i3d-torchscript",
            "video",
            {"i3d/i3d_torchscript.pt": "bec6519f66ea534e953026b4ae2c65553c17bf105611c746d904657e5860a5e2"},
            "https://www.dropbox.com/s/ge9e5ujwgetktms/i3d_torchscript.pt?dl=1",
            _KINETICS,
            51,
        ),
        Published(
            "ViT-B-32",
            "clip",
            {"clip/ViT-B-32.pt": "40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af"},
            f"{_OPENAI}/40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af/ViT-B-32.pt",
            "MIT (openai/CLIP)",
            354,
        ),
        Published(
            "ViT-L-14",
            "clip",
            {"clip/ViT-L-14.pt": "b8cca3fd41ae0c99ba7e8951adf17d267cdb84cd88be6f7c2e0eca1737a03836"},
            f"{_OPENAI}/b8cca3fd41ae0c99ba7e8951adf17d267cdb84cd88be6f7c2e0eca1737a03836/ViT-L-14.pt",
            "MIT (openai/CLIP)",
            933,
        ),
        Published(
            "dino-vitb16",
            "dino",
            {"dino/dino_vitbase16_pretrain.pth": ""},
            "https://dl.fbaipublicfiles.com/dino/dino_vitbase16_pretrain/dino_vitbase16_pretrain.pth",
            "Apache-2.0 (facebookresearch/dino)",
            343,
        ),
        Published(
            "HPS_v2.1",
            "hps",
            {"hps/HPS_v2.1_compressed.pt": ""},
            "https://huggingface.co/xswu/HPSv2/resolve/main/HPS_v2.1_compressed.pt",
            "Apache-2.0 (tgxs002/HPSv2)",
            1970,
        ),
        Published(
            "HPS_v2",
            "hps",
            {"hps/HPS_v2_compressed.pt": ""},
            "https://huggingface.co/xswu/HPSv2/resolve/main/HPS_v2_compressed.pt",
            "Apache-2.0 (tgxs002/HPSv2)",
            1970,
        ),
        Published(
            "laion-linear",
            "aesthetic",
            {"aesthetic/sa_0_4_vit_l_14_linear.pth": ""},
            "https://github.com/LAION-AI/aesthetic-predictor/raw/main/sa_0_4_vit_l_14_linear.pth",
            "MIT (LAION-AI/aesthetic-predictor)",
            1,
        ),
        Published(
            "laion-improved",
            "opens2v_aesthetic",
            {"aesthetic/aesthetic-model.pth": ""},
            "https://huggingface.co/BestWishYsh/OpenS2V-Weight/resolve/main/aesthetic-model.pth",
            "Apache-2.0 (christophschuhmann/improved-aesthetic-predictor)",
            4,
        ),
        Published(
            "deeplabv3-resnet50",
            "segmenter",
            {"segmenter/deeplabv3_resnet50_coco-cd0a2569.pth": ""},
            "https://download.pytorch.org/models/deeplabv3_resnet50_coco-cd0a2569.pth",
            "BSD-3-Clause (torchvision); trained on COCO",
            168,
        ),
    )
}
"""By the names that a profile uses."""


OPTIONS: Mapping[str, str] = {
    "face": "face",
    "clip": "clip",
    "flow": "raft",
    "video": "i3d",
    "dino": "dino",
    "hps": "hps",
    "protocol_face": "protocol_face",
    "curricular": "curricularface",
    "inception": "inception",
    "protocol_clip": "protocol_clip",
    "aesthetic_clip": "aesthetic_clip",
    "aesthetic": "aesthetic",
    "opens2v_aesthetic": "opens2v_aesthetic",
}
"""What --weights calls each part."""

_SAME_AS: Mapping[str, str] = {"protocol_face": "face", "protocol_clip": "clip", "aesthetic_clip": "clip"}
"""Parts that take the weights of another."""


def published(name: str, part: str) -> Published:
    """The weights of that name, for one part of the evaluators, by which messages call them.

    Raises:
        WeightsError: there are none.
    """
    known = [entry.name for entry in PUBLISHED.values() if entry.part == _SAME_AS.get(part, part)]
    if name not in known:
        raise WeightsError(
            f"no published weights {name!r} for {part}{did_you_mean(name, known)}; known: "
            f"{', '.join(known)}; give a file of your own with --weights {OPTIONS[part]}=PATH"
        )
    return dataclasses.replace(PUBLISHED[name], part=part)


def fetchable(name: str, part: str) -> bool:
    """Whether nothing but files that can be fetched is missing: those whose sha256 is known."""
    entry = published(name, part)
    return bool(missing_files(entry)) and all(entry.files.values()) and cached_folder(entry.files) is None


def missing_files(entry: Published, root: Path | None = None) -> tuple[Path, ...]:
    """Files of the weights that are not in the weights folder."""
    root = root or weights_root()
    return tuple(root / file for file in entry.files if not (root / file).is_file())


def located(entry: Published, root: Path | None = None, option: str = "") -> Path:
    """The file, or the folder of a pack, after every file was checked: in the weights folder, or else in a cache.

    Args:
        option: what `--weights` calls it where it serves; by default what it calls an evaluator's file of this part.

    Raises:
        WeightsError: a file is missing, and the message says where it comes from and where it goes, or has another
            sha256 than its publisher's.
    """
    root, option = root or weights_root(), option or OPTIONS[entry.part]
    missing = missing_files(entry, root)
    if missing:
        cache = cached_folder(entry.files)
        if cache is not None:
            return cache if len(entry.files) > 1 else cache / Path(entry.path).name
        raise WeightsError(_missing(entry, missing, option))
    for file, wanted in entry.files.items():
        found = digest_of(root / file)
        if wanted and found != wanted:
            raise WeightsError(
                f"{root / file} has sha256 {found[:16]}..., its publisher's has {wanted[:16]}...; the "
                f"file is damaged or another one: delete it and fetch it again from {entry.url}, or "
                f"name it as your own with --weights {option}=PATH"
            )
    return root / entry.path


def _missing(entry: Published, missing: tuple[Path, ...], option: str) -> str:
    """What is said of weights that lie neither in the weights folder nor in a cache."""
    nested = [path for path in missing if (path.parent / path.parent.name / path.name).is_file()]
    if nested:
        return (
            f"{nested[0].parent} holds another folder {nested[0].parent.name!r} with the models in "
            f"it, as the publisher's zip does: move the .onnx files up into {nested[0].parent}"
        )
    others = cached_others(entry.files)
    return (
        f"{entry.name} ({entry.part}) is not there: {' and '.join(map(str, missing))} "
        f"{'are' if len(missing) > 1 else 'is'} missing. It is published at {entry.url} ({_size_of(entry)}"
        + (f", a zip archive that holds {'them' if len(missing) > 1 else 'it'})" if entry.zipped else ")")
        + f"; put {'them' if len(missing) > 1 else 'it'} there, or give your own with --weights {option}=PATH. "
        + entry.licence
        + ("" if all(entry.files.values()) else ". It is not fetched: pvbench does not know its sha256")
        + (f". Not used: {', '.join(map(str, others))}, whose sha256 is not the publisher's" if others else "")
    )


def _size_of(entry: Published) -> str:
    """`354 MB`, or `1.97 GB`."""
    return f"{entry.megabytes} MB" if entry.megabytes < 1000 else f"{entry.megabytes / 1000:g} GB"


def fetch(entry: Published, root: Path | None = None) -> Path:
    """`located`, after files that are nowhere were fetched from their publisher.

    Raises:
        WeightsError: they cannot be fetched, or what came is something else.
    """
    root = root or weights_root()
    missing = missing_files(entry, root)
    kept = not missing or cached_folder(entry.files) is not None
    if kept or os.environ.get(OFFLINE_VARIABLE) or not all(entry.files.values()):
        return located(entry, root)
    try:
        with tempfile.TemporaryFile() as archive:
            request = urllib.request.Request(entry.url, headers={"User-Agent": "pvbench"})
            with urllib.request.urlopen(request, timeout=_SECONDS) as answer:
                shutil.copyfileobj(answer, archive)
            archive.seek(0)
            for path in missing:
                _take(archive, entry, path, root)
    except (OSError, urllib.error.URLError, zipfile.BadZipFile) as error:
        try:
            return located(entry, root)
        except WeightsError as why:
            raise WeightsError(f"{why} (fetching it failed: {error})") from error
    return located(entry, root)


def _take(archive: IO[bytes], entry: Published, path: Path, root: Path) -> None:
    """One file out of what was fetched, put into its place if its sha256 is right."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        archive.seek(0)
        with unfinished.open("wb") as out:
            if entry.zipped:
                with zipfile.ZipFile(archive) as packed:
                    member = next((name for name in packed.namelist() if name.split("/")[-1] == path.name), None)
                    if member is None:
                        raise WeightsError(f"{entry.url} holds no {path.name}; fetch it by hand into {path}")
                    with packed.open(member) as stream:
                        shutil.copyfileobj(stream, out)
            else:
                shutil.copyfileobj(archive, out)
        wanted = entry.files[path.relative_to(root).as_posix()]
        found = file_digest(unfinished)
        if found != wanted:
            raise WeightsError(
                f"{entry.url} gave a {path.name} with sha256 {found[:16]}...; expected "
                f"{wanted[:16]}...; the publisher or something between changed it: not kept"
            )
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
