"""Same person: does nothing tell the video from one of the person, neither face, skin, hair, beard nor glasses?"""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from pvbench.metrics.head_colours import HeadColours
from pvbench.metrics.look import LABELS, label_rows
from pvbench.metrics.metric import Column, Facts, Features, Metric, MetricError, face_rows, finite, unit_rows


@dataclass(frozen=True)
class SamePerson(Metric):
    """Share of videos that pass for the person in face, skin colour, hair, beard and glasses at once.

    Attributes:
        face: the cosine to the true video's mean face that the frames' faces have to reach on average; 0 where no
            limits are known.
        skin, hair: the largest mean colour differences to the true video of the cell, in CIELAB units.
        look: the smallest probability of each of the person's hair style, hair colour, beard and glasses, as the
            geometric mean over the frames.

    Source: ours; a face check beside soft biometrics (Jain, Dass and Nandakumar, 2004), all of which must agree.
    """

    face: float = 0.0
    skin: float = 0.0
    hair: float = 0.0
    look: float = 0.0

    name: ClassVar[str] = "same_person"
    version: ClassVar[int] = 1
    needs: ClassVar[tuple[str, ...]] = (
        *("face/embedding", "face/detected", "truth/face"),
        *HeadColours.needs,
        *(f"look/{label}" for label in LABELS),
        *(f"reference/look_{label}" for label in LABELS),
    )
    parts: ClassVar[tuple[str, ...]] = ("face", "colours", "head")
    rule: ClassVar[Facts] = {
        "missing": 0,
        "mean": "frames",
        "difference": "CIE 1976",
        "truth": "ceiling",
        "look": "most likely over the photos",
    }
    columns: ClassVar[tuple[Column, ...]] = (
        Column("same_person", "Same person", "share of videos", True, fmt=".1f", scale=100.0, limits=(0.0, 1.0),
               undefined="the profile sets no limits for these evaluators, or the true video of the cell is not known",
               group="beside",
               note="Same person: % of videos whose face, skin, hair, beard and glasses all pass for the person's."),
    )  # fmt: skip
    trap: ClassVar[str] = "A reference photo, held still, passes in most videos."

    def __post_init__(self) -> None:
        limits = {"face": self.face, "skin": self.skin, "hair": self.hair, "look": self.look}
        for name, limit in limits.items():
            if not 0 <= limit < math.inf or (name in ("face", "look") and limit > 1):
                raise MetricError(
                    f"{self.name}: {name} is {limit}; expected a number from 0 to 1 for face and look, and a "
                    "difference of at least 0 for skin and hair"
                )
        if len({limit > 0 for limit in limits.values()}) > 1:
            raise MetricError(f"{self.name}: face, skin, hair and look are set together or not at all; got {limits}")

    def row(self, features: Features) -> tuple[float, ...]:
        """1 for a video that passes, else 0; NaN without limits or without the true video."""
        if not self.face or not all(len(features[f"truth/{name}"]) for name in ("face", "skin", "crown")):
            return (math.nan,)
        face, skin, hair, look = evidence(features)
        # NaN, of a video without a face, is within no limit.
        return (float(face >= self.face and skin <= self.skin and hair <= self.hair and look >= self.look),)


def evidence(features: Features) -> tuple[float, float, float, float]:
    """What `SamePerson` holds against its limits: face, skin, hair and look, over the frames of a video.

    The face's cosine is 0 in frames without a face; the others are NaN where no frame has one.
    """
    detected = np.asarray(features["face/detected"]) == 1
    faces = face_rows("face/embedding", features["face/embedding"], features["face/detected"])
    (truth,) = unit_rows("truth/face", finite("truth/face", features["truth/face"]))
    skin, hair = HeadColours().row(features)
    return (
        float((faces @ truth).sum()) / detected.size,
        skin,
        hair,
        min(_probability(features, label, detected) for label in LABELS),
    )


def _probability(features: Features, label: str, detected: np.ndarray) -> float:
    frames, wanted = label_rows(features, label, detected)
    return float(np.exp(np.log(frames[:, wanted].astype(np.float64) + 1e-6).mean())) if len(frames) else math.nan
