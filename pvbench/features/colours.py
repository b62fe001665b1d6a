"""The colours of heads in frames: of the skin between eyes and mouth, and of what is above the forehead."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from pvbench.evaluator import Evaluator, EvaluatorLoader, FeatureGroup, Features
from pvbench.features.mini.part import HEAD_SIDE, HEAD_SPREAD
from pvbench.profile import Profile

VERSION = 1
SKIN = (0.25, 0.54, 0.75, 0.70)
CROWN = (0.30, -0.06, 0.70, 0.08)
"""Where the aligned crop of a face shows either: left, top, right and bottom, in shares of its side."""


def colours_of(frames: np.ndarray, landmarks: np.ndarray) -> dict[str, np.ndarray]:
    """`skin` and `crown`, each float32 (T, 3): median L*, a*, b* of the places above; NaN without landmarks.

    Args:
        frames: uint8 (T, H, W, 3), sRGB.
        landmarks: (T, 5, 2) pixels, NaN where no face was found.
    """
    import cv2
    import torch

    from pvbench.features.mini.head_networks import seen_heads

    found = {name: np.full((len(frames), 3), np.nan, np.float32) for name in ("skin", "crown")}
    seen = np.isfinite(landmarks).all(axis=(1, 2))
    if not seen.any():
        return found
    _, heads = seen_heads(frames, landmarks, torch.device("cpu"))
    rgb = ((heads.permute(0, 2, 3, 1).numpy() + 1) / 2).clip(0, 1).astype(np.float32)
    lab = np.stack([cv2.cvtColor(one, cv2.COLOR_RGB2LAB) for one in rgb])
    for name, place in (("skin", SKIN), ("crown", CROWN)):
        left, top, right, bottom = (round(((at - 0.5) / HEAD_SPREAD + 0.5) * HEAD_SIDE) for at in place)
        found[name][seen] = np.median(lab[:, top:bottom, left:right], axis=(1, 2))
    return found


class HeadColours(Evaluator):
    """Medians of pixels: there is no network."""

    def make(self, group: str, given: Any, have: Features) -> Features:
        """The group `colours` of a video."""
        found = colours_of(given.frames, have["face/landmarks"])
        return {f"colours/{name}": rows for name, rows in found.items()}


class HeadColoursLoader(EvaluatorLoader):
    """There is nothing to load."""

    name: ClassVar[str] = "head_colours"
    summary: ClassVar[str] = "colours of skin and hair by a face's landmarks, without weights"
    part: ClassVar[str] = "colours"
    groups: ClassVar[tuple[FeatureGroup, ...]] = (
        FeatureGroup(
            "colours", "video", ("colours/skin", "colours/crown"), reads=("face/landmarks",), on_demand=True
        ),
    )  # fmt: skip

    @classmethod
    def signature(cls, profile: Profile) -> Mapping[str, Any]:
        """Places and colour space."""
        return {
            "extractor": "median in CIELAB",
            "version": VERSION,
            "skin": list(SKIN),
            "crown": list(CROWN),
            "crop": [HEAD_SIDE, HEAD_SPREAD],
        }

    @classmethod
    def load(cls, profile: Profile, device: str) -> HeadColours:
        """The evaluator, on the CPU."""
        return HeadColours()
