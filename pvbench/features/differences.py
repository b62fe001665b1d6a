"""How much the values of pixels change from each frame to the next; there is no network."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float, UInt8

from pvbench.evaluator import Evaluator, EvaluatorLoader, FeatureGroup, Features
from pvbench.profile import Profile

VERSION = 1


def frame_differences(frames: UInt8[np.ndarray, "frames height width 3"]) -> Float[np.ndarray, "pairs"]:
    """Mean absolute difference, in [0, 255], of all values of each two consecutive frames; empty for a single frame.

    Every frame counts, at its own size and whatever the rate.
    """
    found = [np.abs(after.astype(np.int16) - before).mean() for before, after in pairwise(frames)]
    return np.array(found, np.float32)


class FrameDifferences(Evaluator):
    """Differences of pixels: there is no network."""

    def make(self, group: str, given: Any, have: Features) -> Features:
        """The group `pixels` of a video."""
        return {"pixels/difference": frame_differences(given.frames)}


class FrameDifferencesLoader(EvaluatorLoader):
    """There is nothing to load."""

    name: ClassVar[str] = "frame_differences"
    summary: ClassVar[str] = "how much pixels change from frame to frame, without weights"
    part: ClassVar[str] = "pixels"
    groups: ClassVar[tuple[FeatureGroup, ...]] = (
        FeatureGroup("pixels", "video", ("pixels/difference",), on_demand=True),
    )  # fmt: skip

    @classmethod
    def signature(cls, profile: Profile) -> Mapping[str, Any]:
        """Frames and values."""
        return {
            "extractor": "absolute difference",
            "version": VERSION,
            "resize": "none",
            "frames_seen": "all",
            "values": "8-bit RGB",
        }

    @classmethod
    def load(cls, profile: Profile, device: str) -> FrameDifferences:
        """The evaluator, on the CPU."""
        return FrameDifferences()
