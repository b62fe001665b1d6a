"""Copying: is the face in the video nearer to a tuned photo, or to how the person would look there?"""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from pvbench.metrics.metric import Column, Facts, Features, Metric, face_rows, finite, unit_rows

_NO_TRUTH = "the true video of the cell is not known"


@dataclass(frozen=True)
class Copying(Metric):
    """Mean over frames of (angle to the true video - angle to the nearest tuned photo) / angle between these two.

    1 is the photo itself, 0 as near to the one as to the other, -1 the true video. Frames without a face have no part.

    Source: `copy_geo` of WithAnyone@996d152 (MultiID-Bench), whose truth is another photo of the person.
    """

    name: ClassVar[str] = "copying"
    version: ClassVar[int] = 1
    needs: ClassVar[tuple[str, ...]] = ("face/embedding", "face/detected", "tuned/face", "truth/face")
    parts: ClassVar[tuple[str, ...]] = ("face",)
    rule: ClassVar[Facts] = {"missing": "left out", "mean": "frames", "photo": "nearest tuned", "truth": "ceiling"}
    columns: ClassVar[tuple[Column, ...]] = (
        Column("copying", "Copying", "share of the way to a photo", False, limits=(-1.0, 1.0), undefined=_NO_TRUTH,
               group="beside",
               note="Copying: 1 a tuned photo's face, -1 that of the true video, 0 as near to both, as strangers are."),
    )  # fmt: skip
    trap: ClassVar[str] = "A stranger's face is as far from the one as from the other, and so is no one's copy."

    def row(self, features: Features) -> tuple[float, ...]:
        """In [-1, 1]; NaN where no frame has a face, or the true video or the photos are not known."""
        faces = face_rows("face/embedding", features["face/embedding"], features["face/detected"])
        if not (len(features["tuned/face"]) and len(features["truth/face"]) and len(faces)):
            return (math.nan,)
        photos = unit_rows("tuned/face", finite("tuned/face", features["tuned/face"]))
        (truth,) = unit_rows("truth/face", finite("truth/face", features["truth/face"]))
        nearest = photos[(faces @ photos.T).argmax(axis=1)]
        apart = _angle((nearest * truth).sum(axis=1))
        towards = _angle(faces @ truth) - _angle((faces * nearest).sum(axis=1))
        shares = np.divide(towards, apart, out=np.zeros_like(towards), where=apart > 1e-6)
        return (float(np.clip(shares, -1, 1).mean()),)


def _angle(cosine: np.ndarray) -> np.ndarray:
    found: np.ndarray = np.arccos(np.clip(cosine, -1, 1))
    return found
