"""OpenS2V-Eval's flow: OpenCV's Farneback between all frames, without weights."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float, UInt8

from pvbench.evaluator import Evaluator, EvaluatorLoader, FeatureGroup, Features
from pvbench.profile import Profile

VERSION = 1
_COLUMNS = 16


def mean_flow(frames: UInt8[np.ndarray, "frames height width 3"]) -> Float[np.ndarray, "2"]:
    """Mean flow (x, y), in pixels from frame to frame, with its signs; NaN for a single frame.

    Each pair's flow is averaged down to 16 columns first, as there, so that columns and rows that do not fit weigh
    otherwise than in a plain mean. The script makes frames grey as if blue came first, which it does not.

    Source: PKU-YuanGroup/OpenS2V-Nexus@d19c2ce eval/get_motionscore.py.
    """
    import cv2

    if len(frames) < 2:
        return np.full(2, np.nan, np.float32)
    height, width = frames.shape[1:3]
    size = (_COLUMNS, max(1, int(height * (_COLUMNS / width))))
    grey = (cv2.cvtColor(np.ascontiguousarray(frame), cv2.COLOR_BGR2GRAY) for frame in frames)
    total = np.zeros(2)
    for before, after in pairwise(grey):
        flow = cv2.calcOpticalFlowFarneback(before, after, None, 0.5, 3, 15, 3, 5, 1.2, 0)
        total += cv2.resize(flow, size, interpolation=cv2.INTER_AREA).mean(axis=(0, 1), dtype=float)
    return (total / (len(frames) - 1)).astype(np.float32)


class Farneback(Evaluator):
    """Flow by polynomials; there is no network."""

    def make(self, group: str, given: Any, have: Features) -> Features:
        """The group `opens2v_motion` of a video."""
        return {"opens2v/motion": mean_flow(given.frames)}


class FarnebackLoader(EvaluatorLoader):
    """There is nothing to load."""

    name: ClassVar[str] = "farneback"
    summary: ClassVar[str] = "OpenCV's Farneback flow as OpenS2V-Eval calls it, without weights"
    part: ClassVar[str] = "farneback"
    groups: ClassVar[tuple[FeatureGroup, ...]] = (
        FeatureGroup("opens2v_motion", "video", ("opens2v/motion",), on_demand=True, heavy=True),
    )  # fmt: skip

    @classmethod
    def signature(cls, profile: Profile) -> Mapping[str, Any]:
        """Network, frames and colours."""
        return {
            "extractor": "OpenCV Farneback",
            "version": VERSION,
            "resize": "none",
            "frames_seen": "all",
            "colours": "red and blue exchanged",
        }

    @classmethod
    def load(cls, profile: Profile, device: str) -> Farneback:
        """The evaluator, on the CPU."""
        return Farneback()
