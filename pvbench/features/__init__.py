"""Frozen networks that turn frames into features; importing this package loads none of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pvbench.errors import ProfileError, did_you_mean
from pvbench.profile import Profile
from pvbench.weights import signature as weights_signature
from pvbench.weights import weights_folder

if TYPE_CHECKING:
    from pvbench.features.extract import Extractors

_MODELS = {
    "face": ("face_detector", "face_recogniser_scoring"),
    "clip": ("clip_scoring", "face_detector"),
    "video": ("video_encoder",),
}
_VERSION = 3


def signature(profile: Profile) -> Mapping[str, Mapping[str, Any]]:
    """What identifies each extractor: networks and digests of their weights, sizes, thresholds. Loads no network."""
    kind = profile.evaluators["kind"]
    if kind != "mini":
        raise ProfileError(
            f"profile {profile.name!r} [evaluators]: unknown kind {kind!r}{did_you_mean(kind, ['mini'])}; known: mini"
        )
    folder = weights_folder(profile.evaluators["weights"])
    size = [profile.sampling.height, profile.sampling.width]
    found: dict[str, dict[str, Any]] = {
        part: {"extractor": f"mini-{part}", "version": _VERSION, "weights": weights_signature(folder, *models)}
        for part, models in _MODELS.items()
    }
    found["face"] |= {"threshold": 0.5, "crop": 32, "reference_size": size, "face": "best score"}
    found["clip"] |= {"face_crop": "64 px, 1.9 times the recogniser's field", "reference_size": size}
    found["flow"] = {"extractor": "OpenCV DIS, preset medium", "version": _VERSION, "resize": "none"}
    found["flow"] |= {"rate": "8 a second"}
    return found


def load_extractors(profile: Profile, device: str) -> Extractors:
    """All extractors of the profile, each network loaded once.

    Raises:
        WeightsError: a weight file is missing or damaged.
    """
    from pvbench.features.extract import Extractors

    signed = signature(profile)
    return Extractors.load(weights_folder(profile.evaluators["weights"]), device, signed)
