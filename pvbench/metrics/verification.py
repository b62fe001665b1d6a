"""Verification: is the face in a frame accepted as the person's, where 1 % or 0.1 % of strangers' frames would be?"""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from pvbench.metrics.face_sim import frame_similarity
from pvbench.metrics.metric import Column, Facts, Features, Metric, MetricError, face_rows, finite, unit_rows

NOT_SET = "the profile sets no threshold for these evaluators"


def check_thresholds(metric: str, at_1: float, at_01: float) -> None:
    """Refuses thresholds that no cosine reaches, or that are the wrong way round.

    Raises:
        MetricError: one is outside [0, 1], or the stricter one is the lower one.
    """
    for name, value in (("threshold_1", at_1), ("threshold_01", at_01)):
        if not 0 <= value <= 1:
            raise MetricError(f"{metric}: {name} is {value}; expected a cosine from 0, which sets none, to 1")
    if at_1 and at_01 and at_01 < at_1:
        raise MetricError(
            f"{metric}: threshold_01 is {at_01}, below threshold_1 = {at_1}; fewer strangers reach a higher cosine: "
            "exchange them"
        )


def accepted(similarity: Float[np.ndarray, "found"], frames: int, threshold: float) -> float:
    """Share of all `frames` whose face reaches the threshold; NaN for the threshold 0, which is none."""
    return float((similarity >= threshold).sum()) / frames if threshold else math.nan


@dataclass(frozen=True)
class Verification(Metric):
    """Shares of frames whose face is accepted as the person's, at thresholds that strangers seldom reach.

    Attributes:
        threshold_1, threshold_01: cosines that 1 % and 0.1 % of strangers' frames reach; 0 where they are not known.

    Source: true accepts at a fixed rate of false accepts, as face verification reports them (IJB-C, Maze et al., 2018).
    """

    threshold_1: float = 0.0
    threshold_01: float = 0.0

    name: ClassVar[str] = "verification"
    version: ClassVar[int] = 1
    needs: ClassVar[tuple[str, ...]] = ("face/embedding", "face/detected", "reference/face")
    parts: ClassVar[tuple[str, ...]] = ("face",)
    rule: ClassVar[Facts] = {"missing": "refused", "mean": "frames", "reference": "template"}
    columns: ClassVar[tuple[Column, ...]] = (
        Column("verified_1", "Verified at 1 %", "share of frames", True, fmt=".1f", scale=100.0, limits=(0.0, 1.0),
               undefined=NOT_SET, group="beside",
               note="Verified at 1 %: % of frames whose face is as near to the person's photos as that of one stranger "
               "in a hundred."),
        Column("verified_01", "Verified at 0.1 %", "share of frames", True, fmt=".1f", scale=100.0, limits=(0.0, 1.0),
               undefined=NOT_SET),
    )  # fmt: skip
    trap: ClassVar[str] = "A reference photo is accepted in every frame, held still, and in most, pasted into a video."

    def __post_init__(self) -> None:
        check_thresholds(self.name, self.threshold_1, self.threshold_01)

    def row(self, features: Features) -> tuple[float, ...]:
        """Shares in [0, 1] of all frames; a frame without a face is not accepted."""
        faces = face_rows("face/embedding", features["face/embedding"], features["face/detected"])
        references = unit_rows("reference/face", finite("reference/face", features["reference/face"]))
        frames = features["face/detected"].shape[0]
        similarity = frame_similarity(faces, references, "template") if faces.shape[0] else np.zeros(0)
        return accepted(similarity, frames, self.threshold_1), accepted(similarity, frames, self.threshold_01)
