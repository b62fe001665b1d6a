"""Line-up: of all the people of the run, is the one who was asked for the one that the video resembles most?"""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from pvbench.metrics.metric import Column, Facts, Features, Metric, face_rows, finite, unit_rows

FEWEST = 5
"""People of a line-up, the right one among them; with fewer, chance is right too often."""

_TOO_FEW = f"fewer than {FEWEST} people in the run"
_NO_FOILS = "no look-alikes of the person were rendered"


@dataclass(frozen=True)
class LineUp(Metric):
    """Whether the video's faces are nearer to the person's photos than to anybody else's, and by how much.

    Chance is 1 in as many as there are people; a scale of cosines need not be known.

    Source: ours; closed-set identification at rank 1, as in face recognition (Phillips et al., 2011).
    """

    name: ClassVar[str] = "line_up"
    version: ClassVar[int] = 1
    needs: ClassVar[tuple[str, ...]] = (
        "face/embedding", "face/detected", "reference/face", "others/face", "foils/face",
    )  # fmt: skip
    parts: ClassVar[tuple[str, ...]] = ("face",)
    rule: ClassVar[Facts] = {"missing": 0, "mean": "frames", "reference": "template", "line_up": "people of the run"}
    columns: ClassVar[tuple[Column, ...]] = (
        Column("line_up", "Line-up", "share of videos", True, fmt=".1f", scale=100.0, limits=(0.0, 1.0),
               undefined=_TOO_FEW, group="beside",
               note="Line-up: % of videos that are nearer to the person's photos than to those of anybody else in the "
               "run; more people make it harder."),
        Column("line_up_foils", "Look-alikes", "share of videos", True, fmt=".1f", scale=100.0, limits=(0.0, 1.0),
               undefined=_NO_FOILS, group="beside",
               note="Look-alikes: the same among the person and four strangers with the person's hair, skin, beard and "
               "glasses; chance is 20 %."),
        Column("line_up_margin", "Margin", "cosine", True, scale=100.0, limits=(-2.0, 2.0), undefined=_TOO_FEW),
    )  # fmt: skip
    trap: ClassVar[str] = "A reference photo is always found, held still, and nearly always, pasted into a video."

    def row(self, features: Features) -> tuple[float, ...]:
        """1 or 0 among the run's people, the same among look-alikes, and the margin to the nearest of the people."""
        right, margin = _against(features, "others/face")
        return right, _against(features, "foils/face")[0], margin


def _against(features: Features, name: str) -> tuple[float, float]:
    """Whether the person is the nearest, and the mean similarity less that to the nearest other; NaN among too few."""
    if len(features[name]) < FEWEST - 1:
        return math.nan, math.nan
    others = finite(name, features[name])
    faces = face_rows("face/embedding", features["face/embedding"], features["face/detected"])
    if not faces.shape[0]:
        return 0.0, 0.0
    references = unit_rows("reference/face", finite("reference/face", features["reference/face"]))
    own = unit_rows("reference/face", references.mean(axis=0, keepdims=True))
    # Frames without a face are as like to one as to another.
    similar = (faces @ np.concatenate([own, others]).T).sum(axis=0) / features["face/detected"].shape[0]
    margin = float(similar[0] - similar[1:].max())
    return float(margin > 0), margin
