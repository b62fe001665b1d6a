"""AnimateDiff out of published checkpoints: Stable Diffusion 1.5, a motion adapter and, if wanted, a domain LoRA."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pvbench.backbone import IMAGE_PROMPT, IMAGES, LATENTS, LORA, TOKENS, STYLES, BackboneLoader, TextReader
from pvbench.backbones.memory import animatediff_gib, animatediff_host_gib
from pvbench.backbones.settings import checkpointing_line, choice_line, only_lines, text_line, where, words_line
from pvbench.errors import MethodError, ProfileError, WeightsError
from pvbench.machine.devices import torch_device
from pvbench.profile import Profile
from pvbench.weights.digests import digest_of
from pvbench.weights.layout import (
    FOR_SINGLE_FILES,
    files_digest,
    find_checkpoint,
    model_files,
    read_json,
)
from pvbench.weights.presence import CLIP_WORDS, CONFIG, Parts, Wanted, find_whole

if TYPE_CHECKING:
    import torch

    from pvbench.backbones.animatediff import AnimateDiffBackbone

_VERSION = 1
_WORDS = 77
"""Tokens that CLIP reads where its configuration does not say another number."""
_BASE = "stable-diffusion-v1-5/stable-diffusion-v1-5"
_LINES = ("kind", "base", "layout", "motion", "domain", "precision", "checkpointing", "rare_words")
_SCHEDULE: Mapping[str, Any] = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "linear",
    "steps_offset": 1,
    "clip_sample": False,
}
"""AnimateDiff's own noise schedule. The one in Stable Diffusion's folder has other betas and another last step."""


_CHECKPOINTS = {"base": _BASE, "motion": "guoyww/animatediff-motion-adapter-v1-5-3", "domain": ""}
"""Lines of `[backbone]` that name checkpoints, and what each is where the profile does not say; no domain LoRA."""
_NETWORKS = ("unet", "text_encoder", "vae")
_PARTS: Mapping[str, Parts] = {
    "base": Parts(_NETWORKS, {"tokenizer": CLIP_WORDS}),
    "layout": Parts(others={**dict.fromkeys(_NETWORKS, CONFIG), "tokenizer": CLIP_WORDS}),
    "motion": Parts(("",)),
    "domain": Parts(),
}
"""By line, what a folder has to hold."""


@dataclass(frozen=True)
class _Places:
    """Where the files are: `base` is a folder, or a file whose configuration and tokenizer are those of `layout`."""

    base: Path
    layout: Path
    motion: Path
    domain: Path | None


class AnimateDiffLoader(BackboneLoader):
    """Loads AnimateDiff from paths, fetching nothing.

    Lines of a profile's `[backbone]` besides `kind`; a place is a path, or the name of a repository on huggingface.co
    that lies in the weights folder or in the cache of its own programs:
        base: Stable Diffusion 1.5, or a model tuned from it: a folder in diffusers' layout or a single file.
        layout: for a single file, a folder in that layout, of which configurations and tokenizer are read.
        motion: the motion adapter, a folder, or one of AnimateDiff's own files (`mm_sd_v15_v2.ckpt`).
        domain: a LoRA that is fused into the text-to-video network; none by default.
        precision: float32, or bfloat16 for what the networks compute.
        checkpointing: true computes activations again in backward passes: less memory, a third more time; "host" also
            keeps the blocks' inputs in the host's memory.
        rare_words: words that no caption of the training holds, if they are known.
    """

    name: ClassVar[str] = "animatediff"
    summary: ClassVar[str] = "AnimateDiff on Stable Diffusion 1.5, from published checkpoints"
    offers: ClassVar[frozenset[str]] = frozenset({LATENTS, IMAGES, LORA, TOKENS, IMAGE_PROMPT, STYLES})
    weights: ClassVar[tuple[str, ...]] = ("base", "layout", "motion", "domain")

    @classmethod
    def signature(cls, profile: Profile) -> Mapping[str, Any]:
        """Precision, schedule and digests of the files.

        Raises:
            ProfileError: frames or sides that the family cannot do.
        """
        only_lines(profile, _LINES)
        places = _places(profile)
        _check_size(profile, places)
        words_line(profile, "rare_words")
        checkpointing_line(profile)
        return {
            "backbone": cls.name,
            "version": _VERSION,
            "precision": _precision(profile),
            "schedule": dict(_SCHEDULE),
            "weights": _digests(places),
        }

    @classmethod
    def located(cls, profile: Profile) -> str:
        """Where the files are."""
        places = _places(profile)
        _digests(places)
        named = [places.base, places.motion, *([places.domain] if places.domain else [])]
        return ", ".join(map(str, named))

    @classmethod
    def licence(cls, profile: Profile) -> str:
        """Of the weights that the profile names."""
        return "Stable Diffusion 1.5: CreativeML OpenRAIL-M, and the terms of whoever tuned the base model further"

    @classmethod
    def memory_gib(cls, profile: Profile, *, gradient: bool) -> float:
        """By the profile's size."""
        checkpointing = checkpointing_line(profile)
        return animatediff_gib(profile.sampling, gradient=gradient, checkpointing=checkpointing)

    @classmethod
    def host_gib(cls, profile: Profile) -> float:
        """By the profile's size."""
        return animatediff_host_gib(profile.sampling) if checkpointing_line(profile) == "host" else 0.0

    @classmethod
    def text_reader(cls, profile: Profile) -> TextReader:
        """By the tokenizer in the folder."""
        from pvbench.backbones.tokenizers import load_clip_tokenizer, reader_of, vocabulary_of

        layout = _places(profile).layout
        length = int(read_json(layout / "text_encoder" / "config.json").get("max_position_embeddings", _WORDS))
        tokenizer = load_clip_tokenizer(layout / "tokenizer", vocabulary_of(layout / "text_encoder"), length)
        return reader_of("CLIP of Stable Diffusion", tokenizer, tokenizer.model_max_length)

    @classmethod
    def load(cls, profile: Profile, device: str) -> AnimateDiffBackbone:
        """The backbone on a device."""
        return _load(_places(profile), profile, torch_device(device), cls.signature(profile))


def _places(profile: Profile) -> _Places:
    names = {line: text_line(profile, line, default) for line, default in _CHECKPOINTS.items()}
    if _is_file(names["base"]):
        names["layout"] = text_line(profile, "layout", _BASE)
    usual = {**_CHECKPOINTS, "layout": _BASE}
    found = find_whole(
        [
            Wanted(where(profile, line), name, _PARTS[line], usual[line], file=line != "layout")
            for line, name in names.items()
            if name
        ]
    )
    base = found[where(profile, "base")]
    if base.is_file() and base.suffix not in FOR_SINGLE_FILES:
        raise WeightsError(
            f"{where(profile, 'base')}: {base} is not a checkpoint; expected a folder in diffusers' layout, or a file "
            f"that ends in {', '.join(FOR_SINGLE_FILES)}"
        )
    layout = found.get(where(profile, "layout"), base)
    return _Places(base, layout, found[where(profile, "motion")], found.get(where(profile, "domain")))


def _is_file(name: str) -> bool:
    """Whether a checkpoint is there, as a single file."""
    try:
        return find_checkpoint(name, "base").is_file()
    except WeightsError:
        return False


def _precision(profile: Profile) -> str:
    return choice_line(profile, "precision", ("float32", "bfloat16"), "float32")


def _digests(places: _Places) -> dict[str, str]:
    """First 16 hex digits of what each model's files digest to."""
    tokenizer = places.layout / "tokenizer"
    found = {
        "tokenizer": files_digest(sorted(p for p in tokenizer.glob("*") if p.is_file()), tokenizer),
        "motion_adapter": _motion_digest(places.motion),
    }
    if places.base.is_file():
        whole = digest_of(places.base)[:16]
        configs = [places.layout / part / "config.json" for part in _NETWORKS]
        for config in configs:
            read_json(config)
        found |= {"unet": whole, "text_encoder": whole, "vae": whole, "layout": files_digest(configs, places.layout)}
    else:
        found |= {part: model_files(places.base / part).digest for part in _NETWORKS}
    if places.domain is not None:
        found["domain_adapter"] = digest_of(_lora_file(places.domain))[:16]
    return found


def _motion_digest(place: Path) -> str:
    return digest_of(place)[:16] if place.is_file() else model_files(place).digest


def _lora_file(place: Path) -> Path:
    """The file of a LoRA: itself, or the one in a folder."""
    if place.is_file():
        return place
    files = [path for path in sorted(place.glob("*")) if path.suffix in FOR_SINGLE_FILES]
    named = [path for path in files if path.name == "pytorch_lora_weights.safetensors"]
    safe = [path for path in files if path.suffix == ".safetensors"]
    for some in (named, safe, files):
        if len(some) == 1:
            return some[0]
    raise WeightsError(
        f"{place} holds {len(files)} files of tensors; expected one LoRA, such as pytorch_lora_weights.safetensors: "
        f"name the file itself"
    )


def _check_size(profile: Profile, places: _Places) -> None:
    """Refuses what the networks cannot do, read from their configurations."""
    s = profile.sampling
    longest = _longest(places.motion)
    levels = sum(
        len(read_json(places.layout / part / "config.json").get("block_out_channels", [0] * 4)) - 1
        for part in ("unet", "vae")
    )
    if s.frames > longest:
        raise ProfileError(
            f"profile {profile.name!r} [sampling]: frames is {s.frames}; this motion adapter knows places in time for "
            f"{longest} frames at most"
        )
    if s.height % 2**levels or s.width % 2**levels:
        raise ProfileError(
            f"profile {profile.name!r} [sampling]: the size is {s.width}x{s.height}; sides of AnimateDiff's videos are "
            f"multiples of {2**levels}"
        )


def _longest(place: Path) -> int:
    """How many frames motion modules know places in time for."""
    if place.is_file():
        from pvbench.backbones.motion_file import longest_motion

        return longest_motion(place)
    return int(read_json(place / "config.json").get("motion_max_seq_length", 32))


def _load(places: _Places, profile: Profile, device: torch.device, signature: Mapping[str, Any]) -> AnimateDiffBackbone:
    # ruff: noqa: I001  the backbone's module makes torchvision importable, which diffusers needs
    from pvbench.backbones.animatediff import AnimateDiffBackbone
    from diffusers import AnimateDiffPipeline, DDIMScheduler, MotionAdapter

    from pvbench.backbones.loading import load_model
    from pvbench.backbones.motion_file import load_motion_file
    from pvbench.backbones.stable_diffusion import load_stable_diffusion

    base = load_stable_diffusion(places.base, places.layout)
    motion = load_motion_file(places.motion) if places.motion.is_file() else load_model(MotionAdapter, places.motion)
    _check_fit(base.unet, motion, places)
    # The pipeline builds its own text-to-video UNet out of the image UNet's values; the image UNet stays as it is.
    pipe = AnimateDiffPipeline(
        vae=base.vae,
        text_encoder=base.text_encoder,
        tokenizer=base.tokenizer,
        unet=base.unet,
        motion_adapter=motion,
        scheduler=DDIMScheduler(**_SCHEDULE),
    )
    pipe.set_progress_bar_config(disable=True)
    if places.domain is not None:
        _fuse(pipe, places.domain)
    pipe.to(device)
    pipe.unet.requires_grad_(False).eval()
    backbone = AnimateDiffBackbone(
        pipe,
        base.unet.to(device),
        profile.sampling,
        device,
        signature,
        half=signature["precision"] == "bfloat16",
        rare_words=words_line(profile, "rare_words"),
    )
    if checkpointing := checkpointing_line(profile):
        backbone.enable_checkpointing(host=checkpointing == "host")
    # What is wrong with the profile's steps or shift shows before anything is tuned.
    assert backbone.steps == profile.sampling.steps
    return backbone


def _check_fit(unet: Any, motion: Any, places: _Places) -> None:
    """Refuses motion modules of another model: diffusers would put in those that fit."""
    wide, here = list(motion.config.block_out_channels), list(unet.config.block_out_channels)
    if wide != here:
        raise WeightsError(
            f"{places.motion} has motion modules for levels of {wide} channels, and {places.base} has {here}; they are "
            f"of different models: take a motion adapter for Stable Diffusion 1.5, such as "
            f"guoyww/animatediff-motion-adapter-v1-5-3"
        )


def _fuse(pipe: Any, place: Path) -> None:
    """A LoRA becomes a part of the text-to-video network's weights."""
    from pvbench.backbones.foreign_lora import attach
    from pvbench.backbones.lora import LoraSlots
    from pvbench.weights.checkpoint import read_tensors

    path = _lora_file(place)
    try:
        attach(pipe, [LoraSlots(pipe.unet, "unet.")], read_tensors(path), "domain")
    except MethodError as error:
        raise WeightsError(f"{path} cannot be the domain LoRA: {error}") from error
    pipe.fuse_lora(components=["unet"])
    pipe.unload_lora_weights()
