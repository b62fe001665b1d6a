"""FaceSim as OpenS2V-Eval and ConsisID publish it, so that a number can stand beside theirs."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from pvbench.metrics.metric import Column, Facts, Features, Metric, finite, unit_rows

_NO_FACE = "no face is found in the reference photos"


def face_sim(frames: np.ndarray, photos: np.ndarray, *, drop_zeros: bool) -> float:
    """Mean over the photos with a face of the protocols' score; NaN where no photo has one.

    A frame's score is its cosine, or 0 where that is negative. Frames without a face are left out, and a video without
    any is 0.

    Args:
        frames: (T, D), NaN where there is no face.
        photos: (R, D), likewise.
        drop_zeros: whether frames that score 0 are left out, too.
    """
    rows = _directions("the frames' embedding", frames)
    scores = [
        _mean(np.maximum(rows @ photo, 0.0) if len(rows) else np.zeros(0), drop_zeros)
        for photo in _directions("the photos' embedding", photos)
    ]
    return float(np.mean(scores)) if scores else math.nan


def with_a_face(name: str, rows: np.ndarray) -> np.ndarray:
    """The rows (T, D) of a feature that are not NaN throughout, in float64; none where all are.

    Raises:
        MetricError: a row is not finite in part.
    """
    values = np.asarray(rows, np.float64)
    seen = ~np.isnan(values).all(axis=1)
    return finite(name, values[seen]) if seen.any() else values[:0]


def _directions(name: str, rows: np.ndarray) -> np.ndarray:
    found = with_a_face(name, rows)
    return unit_rows(name, found) if len(found) else found


def _mean(scores: np.ndarray, drop_zeros: bool) -> float:
    kept = scores[scores != 0] if drop_zeros else scores
    return float(kept.mean()) if kept.size else 0.0


@dataclass(frozen=True)
class OpenS2VFace(Metric):
    """FaceSim-Cur of OpenS2V-Eval, and the FaceSim-Arc that the same script computes.

    Source: PKU-YuanGroup/OpenS2V-Nexus@d19c2ce eval/get_facesim.py, frames with a cosine of 0 or below dropped from the
    mean of FaceSim-Cur included; several photos are ours, and averaged.
    """

    name: ClassVar[str] = "opens2v_face"
    version: ClassVar[int] = 1
    needs: ClassVar[tuple[str, ...]] = (
        "opens2v/cur", "opens2v/arc", "reference/protocol_cur", "reference/protocol_arc",
    )  # fmt: skip
    parts: ClassVar[tuple[str, ...]] = ("curricular", "protocol_face")
    rule: ClassVar[Facts] = {"missing": "left out", "negative": "cur: left out, arc: 0", "photos": "mean"}
    columns: ClassVar[tuple[Column, ...]] = (
        Column("opens2v_cur", "OpenS2V FaceSim", "cosine", True, fmt=".2f", scale=100.0, limits=(0.0, 1.0),
               undefined=_NO_FACE, note="OpenS2V FaceSim, OpenS2V Arc: as OpenS2V-Eval computes them; not verified on "
               "the real weights."),
        Column("opens2v_arc", "OpenS2V Arc", "cosine", True, fmt=".2f", scale=100.0, limits=(0.0, 1.0),
               undefined=_NO_FACE),
    )  # fmt: skip
    trap: ClassVar[str] = "Frames without a face, or with a stranger's, are left out: few good frames are enough."

    def row(self, features: Features) -> tuple[float, ...]:
        """In [0, 1]; NaN where no photo has a face."""
        return (
            face_sim(features["opens2v/cur"], features["reference/protocol_cur"], drop_zeros=True),
            face_sim(features["opens2v/arc"], features["reference/protocol_arc"], drop_zeros=False),
        )


@dataclass(frozen=True)
class ConsisIDFace(Metric):
    """FaceSim-Arc and FaceSim-Cur of ConsisID's evaluation.

    Source: PKU-YuanGroup/ConsisID@24f6448 eval/get_facesim_fid.py; several photos are ours, and averaged.
    """

    name: ClassVar[str] = "consisid_face"
    version: ClassVar[int] = 1
    needs: ClassVar[tuple[str, ...]] = (
        "consisid/cur", "consisid/arc", "reference/protocol_cur", "reference/protocol_arc",
    )  # fmt: skip
    parts: ClassVar[tuple[str, ...]] = ("curricular", "protocol_face")
    rule: ClassVar[Facts] = {"missing": "left out", "negative": 0, "photos": "mean"}
    columns: ClassVar[tuple[Column, ...]] = (
        Column("consisid_arc", "ConsisID Arc", "cosine", True, fmt=".2f", scale=100.0, limits=(0.0, 1.0),
               undefined=_NO_FACE, note="ConsisID Arc, ConsisID Cur: FaceSim as ConsisID computes it; not verified on "
               "the real weights."),
        Column("consisid_cur", "ConsisID Cur", "cosine", True, fmt=".2f", scale=100.0, limits=(0.0, 1.0),
               undefined=_NO_FACE),
    )  # fmt: skip
    trap: ClassVar[str] = "Frames without a face are left out: a method that hides the face in most frames is not hurt."

    def row(self, features: Features) -> tuple[float, ...]:
        """In [0, 1]; NaN where no photo has a face."""
        return (
            face_sim(features["consisid/arc"], features["reference/protocol_arc"], drop_zeros=False),
            face_sim(features["consisid/cur"], features["reference/protocol_cur"], drop_zeros=False),
        )
