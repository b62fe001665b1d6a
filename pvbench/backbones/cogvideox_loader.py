"""CogVideoX 1.0 and ConsisID from their published folders."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pvbench.backbone import FACE_CONTROLLED, IMAGES, LATENTS, LORA, STYLES, BackboneLoader, TextReader
from pvbench.backbones.memory import cogvideox_gib, passes_of, video_transformer_host_gib
from pvbench.backbones.settings import checkpointing_line, choice_line, only_lines, text_line, where
from pvbench.backbones.video_size import COGVIDEOX_GUIDANCE, check_sampling, transformer_work
from pvbench.errors import WeightsError
from pvbench.machine.devices import torch_device
from pvbench.profile import Profile
from pvbench.weights.layout import REPOSITORIES, part_digests, read_json
from pvbench.weights.presence import PIECES, SCHEDULE, Parts, Wanted, find_whole

if TYPE_CHECKING:
    import torch

    from pvbench.backbones.cogvideox import CogVideoXBackbone

_VERSION = 1
_WORDS = 226
"""Tokens of a prompt that are read where the configuration does not say another number."""
BASE, CONSISID = "zai-org/CogVideoX-5b", "BestWishYsh/ConsisID-preview"
_LINES = ("kind", "base", "precision", "checkpointing", "negative")
_PARTS = Parts(("transformer", "text_encoder", "vae"), {"tokenizer": PIECES, "scheduler": SCHEDULE})
_WIDTH = 3072


class CogVideoXLoader(BackboneLoader):
    """Loads CogVideoX 1.0 for text-to-video from a folder in diffusers' layout, fetching nothing.

    Lines of a profile's `[backbone]` besides `kind`:
        base: the folder, or the name of a repository on huggingface.co that lies in the weights folder or in the cache
            of its own programs.
        precision: bfloat16, float16 (as the smaller model is published) or float32, of all networks.
        checkpointing: true computes activations again in backward passes: less memory, a third more time; "host" also
            keeps the blocks' inputs in the host's memory.
        negative: what videos are guided away from, as a text.
    """

    name: ClassVar[str] = "cogvideox"
    summary: ClassVar[str] = "CogVideoX 1.0 text-to-video, 2 B or 5 B parameters, from its published folder"
    offers: ClassVar[frozenset[str]] = frozenset({LATENTS, IMAGES, LORA, STYLES})
    weights: ClassVar[tuple[str, ...]] = ("base",)
    published: ClassVar[str] = BASE
    model: ClassVar[str] = "CogVideoX"

    @classmethod
    def signature(cls, profile: Profile) -> Mapping[str, Any]:
        """Precision, negative prompt, solver and digests of the files.

        Raises:
            ProfileError: frames, sides or guidance that the model cannot do.
            WeightsError: the folder lacks something, or is another model's.
        """
        only_lines(profile, _LINES)
        folder = cls._folder(profile)
        check_kind(folder, cls.model)
        _check_size(profile, folder, cls.model)
        checkpointing_line(profile, True)
        return {
            "backbone": cls.name,
            "version": _VERSION,
            "solver": "ddim",
            "precision": choice_line(profile, "precision", ("bfloat16", "float16", "float32"), "bfloat16"),
            "negative": text_line(profile, "negative", ""),
            "weights": part_digests(folder, _PARTS.models, _PARTS.others),
        }

    @classmethod
    def located(cls, profile: Profile) -> str:
        """Where the folder is."""
        folder = cls._folder(profile)
        part_digests(folder, _PARTS.models, _PARTS.others)
        return str(folder)

    @classmethod
    def work(cls, profile: Profile) -> float:
        """By the tokens of a video, with the width of CogVideoX-5B."""
        return transformer_work(profile.sampling, _WIDTH)

    @classmethod
    def licence(cls, profile: Profile) -> str:
        """Of the model."""
        return f"{cls.model}: {REPOSITORIES[cls.published].licence}"

    @classmethod
    def memory_gib(cls, profile: Profile, *, gradient: bool) -> float:
        """By the folder's configuration and files."""
        checkpointing = checkpointing_line(profile, True)
        return cogvideox_gib(cls._folder(profile), profile.sampling, gradient=gradient, checkpointing=checkpointing)

    @classmethod
    def host_gib(cls, profile: Profile) -> float:
        """By the folder's configuration."""
        folder, sampling, checkpointing = cls._folder(profile), profile.sampling, checkpointing_line(profile, True)
        return video_transformer_host_gib(folder, sampling, checkpointing=checkpointing, passes=passes_of(sampling))

    @classmethod
    def text_reader(cls, profile: Profile) -> TextReader:
        """By the tokenizer in the folder."""
        from pvbench.backbones.tokenizers import load_piece_tokenizer, reader_of, vocabulary_of

        folder = cls._folder(profile)
        tokenizer = load_piece_tokenizer(folder / "tokenizer", vocabulary_of(folder / "text_encoder"))
        most = int(read_json(folder / "transformer" / "config.json").get("max_text_seq_length", _WORDS))
        return reader_of(f"T5 of {cls.model}", tokenizer, most)

    @classmethod
    def load(cls, profile: Profile, device: str) -> CogVideoXBackbone:
        """The backbone on a device; its text encoder comes there only while texts are encoded."""
        return _load(cls._folder(profile), profile, torch_device(device), cls.signature(profile), cls.model)

    @classmethod
    def _folder(cls, profile: Profile) -> Path:
        asks, name = where(profile, "base"), text_line(profile, "base", cls.published)
        return find_whole([Wanted(asks, name, _PARTS, cls.published)])[asks]


class ConsisIdBackboneLoader(CogVideoXLoader):
    """Loads ConsisID, which makes videos of a face alone; a profile's lines are those of CogVideoX."""

    name: ClassVar[str] = "consisid"
    summary: ClassVar[str] = "ConsisID: CogVideoX 5 B that was trained to see a face, from its published folder"
    offers: ClassVar[frozenset[str]] = frozenset({LATENTS, FACE_CONTROLLED})
    published: ClassVar[str] = CONSISID
    model: ClassVar[str] = "ConsisID"


def check_kind(folder: Path, model: str) -> None:
    """Refuses models of the family that do something else than text-to-video, or than ConsisID.

    Raises:
        WeightsError: naming the model that the folder holds.
    """
    config, vae = (read_json(folder / part / "config.json") for part in ("transformer", "vae"))
    sees_faces = config.get("_class_name") == "ConsisIDTransformer3DModel"
    channels = int(vae.get("latent_channels", 16))
    other = ""
    if sees_faces != (model == "ConsisID"):
        other = "ConsisID" if sees_faces else str(config.get("_class_name"))
    elif config.get("patch_size_t"):
        other = "CogVideoX 1.5"
    elif config.get("in_channels", 16) != channels * (2 if sees_faces else 1):
        other = "CogVideoX for image-to-video"
    elif sees_faces and not config.get("is_train_face"):
        other = "ConsisID without its face modules (is_train_face is off)"
    if other:
        wanted = CONSISID if model == "ConsisID" else f"{BASE}, 1.0 for text-to-video"
        raise WeightsError(f"{folder} holds {other}; this backbone is {model}, such as {wanted}")


def _check_size(profile: Profile, folder: Path, model: str) -> None:
    vae, transformer = (read_json(folder / part / "config.json") for part in ("vae", "transformer"))
    patch = 2 ** (len(vae.get("block_out_channels", (0,) * 4)) - 1) * int(transformer.get("patch_size", 2))
    time = 2 * int(vae.get("temporal_compression_ratio", 4))
    check_sampling(profile.sampling, model, patch, time, COGVIDEOX_GUIDANCE)


def _load(
    folder: Path, profile: Profile, device: torch.device, signature: Mapping[str, Any], model: str
) -> CogVideoXBackbone:
    # ruff: noqa: I001  the backbone's module makes torchvision importable, which diffusers needs
    from pvbench.backbones.cogvideox import CogVideoXBackbone, ConsisIdBackbone
    import diffusers
    import torch
    from transformers import T5EncoderModel

    from pvbench.backbones.loading import load_model
    from pvbench.backbones.tokenizers import load_piece_tokenizer

    dtype = {"bfloat16": torch.bfloat16, "float16": torch.float16, "float32": torch.float32}[signature["precision"]]
    encoder = load_model(T5EncoderModel, folder / "text_encoder", dtype)
    sees_faces = model == "ConsisID"
    pipeline, transformer, made = (
        (diffusers.ConsisIDPipeline, diffusers.ConsisIDTransformer3DModel, ConsisIdBackbone)
        if sees_faces
        else (diffusers.CogVideoXPipeline, diffusers.CogVideoXTransformer3DModel, CogVideoXBackbone)
    )
    pipe = pipeline(
        transformer=load_model(transformer, folder / "transformer", dtype),
        vae=load_model(diffusers.AutoencoderKLCogVideoX, folder / "vae", dtype),
        text_encoder=encoder,
        tokenizer=load_piece_tokenizer(folder / "tokenizer", encoder.config.vocab_size),
        scheduler=diffusers.CogVideoXDDIMScheduler.from_pretrained(folder / "scheduler"),
    )
    pipe.set_progress_bar_config(disable=True)
    pipe.transformer.to(device)
    pipe.vae.to(device)
    backbone = made(pipe, profile.sampling, device, signature, text_line(profile, "negative", ""))
    # What is wrong with the profile's steps or shift shows before anything is tuned.
    assert backbone.steps == profile.sampling.steps
    if checkpointing := checkpointing_line(profile, True):
        backbone.enable_checkpointing(host=checkpointing == "host")
    return backbone
