"""Line-up: of all the people of the run, is the one who was asked for the one that the video resembles most?"""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from pvbench.metrics.metric import Column, Facts, Features, Metric, face_rows, finite, unit_rows

FEWEST = 5
"""People of a line-up, the right one among them; with fewer, chance is right too often."""

_TOO_FEW = f"fewer than {FEWEST} people in the run"


@dataclass(frozen=True)
class LineUp(Metric):
    """Whether the video's faces are nearer to the person's photos than to anybody else's, and by how much.

    Chance is 1 in as many as there are people; a scale of cosines need not be known.

    Source: ours; closed-set identification at rank 1, as in face recognition (Phillips et al., 2011).
    """

    name: ClassVar[str] = "line_up"
    version: ClassVar[int] = 1
    needs: ClassVar[tuple[str, ...]] = ("face/embedding", "face/detected", "reference/face", "others/face")
    parts: ClassVar[tuple[str, ...]] = ("face",)
    rule: ClassVar[Facts] = {"missing": 0, "mean": "frames", "reference": "template", "line_up": "people of the run"}
    columns: ClassVar[tuple[Column, ...]] = (
        Column("line_up", "Line-up", "share of videos", True, fmt=".1f", scale=100.0, limits=(0.0, 1.0),
               undefined=_TOO_FEW, group="beside",
               note="Line-up: % of videos that are nearer to the person's photos than to those of anybody else in the "
               "run; more people make it harder."),
        Column("line_up_margin", "Margin", "cosine", True, scale=100.0, limits=(-2.0, 2.0), undefined=_TOO_FEW),
    )  # fmt: skip
    trap: ClassVar[str] = "A reference photo, held still or pasted into the video, is always found."

    def row(self, features: Features) -> tuple[float, ...]:
        """1 or 0, and the mean similarity to the person less that to the nearest other one; NaN below five people."""
        if len(features["others/face"]) < FEWEST - 1:
            return math.nan, math.nan
        others = finite("others/face", features["others/face"])
        faces = face_rows("face/embedding", features["face/embedding"], features["face/detected"])
        if not faces.shape[0]:
            return 0.0, 0.0
        references = unit_rows("reference/face", finite("reference/face", features["reference/face"]))
        own = unit_rows("reference/face", references.mean(axis=0, keepdims=True))
        # Frames without a face are as like to one as to another.
        similar = (faces @ np.concatenate([own, others]).T).sum(axis=0) / features["face/detected"].shape[0]
        margin = float(similar[0] - similar[1:].max())
        return float(margin > 0), margin
