"""Frozen networks that turn frames into features; importing this package loads none of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from pvbench.errors import ProfileError, did_you_mean
from pvbench.profile import Profile
from pvbench.weights import signature as weights_signature
from pvbench.weights import weights_folder

if TYPE_CHECKING:
    from pvbench.features.extract import Extractors
    from pvbench.features.published import PublishedExtractors

KINDS = ("mini", "published")
FRAMES_MULTIPLE = 4
"""Of the mini video encoder, which halves a video's length twice."""
_MODELS = {
    "face": ("face_detector", "face_recogniser_scoring"),
    "clip": ("clip_scoring", "face_detector"),
    "video": ("video_encoder",),
    "hps": ("clip_reward",),
}
NO_DINO = ("the miniature evaluators have no DINO, which subject_consistency needs; leave it out, take "
           "background_consistency, or measure with a profile of published evaluators, such as animatediff")
_VERSION = 3


def signature(profile: Profile, extra: Collection[str] = ()) -> Mapping[str, Mapping[str, Any]]:
    """What identifies each extractor: networks and digests of their weights, sizes, thresholds. Loads no network.

    Args:
        extra: parts (`dino`, `hps`) to name besides those of the paper's metrics.

    Raises:
        ProfileError: the profile has no such part.
    """
    if _kind(profile) == "published":
        from pvbench.features import published

        return published.signature(profile, extra)
    if "dino" in extra:
        raise ProfileError(NO_DINO)
    if profile.evaluators.get("files"):
        raise ProfileError(
            f"profile {profile.name!r} has its evaluators' weights in one folder; --weights NAME=PATH is for profiles "
            f"with evaluators of the kind published, such as animatediff"
        )
    folder = weights_folder(profile.evaluators["weights"])
    size = [profile.sampling.height, profile.sampling.width]
    found: dict[str, dict[str, Any]] = {
        part: {"extractor": f"mini-{part}", "version": _VERSION, "weights": weights_signature(folder, *models)}
        for part, models in _MODELS.items() if part != "hps" or "hps" in extra
    }
    found["face"] |= {"threshold": 0.5, "crop": 32, "reference_size": size, "face": "best score"}
    found["clip"] |= {"face_crop": "64 px, 1.9 times the recogniser's field", "reference_size": size}
    found["flow"] = {"extractor": "OpenCV DIS, preset medium", "version": _VERSION, "resize": "none"}
    found["flow"] |= {"rate": "8 a second"}
    return found


def load_extractors(
    profile: Profile, device: str, wanted: Collection[str] | None = None
) -> Extractors | PublishedExtractors:
    """The extractors of the profile. With `wanted`, the names of the features that will be asked for, a network is
    loaded when one of them first needs it; without, all are loaded now.

    Raises:
        WeightsError: a weight file is missing or damaged.
    """
    extractors: Extractors | PublishedExtractors
    if _kind(profile) == "published":
        from pvbench.features.published import PublishedExtractors

        extractors = PublishedExtractors(profile, device)
    else:
        from pvbench.features.extract import Extractors

        extractors = Extractors(weights_folder(profile.evaluators["weights"]), device, signature(profile))
    if wanted is None:
        extractors.load_all()
    return extractors


def _kind(profile: Profile) -> str:
    kind = profile.evaluators["kind"]
    if kind not in KINDS:
        raise ProfileError(
            f"profile {profile.name!r} [evaluators]: unknown kind {kind!r}{did_you_mean(kind, KINDS)}; known: "
            f"{', '.join(KINDS)}"
        )
    return str(kind)
