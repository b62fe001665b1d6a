"""The two other numbers of ConsisID's evaluation: what it calls FID, and its CLIPScore."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from pvbench.metrics.clip_t import mean_cosine_to_text
from pvbench.metrics.metric import Column, Facts, Features, Metric, MetricError
from pvbench.metrics.protocol_face import with_a_face


def face_distance(frames: np.ndarray, photos: np.ndarray) -> float:
    """Mean squared distance between the features of the frames' faces and those of the photos, 0 or more.

    Frames without a face are left out, and a video without any is 0. NaN where no photo has a face.

    Args:
        frames: (T, D), NaN where there is no face.
        photos: (R, D), likewise.

    Raises:
        MetricError: a row is NaN in part, or the two differ in width.
    """
    if frames.shape[1:] != photos.shape[1:]:
        raise MetricError(f"features of frames have shape {frames.shape}, of photos {photos.shape}: widths differ")
    rows, references = with_a_face("consisid/inception", frames), with_a_face("reference/inception", photos)
    if not len(references):
        return math.nan
    if not len(rows):
        return 0.0
    return float(((rows[:, np.newaxis] - references) ** 2).sum(axis=2).mean())


@dataclass(frozen=True)
class ConsisIDFid(Metric):
    """What ConsisID's evaluation calls FID: how far the faces' Inception features are from the photo's.

    The script takes the Fréchet distance between two copies of one face and two of another. Their covariances are zero,
    so that the squared distance is left.

    Source: PKU-YuanGroup/ConsisID@24f6448 eval/get_facesim_fid.py; several photos are ours, and averaged.
    """

    name: ClassVar[str] = "consisid_fid"
    version: ClassVar[int] = 1
    needs: ClassVar[tuple[str, ...]] = ("consisid/inception", "reference/inception")
    parts: ClassVar[tuple[str, ...]] = ("inception", "protocol_face")
    rule: ClassVar[Facts] = {"missing": "left out", "none": 0, "photos": "mean"}
    columns: ClassVar[tuple[Column, ...]] = (
        Column("consisid_fid", 'ConsisID "FID"', "squared distance", False, limits=(0.0, math.inf),
               undefined="no face is found in the reference photos",
               note='ConsisID "FID" is no Fréchet distance but one between single faces; 0, the best, is a video '
               "without a face. Not verified on the real weights."),
    )  # fmt: skip
    trap: ClassVar[str] = "A video in which no face is found has 0, the best; the photo held still comes next."

    def row(self, features: Features) -> tuple[float, ...]:
        """0 or more; NaN where no photo has a face."""
        return (face_distance(features["consisid/inception"], features["reference/inception"]),)


@dataclass(frozen=True)
class ConsisIDClipScore(Metric):
    """ConsisID's CLIPScore: mean CLIP cosine of 16 frames, red and blue exchanged, to the prompt.

    Source: PKU-YuanGroup/ConsisID@b6132de eval/get_clipscore.py, whose logits are cosines times 100.
    """

    name: ClassVar[str] = "consisid_clip_score"
    version: ClassVar[int] = 1
    needs: ClassVar[tuple[str, ...]] = ("consisid/clip", "text/consisid_clip")
    parts: ClassVar[tuple[str, ...]] = ("protocol_clip",)
    rule: ClassVar[Facts] = {"text": "class noun", "mean": "frames"}
    columns: ClassVar[tuple[Column, ...]] = (
        Column("consisid_clip_score", "ConsisID CLIPScore", "cosine", True, scale=100.0, limits=(-1.0, 1.0),
               note="ConsisID CLIPScore sees red as blue, as its script does; not verified on the real weights."),
    )  # fmt: skip
    trap: ClassVar[str] = "Red and blue are exchanged: a blue coat serves a prompt that asks for a red one."

    def row(self, features: Features) -> tuple[float, ...]:
        """The mean cosine, in [-1, 1]."""
        return (mean_cosine_to_text("consisid/clip", "text/consisid_clip", features),)
