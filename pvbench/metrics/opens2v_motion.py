"""OpenS2V-Eval's MotionScore: the mean flow of all pixels, whose signs cancel out."""

import math
from dataclasses import dataclass
from typing import ClassVar

from pvbench.metrics.metric import Column, Facts, Features, Metric


@dataclass(frozen=True)
class OpenS2VMotion(Metric):
    """The absolute value of the mean of Farneback's flow, both directions together, as OpenS2V-Eval computes it.

    Source: PKU-YuanGroup/OpenS2V-Nexus@d19c2ce eval/get_motionscore.py, `motion_fb`.
    """

    name: ClassVar[str] = "opens2v_motion"
    version: ClassVar[int] = 1
    needs: ClassVar[tuple[str, ...]] = ("opens2v/motion",)
    parts: ClassVar[tuple[str, ...]] = ("farneback",)
    rule: ClassVar[Facts] = {"pairs": "consecutive", "signs": "kept"}
    columns: ClassVar[tuple[Column, ...]] = (
        Column("opens2v_motion", "OpenS2V Motion", "pixels", True, fmt=".3f", limits=(0.0, math.inf),
               undefined="the video has a single frame",
               note="OpenS2V Motion lets movement there and back cancel out: read it beside the flow."),
    )  # fmt: skip
    trap: ClassVar[str] = "Movement to the left and to the right cancel out, and so do left and down."

    def row(self, features: Features) -> tuple[float, ...]:
        """0 or more, in pixels from frame to frame; NaN for a single frame."""
        return (abs(float(features["opens2v/motion"].mean())),)
