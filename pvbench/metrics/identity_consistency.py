"""Identity consistency: is it the same person throughout the video, whoever that is?"""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from pvbench.metrics.metric import Column, Facts, Features, Metric, face_rows

_UNDEFINED = "fewer than two frames of the video have a face"


@dataclass(frozen=True)
class IdentityConsistency(Metric):
    """Cosine between the faces of a video's own frames: over all pairs, and of the first with the last.

    Needs no reference image. A still face scores 1: read it beside the flow.

    Source: the usual reading of "identity drift" in long videos; no public benchmark has a fixed form of it. VBench-2.0
        human_identity compares with the first frame alone and thresholds at 0.4.
    """

    name: ClassVar[str] = "identity_consistency"
    version: ClassVar[int] = 1
    needs: ClassVar[tuple[str, ...]] = ("face/embedding", "face/detected")
    parts: ClassVar[tuple[str, ...]] = ("face",)
    rule: ClassVar[Facts] = {"pairs": "all frames with a face"}
    columns: ClassVar[tuple[Column, ...]] = (
        Column("identity_consistency", "ID Cons.", "cosine", True, scale=100.0, limits=(-1.0, 1.0),
               undefined=_UNDEFINED, note="A still face is best in ID Cons. and drift: read them beside the flow."),
        Column("identity_drift", "ID drift", "1 - cosine", False, scale=100.0, limits=(0.0, 2.0), undefined=_UNDEFINED),
    )  # fmt: skip
    trap: ClassVar[str] = "A still face scores 1, and so does anybody else's."

    def row(self, features: Features) -> tuple[float, ...]:
        """Mean cosine over all pairs, in [-1, 1], and 1 minus that of the first and the last face; NaN without two."""
        faces = face_rows("face/embedding", features["face/embedding"], features["face/detected"])
        count = faces.shape[0]
        if count < 2:
            return math.nan, math.nan
        cosine = np.clip(faces @ faces.T, -1.0, 1.0)
        pairs = cosine[np.triu_indices(count, 1)]
        return float(pairs.mean()), float(1.0 - cosine[0, -1])
