"""Head Sim: cosine between the whole heads, hair and skin included, in the frames and in the reference images."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from pvbench.metrics.face_sim import frame_similarity
from pvbench.metrics.metric import Column, Facts, Features, Metric, face_rows, finite, unit_rows
from pvbench.metrics.verification import NOT_SET, accepted, check_thresholds


@dataclass(frozen=True)
class HeadSim(Metric):
    """Mean cosine of the frames' heads to the template of the identity's references; frames without a face count 0.

    To its recogniser the same face with other hair, or in another skin, is somebody else.

    Attributes:
        threshold_1, threshold_01: cosines that 1 % and 0.1 % of strangers' frames reach; 0 where they are not known.

    Source: ours; as Face Sim. on wider crops, with classes that are people with their look.
    """

    threshold_1: float = 0.0
    threshold_01: float = 0.0

    name: ClassVar[str] = "head_sim"
    version: ClassVar[int] = 1
    needs: ClassVar[tuple[str, ...]] = ("head/embedding", "face/detected", "reference/head")
    parts: ClassVar[tuple[str, ...]] = ("head", "face")
    rule: ClassVar[Facts] = {"missing": 0, "mean": "frames", "reference": "template"}
    columns: ClassVar[tuple[Column, ...]] = (
        Column("head_sim", "Head Sim.", "cosine", True, scale=100.0, limits=(-1.0, 1.0), group="beside",
               note="Head Sim.: cosine × 100 of whole heads; with other hair the same face is somebody else."),
        Column("head_verified_1", "Head at 1 %", "share of frames", True, fmt=".1f", scale=100.0, limits=(0.0, 1.0),
               undefined=NOT_SET),
        Column("head_verified_01", "Head at 0.1 %", "share of frames", True, fmt=".1f", scale=100.0, limits=(0.0, 1.0),
               undefined=NOT_SET),
    )  # fmt: skip
    trap: ClassVar[str] = "A reference photo, held still, scores above the true person."

    def __post_init__(self) -> None:
        check_thresholds(self.name, self.threshold_1, self.threshold_01)

    def row(self, features: Features) -> tuple[float, ...]:
        """Mean cosine, and the shares of all frames that reach each threshold."""
        heads = face_rows("head/embedding", features["head/embedding"], features["face/detected"])
        references = unit_rows("reference/head", finite("reference/head", features["reference/head"]))
        frames = features["face/detected"].shape[0]
        similarity = frame_similarity(heads, references, "template") if heads.shape[0] else np.zeros(0)
        return (
            float(similarity.sum() / frames),
            accepted(similarity, frames, self.threshold_1),
            accepted(similarity, frames, self.threshold_01),
        )
