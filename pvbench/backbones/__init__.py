"""Text-to-video backbones behind one interface; importing this package loads none of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pvbench.devices import computes_bfloat16
from pvbench.errors import ProfileError, did_you_mean
from pvbench.profile import Profile
from pvbench.weights import signature as weights_signature
from pvbench.weights import weights_folder

if TYPE_CHECKING:
    from pvbench.backbones.animatediff import AnimateDiffBackbone

MINI_MODELS = ("vae", "text_encoder", "tokenizer", "unet", "scheduler", "motion_adapter", "domain_adapter")
# Rewards belong to the backbone's side of a run: methods tune with them, metrics never see them.
REWARD_MODELS = ("face_detector", "face_recogniser_reward", "clip_reward")
_VERSION = 5
MEASURE_ONLY = {"animatediff": "AnimateDiff", "hunyuan": "HunyuanVideo"}
"""Kinds of profiles that have evaluators and no backbone yet, and what the backbone would be."""


def signature(profile: Profile) -> Mapping[str, Any]:
    """What identifies the backbone and the reward networks: kind and digests of their weights. Loads no network."""
    kind = profile.backbone["kind"]
    if kind in MEASURE_ONLY:
        raise ProfileError(
            f"profile {profile.name!r} measures videos that were made elsewhere (pvbench measure); making them with "
            f"{MEASURE_ONLY[kind]} is not built in: run with --profile mini, or give a backbone of your own as "
            f"kind = 'package.module:function'"
        )
    if kind != "mini":
        raise ProfileError(
            f"profile {profile.name!r} [backbone]: unknown kind {kind!r}{did_you_mean(kind, ['mini'])}; known: mini"
        )
    folder = weights_folder(profile.backbone["weights"])
    precision = _precision(profile)
    weights = weights_signature(folder, *MINI_MODELS, *REWARD_MODELS)
    return {
        "backbone": kind,
        "version": _VERSION,
        "precision": precision,
        "shared_noise": _shared_noise(profile),
        "joint_attention": _joint_attention(profile),
        "weights": weights,
    }


def load_backbone(profile: Profile, device: str) -> AnimateDiffBackbone:
    """The profile's backbone on a device.

    Raises:
        WeightsError: a weight file is missing or damaged.
        DeviceError: the device is not there.
    """
    from pvbench.backbones.animatediff import load_mini

    signed = signature(profile)
    half = signed["precision"] == "bfloat16"
    return load_mini(
        weights_folder(profile.backbone["weights"]),
        profile.sampling,
        device,
        signed,
        half=half,
        shared_noise=signed["shared_noise"],
        joint_attention=signed["joint_attention"],
        rare_words=_rare_words(profile),
    )


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
