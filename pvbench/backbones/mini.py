"""The backbone of the miniature world: AnimateDiff's own classes around small networks that ship with pvbench."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pvbench.backbone import (
    FACE_CONTROLLED,
    IMAGE_PROMPT,
    IMAGES,
    LATENTS,
    LORA,
    STYLES,
    TOKENS,
    WORLD,
    BackboneLoader,
    TextReader,
)
from pvbench.machine.devices import computes_bfloat16, torch_device
from pvbench.errors import ProfileError, WeightsError
from pvbench.profile import Profile
from pvbench.weights import lora_file
from pvbench.weights import signature as weights_signature
from pvbench.weights import verified, weights_folder

if TYPE_CHECKING:
    from pvbench.backbones.animatediff import AnimateDiffBackbone

MODELS = ("vae", "text_encoder", "tokenizer", "unet", "scheduler", "motion_adapter", "domain_adapter")
"""The folders of its weights."""
_VERSION = 5


class MiniLoader(BackboneLoader):
    """Loads the miniature backbone out of a folder of weights.

    Lines of a profile's `[backbone]` besides `kind`:
        weights: the folder, or "mini" for the weights that ship with pvbench.
        precision: float32, bfloat16, or auto for bfloat16 where the processor computes it.
        shared_noise: share of the initial noise's power that all frames have in common, as in the training.
        joint_attention: on levels of at most so many positions frames see each other, see `see_all_frames`.
        rare_words: words of the tokenizer that no caption of the training holds.
    """

    name: ClassVar[str] = "mini"
    summary: ClassVar[str] = "AnimateDiff in miniature, trained on the miniature world; runs on a CPU"
    offers: ClassVar[frozenset[str]] = frozenset(
        {LATENTS, IMAGES, LORA, TOKENS, IMAGE_PROMPT, FACE_CONTROLLED, STYLES, WORLD}
    )
    weights: ClassVar[tuple[str, ...]] = ("weights",)

    @classmethod
    def signature(cls, profile: Profile) -> Mapping[str, Any]:
        """Precision, noise and digests of the weights."""
        folder = weights_folder(profile.backbone["weights"])
        _rare_words(profile)
        return {
            "backbone": cls.name,
            "version": _VERSION,
            "precision": _precision(profile),
            "shared_noise": _shared_noise(profile),
            "joint_attention": _joint_attention(profile),
            "weights": weights_signature(folder, *MODELS),
        }

    @classmethod
    def style_lora(cls, profile: Profile, style: str, lora: str) -> tuple[Path, str]:
        """A folder of the weights, such as style_cartoon; or, with a slash in it, a path as on other backbones."""
        if "/" in lora:
            return super().style_lora(profile, style, lora)
        folder = weights_folder(profile.backbone["weights"])
        digest = weights_signature(folder, lora)[lora]
        return verified(folder, lora) / lora_file.NAME, digest

    @classmethod
    def text_reader(cls, profile: Profile) -> TextReader:
        """By the tokenizer of the weights."""
        # ruff: noqa: I001  the tokenizers' module makes torchvision importable, which transformers needs
        from pvbench.backbones.tokenizers import reader_of
        from transformers import PreTrainedTokenizerFast

        folder = verified(weights_folder(profile.backbone["weights"]), "tokenizer")
        tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
        return reader_of("the miniature text encoder", tokenizer, tokenizer.model_max_length)

    @classmethod
    def load(cls, profile: Profile, device: str) -> AnimateDiffBackbone:
        """The backbone on a device."""
        return _load(weights_folder(profile.backbone["weights"]), profile, device, cls.signature(profile))


def _load(weights: Path, profile: Profile, device: str, signature: Mapping[str, Any]) -> AnimateDiffBackbone:
    # ruff: noqa: I001  the backbone's module makes torchvision importable, which diffusers and transformers need
    from pvbench.backbones.animatediff import AnimateDiffBackbone
    from diffusers import AnimateDiffPipeline, DDIMScheduler, MotionAdapter, UNet2DConditionModel
    from transformers import CLIPTextModel, PreTrainedTokenizerFast

    from pvbench.backbones.attention import choose_attention, see_all_frames
    from pvbench.backbones.patch_autoencoder import PatchAutoencoder

    place = torch_device(device)
    try:
        vae = PatchAutoencoder.from_pretrained(verified(weights, "vae"))
        text = CLIPTextModel.from_pretrained(verified(weights, "text_encoder"))
        tokenizer = PreTrainedTokenizerFast.from_pretrained(verified(weights, "tokenizer"))
        unet = UNet2DConditionModel.from_pretrained(verified(weights, "unet"))
        motion = MotionAdapter.from_pretrained(verified(weights, "motion_adapter"))
        scheduler = DDIMScheduler.from_pretrained(verified(weights, "scheduler"))
    except (OSError, ValueError, RuntimeError) as error:
        raise WeightsError(f"{weights} does not load as the mini backbone: {error}") from error
    for module in (vae, text, unet, motion):
        module.float().requires_grad_(False).eval()
    # The pipeline builds its own text-to-video UNet out of the image UNet's values; the image UNet stays as it is.
    pipe = AnimateDiffPipeline(
        vae=vae, text_encoder=text, tokenizer=tokenizer, unet=unet, motion_adapter=motion, scheduler=scheduler
    )
    pipe.set_progress_bar_config(disable=True)
    pipe.load_lora_weights(verified(weights, "domain_adapter"), adapter_name="domain")
    pipe.fuse_lora(components=["unet"])
    pipe.unload_lora_weights()
    pipe.to(place)
    pipe.unet.requires_grad_(False).eval()
    choose_attention(pipe.unet, place)
    choose_attention(unet, place)
    see_all_frames(pipe.unet, signature["joint_attention"])
    backbone = AnimateDiffBackbone(
        pipe,
        unet.to(place),
        profile.sampling,
        place,
        signature,
        half=signature["precision"] == "bfloat16",
        shared_noise=signature["shared_noise"],
        rare_words=_rare_words(profile),
    )
    # What is wrong with the profile's steps or shift shows before anything is tuned.
    assert backbone.steps == profile.sampling.steps
    return backbone


def _precision(profile: Profile) -> str:
    found = profile.backbone.get("precision", "float32")
    if found not in ("float32", "bfloat16", "auto"):
        raise ProfileError(
            f"profile {profile.name!r} [backbone]: precision is {found!r}; expected float32, bfloat16, or auto for "
            "bfloat16 where the processor computes it"
        )
    if found == "auto":
        return "bfloat16" if computes_bfloat16() else "float32"
    return str(found)


def _shared_noise(profile: Profile) -> float:
    found = profile.backbone.get("shared_noise", 0.0)
    if isinstance(found, bool) or not isinstance(found, int | float) or not 0 <= found <= 1:
        raise ProfileError(
            f"profile {profile.name!r} [backbone]: shared_noise is {found!r}; expected a share of the noise's power, "
            "from 0 to 1"
        )
    return float(found)


def _rare_words(profile: Profile) -> list[str]:
    found = profile.backbone.get("rare_words", [])
    if not isinstance(found, list) or not all(isinstance(word, str) and word for word in found):
        raise ProfileError(
            f"profile {profile.name!r} [backbone]: rare_words is {found!r}; expected a list of words that no caption "
            "of the backbone's training holds"
        )
    return found


def _joint_attention(profile: Profile) -> int:
    found = profile.backbone.get("joint_attention", 0)
    if isinstance(found, bool) or not isinstance(found, int) or found < 0:
        raise ProfileError(
            f"profile {profile.name!r} [backbone]: joint_attention is {found!r}; expected a number of positions up to "
            "which frames see each other, or 0"
        )
    return found
