"""Optical flow by OpenCV's DIS, which needs no weights and holds at 64 pixels a side."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

import numpy as np

from pvbench.evaluator import Evaluator, EvaluatorLoader, FeatureGroup, Features
from pvbench.features.flow import Flow, about_eight_a_second, flow_fields, optical_flow, warping_errors
from pvbench.features.mini.part import VERSION
from pvbench.profile import Profile
from pvbench.video import Video

FLOW_GROUPS = (
    FeatureGroup("flow", "video", ("flow/top5", "flow/mean", "flow/size", "flow/fps"), heavy=True),
    FeatureGroup("warp", "video", ("flow/warp_error",), on_demand=True, heavy=True),
)
"""The groups of every optical flow."""

SAMPLING = "8 a second, by time stamps where they are unequal"
"""Of frames for flow, as signatures say it."""

Fields = Callable[[np.ndarray], Iterable[np.ndarray]]
"""From frames (T, H, W, 3) to the flow (H, W, 2) of each pair of consecutive ones."""


def flow_features(group: str, video: Video, flow: Callable[[np.ndarray], Flow], fields: Fields) -> Features:
    """One of the groups of a video's flow between frames about an eighth of a second apart."""
    kept, rate = about_eight_a_second(video)
    if group == "warp":
        back = list(fields(kept[::-1]))[::-1]
        return {"flow/warp_error": warping_errors(kept, fields(kept), back)}
    found = flow(kept)
    return {
        "flow/top5": found.top5,
        "flow/mean": found.mean,
        "flow/size": np.array(video.frames.shape[1:3], np.float32),
        "flow/fps": np.array([rate], np.float32),
    }


class Dis(Evaluator):
    """Dense inverse search."""

    def make(self, group: str, given: Any, have: Features) -> Features:
        """Magnitudes of the flow, or what it leaves unexplained."""
        return flow_features(group, given, optical_flow, flow_fields)


class DisLoader(EvaluatorLoader):
    """There is nothing to load."""

    name: ClassVar[str] = "dis"
    summary: ClassVar[str] = "OpenCV's DIS, without weights"
    part: ClassVar[str] = "flow"
    groups: ClassVar[tuple[FeatureGroup, ...]] = FLOW_GROUPS

    @classmethod
    def signature(cls, profile: Profile) -> Mapping[str, Any]:
        """Preset and rate."""
        return {
            "extractor": "OpenCV DIS, preset medium",
            "version": VERSION,
            "resize": "none",
            "rate": SAMPLING,
        }

    @classmethod
    def load(cls, profile: Profile, device: str) -> Dis:
        """The evaluator, on the CPU."""
        return Dis()
