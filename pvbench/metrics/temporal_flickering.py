"""Temporal flickering: VBench's measure of pixels that stay as they are from one frame to the next."""

import math
from dataclasses import dataclass
from typing import ClassVar

from pvbench.metrics.metric import Column, Facts, Features, Metric, finite


@dataclass(frozen=True)
class TemporalFlickering(Metric):
    """One less the mean absolute difference of consecutive frames, in shares of the largest that 8 bits allow.

    Higher is steadier. Nothing is taken off for movement, which changes pixels as flicker does.

    Source: Vchitect/VBench@45e79ec temporal_flickering.py. VBench scores videos of prompts that ask for a scene without
        movement, and of these only the ones that its filter (RAFT) finds still; here every video is scored.
    """

    name: ClassVar[str] = "temporal_flickering"
    version: ClassVar[int] = 1
    needs: ClassVar[tuple[str, ...]] = ("pixels/difference",)
    parts: ClassVar[tuple[str, ...]] = ("pixels",)
    rule: ClassVar[Facts] = {"pairs": "consecutive", "values": "0 to 255", "static_filter": "none"}
    columns: ClassVar[tuple[Column, ...]] = (
        Column("temporal_flickering", "Temp. Flick.", "share of 255", True, fmt=".2f", scale=100.0, limits=(0.0, 1.0),
               undefined="the video has a single frame",
               note="Temp. Flick. is in %; higher is steadier. Movement lowers it as flicker does, and a frozen video "
                    "has 100: read it beside the flow."),
    )  # fmt: skip
    trap: ClassVar[str] = "A frozen video scores 1."

    def row(self, features: Features) -> tuple[float, ...]:
        """The mean over all pairs of frames, in [0, 1]; NaN for a single frame."""
        if features["pixels/difference"].size == 0:
            return (math.nan,)
        return ((255.0 - float(finite("pixels/difference", features["pixels/difference"]).mean())) / 255.0,)
