"""By how much a run's pieces of work differ from those of which a profile's `[cost]` says the seconds."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Mapping
from typing import Any

from pvbench.backbone import backbone_loader
from pvbench.profile import Profile, Sampling
from pvbench.reward import IDENTITY_REWARD
from pvbench.runner.plan import Plan
from pvbench.runner.planned import PlannedVariant


def scales_of(plan: Plan) -> Mapping[tuple[str, str], float]:
    """By stage and method, what the profile's seconds are multiplied with; the mean where rows of a method differ.

    The seconds are for `[cost.at]`: `frames`, `height`, `width` and `steps` of the sampling, and the steps of each
    method's tuning. The work of the backbone follows by its own formula, that of measuring by the number of pixels.
    """
    found: dict[tuple[str, str], list[float]] = {}
    for variant in plan.variants:
        for stage, scale in _of_row(plan.profile, variant).items():
            found.setdefault((stage, variant.variant.method), []).append(scale)
    return {key: statistics.fmean(scales) for key, scales in found.items()}


def _of_row(profile: Profile, variant: PlannedVariant) -> dict[str, float]:
    now, then = profile.sampling, _sampling_of(profile)
    pixels = _pixels(now) / _pixels(then)
    if not variant.cls.uses_backbone:
        return {"generate": pixels, "measure": pixels}
    rewarded = IDENTITY_REWARD in variant.cls.asks(variant.settings)
    return {
        "tune": _work(profile, now, then, photos=not rewarded) * _tune_steps(profile, variant),
        "generate": _work(profile, now, then) * now.steps / then.steps,
        "measure": pixels,
    }


def _sampling_of(profile: Profile) -> Sampling:
    """The sampling for which the profile's seconds are said; its own where nothing is said."""
    sizes = {
        name: int(profile.cost.at[name]) for name in ("frames", "height", "width", "steps") if name in profile.cost.at
    }
    return dataclasses.replace(profile.sampling, **sizes)


def _pixels(sampling: Sampling) -> int:
    return sampling.frames * sampling.height * sampling.width


def _work(profile: Profile, now: Sampling, then: Sampling, *, photos: bool = False) -> float:
    """One pass of the backbone's network over a video, or over a photo, against one of the size of `then`."""
    loader = backbone_loader(profile)
    shown: dict[str, Any] = {"frames": 1} if photos else {}
    one, other = (
        loader.work(dataclasses.replace(profile, sampling=dataclasses.replace(sampling, **shown)))
        for sampling in (now, then)
    )
    return one / other


def _tune_steps(profile: Profile, variant: PlannedVariant) -> float:
    """The row's steps of tuning against those for which the seconds are said; 1 where either is not known."""
    then, now = profile.cost.at.get(variant.variant.method), getattr(variant.settings, "steps", None)
    return float(now) / then if then and now else 1.0
