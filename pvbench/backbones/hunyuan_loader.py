"""HunyuanVideo out of its published folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pvbench.backbone import IMAGES, LATENTS, LORA, STYLES, BackboneLoader, TextReader
from pvbench.backbones.memory import video_transformer_gib, video_transformer_host_gib
from pvbench.backbones.settings import checkpointing_line, choice_line, only_lines, switch_line, text_line, where
from pvbench.backbones.video_size import HUNYUAN_GUIDANCE, check_sampling, transformer_work
from pvbench.errors import WeightsError
from pvbench.machine.devices import torch_device
from pvbench.profile import Profile
from pvbench.weights.digests import digest_of
from pvbench.weights.layout import FOR_SINGLE_FILES, REPOSITORIES, files_digest, part_digests, read_json
from pvbench.weights.presence import CLIP_WORDS, CONFIG, FAST_WORDS, SCHEDULE, Parts, Wanted, find_whole

if TYPE_CHECKING:
    import torch

    from pvbench.backbones.hunyuan import HunyuanBackbone

_VERSION = 1
_BASE = "hunyuanvideo-community/HunyuanVideo"
_LINES = ("kind", "base", "transformer", "precision", "tiling", "checkpointing")
_PARTS = Parts(
    ("transformer", "text_encoder", "text_encoder_2", "vae"),
    {"tokenizer": FAST_WORDS, "tokenizer_2": CLIP_WORDS, "scheduler": SCHEDULE},
)
_NETWORKS = _PARTS.models[1:]
_AROUND = Parts(_NETWORKS, {**_PARTS.others, "transformer": CONFIG})
"""What the folder has to hold where the transformer's weights are in a file of their own."""
_LLAMA_WORDS = 128000
"""LLaMA 3's vocabulary has at least so many words; with it the template's length is known."""
_WIDTH = 3072


class HunyuanLoader(BackboneLoader):
    """Loads HunyuanVideo from a folder in diffusers' layout, fetching nothing.

    Lines of a profile's `[backbone]` besides `kind`:
        base: the folder, or the name of a repository on huggingface.co that lies in the weights folder or in the cache
            of its own programs.
        transformer: a file in the names of HunyuanVideo's authors (`mp_rank_00_model_states.pt`, or safetensors), whose
            weights stand in the place of the folder's transformer; the folder's configuration is still read.
        precision: bfloat16 or float32, of all networks.
        tiling: whether frames above 256 pixels are decoded in overlapping pieces, as they must be at full size.
        checkpointing: true computes activations again in backward passes: less memory, a third more time; "host" also
            keeps the blocks' inputs in the host's memory.
    """

    name: ClassVar[str] = "hunyuan"
    summary: ClassVar[str] = "HunyuanVideo, 13 B parameters, from its published folder"
    offers: ClassVar[frozenset[str]] = frozenset({LATENTS, IMAGES, LORA, STYLES})
    weights: ClassVar[tuple[str, ...]] = ("base", "transformer")
    within_base: ClassVar[tuple[str, ...]] = ("transformer",)

    @classmethod
    def signature(cls, profile: Profile) -> Mapping[str, Any]:
        """Precision, way of decoding and digests of the files.

        Raises:
            ProfileError: frames, sides or guidance that the model cannot do.
        """
        only_lines(profile, _LINES)
        folder, transformer = _places(profile)
        _check_size(profile, folder)
        checkpointing_line(profile, True)
        return {
            "backbone": cls.name,
            "version": _VERSION,
            "precision": _precision(profile),
            "tiling": switch_line(profile, "tiling", True),
            "weights": _digests(folder, transformer),
        }

    @classmethod
    def located(cls, profile: Profile) -> str:
        """Where the folder is, and the transformer's file if there is one."""
        folder, transformer = _places(profile)
        _digests(folder, transformer)
        return ", ".join(map(str, [folder, *([transformer] if transformer else [])]))

    @classmethod
    def work(cls, profile: Profile) -> float:
        """By the tokens of a video, with the width of HunyuanVideo."""
        return transformer_work(profile.sampling, _WIDTH)

    @classmethod
    def licence(cls, profile: Profile) -> str:
        """Of HunyuanVideo."""
        return f"HunyuanVideo: {REPOSITORIES[_BASE].licence}"

    @classmethod
    def memory_gib(cls, profile: Profile, *, gradient: bool) -> float:
        """By the folder's configuration and files."""
        checkpointing = checkpointing_line(profile, True)
        folder, transformer = _places(profile)
        return video_transformer_gib(
            folder, profile.sampling, gradient=gradient, checkpointing=checkpointing, transformer=transformer
        )

    @classmethod
    def host_gib(cls, profile: Profile) -> float:
        """By the folder's configuration."""
        folder, checkpointing = _places(profile)[0], checkpointing_line(profile, True)
        return video_transformer_host_gib(folder, profile.sampling, checkpointing=checkpointing)

    @classmethod
    def text_reader(cls, profile: Profile) -> TextReader:
        """By the first tokenizer in the folder; CLIP beside it reads the begin of a text alone."""
        from pvbench.backbones.tokenizers import HUNYUAN_WORDS, load_fast_tokenizer, reader_of, vocabulary_of

        folder, _ = _places(profile)
        tokenizer = load_fast_tokenizer(folder / "tokenizer", vocabulary_of(folder / "text_encoder"))
        # The token that it puts before a text stands for the one that the template has behind it.
        return reader_of("LLaMA of HunyuanVideo", tokenizer, HUNYUAN_WORDS)

    @classmethod
    def load(cls, profile: Profile, device: str) -> HunyuanBackbone:
        """The backbone on a device; its text encoders come there only while texts are encoded."""
        return _load(_places(profile), profile, torch_device(device), cls.signature(profile))


def _places(profile: Profile) -> tuple[Path, Path | None]:
    """Where the folder is, and the file of the transformer's weights; None where they are in the folder."""
    asks, file = where(profile, "base"), where(profile, "transformer")
    base, transformer = text_line(profile, "base", _BASE), text_line(profile, "transformer")
    if not transformer:
        return find_whole([Wanted(asks, base, _PARTS, _BASE)])[asks], None
    found = find_whole([Wanted(asks, base, _AROUND, _BASE), Wanted(file, transformer, Parts(), file=True)])
    if found[file].suffix not in FOR_SINGLE_FILES or not found[file].is_file():
        raise WeightsError(
            f"{file}: {found[file]} is not a checkpoint; expected a file in the names of HunyuanVideo's authors that "
            f"ends in {', '.join(FOR_SINGLE_FILES)}, such as mp_rank_00_model_states.pt"
        )
    return found[asks], found[file]


def _precision(profile: Profile) -> str:
    return choice_line(profile, "precision", ("bfloat16", "float32"), "bfloat16")


def _check_size(profile: Profile, folder: Path) -> None:
    vae, transformer = (read_json(folder / part / "config.json") for part in ("vae", "transformer"))
    patch = int(vae.get("spatial_compression_ratio", 8)) * int(transformer.get("patch_size", 2))
    time = int(vae.get("temporal_compression_ratio", 4))
    check_sampling(profile.sampling, "HunyuanVideo", patch, time, HUNYUAN_GUIDANCE)


def _digests(folder: Path, transformer: Path | None) -> dict[str, str]:
    """First 16 hex digits of what each part's files digest to."""
    if transformer is None:
        return part_digests(folder, _PARTS.models, _PARTS.others)
    layout = files_digest([folder / "transformer" / "config.json"], folder)
    return {
        "transformer": digest_of(transformer)[:16],
        "layout": layout,
        **part_digests(folder, _NETWORKS, _PARTS.others),
    }


def _load(
    places: tuple[Path, Path | None], profile: Profile, device: torch.device, signature: Mapping[str, Any]
) -> HunyuanBackbone:
    # ruff: noqa: I001  the backbone's module makes torchvision importable, which diffusers needs
    from pvbench.backbones.hunyuan import HunyuanBackbone, template_length
    import torch
    from diffusers import (
        AutoencoderKLHunyuanVideo,
        FlowMatchEulerDiscreteScheduler,
        HunyuanVideoPipeline,
        HunyuanVideoTransformer3DModel,
    )
    from transformers import CLIPTextModel, LlamaModel

    from pvbench.backbones.attention import drop_masks
    from pvbench.backbones.hunyuan_file import load_transformer_file
    from pvbench.backbones.loading import load_model
    from pvbench.backbones.tokenizers import load_clip_tokenizer, load_fast_tokenizer

    folder, file = places
    dtype = torch.bfloat16 if signature["precision"] == "bfloat16" else torch.float32
    llama = load_model(LlamaModel, folder / "text_encoder", dtype)
    clip = load_model(CLIPTextModel, folder / "text_encoder_2", dtype)
    words = load_fast_tokenizer(folder / "tokenizer", llama.config.vocab_size)
    _check_template(folder, template_length(words), llama.config.vocab_size)
    if file is None:
        transformer = load_model(HunyuanVideoTransformer3DModel, folder / "transformer", dtype)
    else:
        transformer = load_transformer_file(file, folder / "transformer", dtype)
    pipe = HunyuanVideoPipeline(
        transformer=transformer,
        vae=load_model(AutoencoderKLHunyuanVideo, folder / "vae", dtype),
        text_encoder=llama,
        tokenizer=words,
        text_encoder_2=clip,
        tokenizer_2=load_clip_tokenizer(
            folder / "tokenizer_2", clip.config.vocab_size, clip.config.max_position_embeddings
        ),
        scheduler=FlowMatchEulerDiscreteScheduler.from_pretrained(str(folder / "scheduler"), local_files_only=True),
    )
    pipe.set_progress_bar_config(disable=True)
    pipe.transformer.to(device)
    pipe.vae.to(device)
    drop_masks(pipe.transformer)
    if signature["tiling"]:
        pipe.vae.enable_tiling()
    backbone = HunyuanBackbone(pipe, profile.sampling, device, signature)
    if checkpointing := checkpointing_line(profile, True):
        backbone.enable_checkpointing(host=checkpointing == "host")
    return backbone


def _check_template(folder: Path, length: int, vocabulary: int) -> None:
    """Refuses a tokenizer that reads the words before every prompt as others than the model was trained with."""
    from diffusers.pipelines.hunyuan_video.pipeline_hunyuan_video import DEFAULT_PROMPT_TEMPLATE

    expected = DEFAULT_PROMPT_TEMPLATE["crop_start"]
    if vocabulary >= _LLAMA_WORDS and length != expected:
        raise WeightsError(
            f"{folder / 'tokenizer'}: the words before a prompt become {length} tokens, and HunyuanVideo was trained "
            f"with {expected}: tokenizer.json is of another model; fetch it again"
        )
