"""Background consistency: VBench's measure of a scene that stays the same, by CLIP features of whole frames."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from pvbench.metrics.metric import Column, Facts, Features, Metric, finite, unit_rows


@dataclass(frozen=True)
class BackgroundConsistency(Metric):
    """Mean over frames of how alike each is to the one before it and to the first, by CLIP.

    Source: Vchitect/VBench@45e79ec background_consistency.py. VBench averages over all frames of all videos, which for
        videos of one length is the mean over videos that stands here; its frames are prepared by another resize.
    """

    name: ClassVar[str] = "background_consistency"
    version: ClassVar[int] = 1
    needs: ClassVar[tuple[str, ...]] = ("clip/frame",)
    parts: ClassVar[tuple[str, ...]] = ("clip",)
    rule: ClassVar[Facts] = {"pairs": "with the one before and the first", "negatives": 0}
    columns: ClassVar[tuple[Column, ...]] = (
        Column("background_consistency", "BG Cons.", "cosine", True, fmt=".4f", limits=(0.0, 1.0),
               undefined="the video has a single frame",
               note="A still video is best in BG Cons.: read it beside the flow."),
    )  # fmt: skip
    trap: ClassVar[str] = "A still video scores 1."

    def row(self, features: Features) -> tuple[float, ...]:
        """The mean, in [0, 1]: negative cosines count 0; NaN for a single frame."""
        return (likeness_to_before_and_first("clip/frame", features),)


def likeness_to_before_and_first(name: str, features: Features) -> float:
    """Mean cosine, negative ones as 0, of each row of a feature with the one before and the first; NaN for one row.

    Source: Vchitect/VBench@45e79ec subject_consistency.py and background_consistency.py.
    """
    frames = unit_rows(name, finite(name, features[name]))
    if frames.shape[0] == 1:
        return math.nan
    before = (frames[1:] * frames[:-1]).sum(axis=1)
    first = frames[1:] @ frames[0]
    return float((np.clip(before, 0.0, 1.0) + np.clip(first, 0.0, 1.0)).mean() / 2.0)
