"""Temporal consistency: does the video hold together from frame to frame? CLIP cosine of consecutive frames."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from pvbench.metrics.metric import Column, Facts, Features, Metric, finite, unit_rows


@dataclass(frozen=True)
class TemporalConsistency(Metric):
    """Mean CLIP cosine between consecutive frames. A still picture scores 1: read it beside the movement.

    Source: DreamVideo (VGen) cal_metric. Tune-A-Video takes all pairs, FreeInit the first frame.
    """

    name: ClassVar[str] = "temporal_consistency"
    version: ClassVar[int] = 1
    needs: ClassVar[tuple[str, ...]] = ("clip/frame",)
    parts: ClassVar[tuple[str, ...]] = ("clip",)
    rule: ClassVar[Facts] = {"pairs": "consecutive"}
    columns: ClassVar[tuple[Column, ...]] = (
        Column(
            "temporal_consistency",
            "T. Cons.",
            "cosine",
            True,
            fmt=".4f",
            limits=(-1.0, 1.0),
            undefined="the video has a single frame",
            group="main",
            note="T. Cons. is a cosine. A frozen video raises it: read it beside a measure of motion.",
        ),
    )
    trap: ClassVar[str] = "A still video scores 1."

    def row(self, features: Features) -> tuple[float, ...]:
        """The mean cosine, in [-1, 1]; NaN for a single frame."""
        frames = unit_rows("clip/frame", finite("clip/frame", features["clip/frame"]))
        if frames.shape[0] == 1:
            return (math.nan,)
        cosines = (frames[1:] * frames[:-1]).sum(axis=1)
        return (float(np.clip(cosines, -1.0, 1.0).mean()),)
