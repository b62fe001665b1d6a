"""Warping error: does what moves keep its looks? The next frame, pulled back along the flow, against this one."""

import math
from dataclasses import dataclass
from typing import ClassVar

from pvbench.metrics.metric import Column, Facts, Features, Metric, finite


@dataclass(frozen=True)
class WarpingError(Metric):
    """Mean squared difference of colours (0 to 1) after motion compensation, where nothing is hidden.

    A smooth video has little of it; flicker and shapes that melt have much. A still video has none.

    Source: Lai et al. 2018, with the visibility of Ruder et al. 2016 and without its motion boundaries.
    """

    name: ClassVar[str] = "warping_error"
    version: ClassVar[int] = 1
    needs: ClassVar[tuple[str, ...]] = ("flow/warp_error",)
    parts: ClassVar[tuple[str, ...]] = ("flow",)
    rule: ClassVar[Facts] = {"pixels": "seen in both frames", "colours": "0 to 1"}
    columns: ClassVar[tuple[Column, ...]] = (
        Column("warping_error", "Warp err. e-3", "squared difference", False, fmt=".3f", scale=1000.0,
               limits=(0.0, 1.0), undefined="the video has a single frame",
               note="A still video has no warping error: read it beside the flow."),
    )  # fmt: skip
    trap: ClassVar[str] = "A still video has none."

    def row(self, features: Features) -> tuple[float, ...]:
        """The mean over pairs of kept frames, in [0, 1]; NaN for a single frame."""
        if features["flow/warp_error"].size == 0:
            return (math.nan,)
        return (float(finite("flow/warp_error", features["flow/warp_error"]).mean()),)
