"""Wan 2.1 from its published folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pvbench.backbone import IMAGES, LATENTS, LORA, STYLES, SUBJECT, BackboneLoader, TextReader
from pvbench.backbones.memory import passes_of, video_transformer_host_gib, wan_gib
from pvbench.backbones.settings import checkpointing_line, choice_line, only_lines, text_line, where
from pvbench.backbones.video_size import WAN_GUIDANCE, check_sampling, transformer_work
from pvbench.errors import WeightsError
from pvbench.machine.devices import torch_device
from pvbench.profile import Profile
from pvbench.weights.layout import REPOSITORIES, part_digests, read_json
from pvbench.weights.presence import FAST_WORDS, SCHEDULE, Parts, Wanted, find_whole

if TYPE_CHECKING:
    import torch

    from pvbench.backbones.wan import WanBackbone

_VERSION = 1
BASE, VACE = "Wan-AI/Wan2.1-T2V-1.3B-Diffusers", "Wan-AI/Wan2.1-VACE-1.3B-diffusers"
_LINES = ("kind", "base", "precision", "checkpointing", "negative")
_PARTS = Parts(("transformer", "text_encoder", "vae"), {"tokenizer": FAST_WORDS, "scheduler": SCHEDULE})
_WIDTH = 1536


class WanLoader(BackboneLoader):
    """Loads Wan 2.1 for text-to-video from a folder in diffusers' layout, fetching nothing.

    Lines of a profile's `[backbone]` besides `kind`:
        base: the folder, or the name of a repository on huggingface.co that lies in the weights folder or in the cache
            of its own programs.
        precision: bfloat16 or float32, of the transformer and the text encoder; the autoencoder is in float32, as it
            is published.
        checkpointing: true computes activations again in backward passes: less memory, a third more time; "host" also
            keeps the blocks' inputs in the host's memory.
        negative: what videos are guided away from, as a text.
    """

    name: ClassVar[str] = "wan"
    summary: ClassVar[str] = "Wan 2.1 text-to-video, 1.3 B or 14 B parameters, from its published folder"
    offers: ClassVar[frozenset[str]] = frozenset({LATENTS, IMAGES, LORA, STYLES})
    weights: ClassVar[tuple[str, ...]] = ("base",)
    published: ClassVar[str] = BASE
    vace: ClassVar[bool] = False

    @classmethod
    def signature(cls, profile: Profile) -> Mapping[str, Any]:
        """Precision, negative prompt, solver and digests of the files.

        Raises:
            ProfileError: frames, sides or guidance that the model cannot do.
            WeightsError: the folder lacks something, or is another model's.
        """
        only_lines(profile, _LINES)
        folder = cls._folder(profile)
        check_kind(folder, vace=cls.vace)
        _check_size(profile, folder)
        checkpointing_line(profile, True)
        return {
            "backbone": cls.name,
            "version": _VERSION,
            "solver": "euler",
            "precision": _precision(profile),
            "negative": text_line(profile, "negative", ""),
            "weights": _digests(folder),
        }

    @classmethod
    def located(cls, profile: Profile) -> str:
        """Where the folder is."""
        folder = cls._folder(profile)
        _digests(folder)
        return str(folder)

    @classmethod
    def work(cls, profile: Profile) -> float:
        """By the tokens of a video, with the width of Wan2.1-T2V-1.3B."""
        return transformer_work(profile.sampling, _WIDTH)

    @classmethod
    def licence(cls, profile: Profile) -> str:
        """Of Wan 2.1."""
        return f"Wan 2.1: {REPOSITORIES[cls.published].licence}"

    @classmethod
    def memory_gib(cls, profile: Profile, *, gradient: bool) -> float:
        """By the folder's configuration and files."""
        checkpointing = checkpointing_line(profile, True)
        return wan_gib(cls._folder(profile), profile.sampling, gradient=gradient, checkpointing=checkpointing)

    @classmethod
    def host_gib(cls, profile: Profile) -> float:
        """By the folder's configuration."""
        folder, sampling, checkpointing = cls._folder(profile), profile.sampling, checkpointing_line(profile, True)
        return video_transformer_host_gib(folder, sampling, checkpointing=checkpointing, passes=passes_of(sampling))

    @classmethod
    def text_reader(cls, profile: Profile) -> TextReader:
        """By the tokenizer in the folder."""
        from pvbench.backbones.tokenizers import WAN_WORDS, load_fast_tokenizer, reader_of, vocabulary_of

        folder = cls._folder(profile)
        tokenizer = load_fast_tokenizer(folder / "tokenizer", vocabulary_of(folder / "text_encoder"))
        return reader_of("UMT5 of Wan", tokenizer, WAN_WORDS)

    @classmethod
    def load(cls, profile: Profile, device: str) -> WanBackbone:
        """The backbone on a device; its text encoder comes there only while texts are encoded."""
        return _load(cls._folder(profile), profile, torch_device(device), cls.signature(profile), vace=cls.vace)

    @classmethod
    def _folder(cls, profile: Profile) -> Path:
        asks, name = where(profile, "base"), text_line(profile, "base", cls.published)
        return find_whole([Wanted(asks, name, _PARTS, cls.published)])[asks]


class WanVaceLoader(WanLoader):
    """Loads VACE of Wan 2.1, which takes photos of a subject beside a text; a profile's lines are those of Wan."""

    name: ClassVar[str] = "wan_vace"
    summary: ClassVar[str] = "VACE of Wan 2.1: photos of a subject beside a text, from its published folder"
    offers: ClassVar[frozenset[str]] = frozenset({LATENTS, IMAGES, LORA, SUBJECT, STYLES})
    published: ClassVar[str] = VACE
    vace: ClassVar[bool] = True


def _precision(profile: Profile) -> str:
    return choice_line(profile, "precision", ("bfloat16", "float32"), "bfloat16")


def check_kind(folder: Path, *, vace: bool = False) -> None:
    """Refuses models of the family that do something else than text-to-video, or than VACE."""
    config, vae = (read_json(folder / part / "config.json") for part in ("transformer", "vae"))
    other = ""
    if (folder / "transformer_2").is_dir():
        other = "Wan 2.2 with two transformers"
    elif config.get("image_dim") or config.get("in_channels", 16) != vae.get("z_dim", 16):
        other = "Wan for image-to-video"
    elif bool(config.get("vace_layers")) != vace:
        other = "Wan for text-to-video" if vace else "Wan VACE"
    elif vae.get("patch_size"):
        other = "Wan 2.2 with its own autoencoder"
    if other:
        wanted = f"VACE of Wan 2.1, such as {VACE}" if vace else f"Wan 2.1 for text-to-video, such as {BASE}"
        raise WeightsError(f"{folder} holds {other}; this backbone is {wanted}")


def _check_size(profile: Profile, folder: Path) -> None:
    vae, transformer = (read_json(folder / part / "config.json") for part in ("vae", "transformer"))
    patch = int(vae.get("scale_factor_spatial", 8)) * int(transformer.get("patch_size", (1, 2, 2))[1])
    check_sampling(profile.sampling, "Wan", patch, int(vae.get("scale_factor_temporal", 4)), WAN_GUIDANCE)


def _digests(folder: Path) -> dict[str, str]:
    return part_digests(folder, _PARTS.models, _PARTS.others)


def shift_of(folder: Path) -> float:
    """The shift of the noise levels that a folder's scheduler is published with.

    Raises:
        WeightsError: it names none.
    """
    path = folder / "scheduler" / "scheduler_config.json"
    config = read_json(path)
    found = config.get("flow_shift", config.get("shift"))
    if not isinstance(found, int | float) or found <= 0:
        raise WeightsError(f"{path}: flow_shift is {found!r}, expected a number above 0; fetch the checkpoint again")
    return float(found)


def _load(
    folder: Path, profile: Profile, device: torch.device, signature: Mapping[str, Any], *, vace: bool
) -> WanBackbone:
    # ruff: noqa: I001  the backbone's module makes torchvision importable, which diffusers needs
    from pvbench.backbones.wan import WanBackbone
    from pvbench.backbones.wan_vace import WanVaceBackbone
    import diffusers
    import torch
    from transformers import UMT5EncoderModel

    from pvbench.backbones.loading import load_model
    from pvbench.backbones.tokenizers import load_fast_tokenizer

    dtype = torch.bfloat16 if signature["precision"] == "bfloat16" else torch.float32
    encoder = load_model(UMT5EncoderModel, folder / "text_encoder", dtype)
    shift = shift_of(folder)
    pipeline, transformer = (
        (diffusers.WanVACEPipeline, diffusers.WanVACETransformer3DModel)
        if vace
        else (diffusers.WanPipeline, diffusers.WanTransformer3DModel)
    )
    pipe = pipeline(
        transformer=load_model(transformer, folder / "transformer", dtype),
        vae=load_model(diffusers.AutoencoderKLWan, folder / "vae"),
        text_encoder=encoder,
        tokenizer=load_fast_tokenizer(folder / "tokenizer", encoder.config.vocab_size),
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(shift=shift),
    )
    pipe.set_progress_bar_config(disable=True)
    pipe.transformer.to(device)
    pipe.vae.to(device)
    made = WanVaceBackbone if vace else WanBackbone
    backbone = made(pipe, profile.sampling, device, signature, shift, text_line(profile, "negative", ""))
    if checkpointing := checkpointing_line(profile, True):
        backbone.enable_checkpointing(host=checkpointing == "host")
    return backbone
