"""Face Sim: does the video show this person? Cosine between the faces in the frames and in the reference images."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from pvbench.metrics.metric import Column, Facts, Features, Metric, MetricError, face_rows, finite, unit_rows

REFERENCES = ("template", "nearest")


def frame_similarity(
    faces: Float[np.ndarray, "frames width"], references: Float[np.ndarray, "references width"], reference: str
) -> Float[np.ndarray, "frames"]:
    """Cosine of each face to the references, in [-1, 1]. Both inputs hold unit rows.

    ``template`` compares with the normalised mean of the references, ``nearest`` with the most similar one.

    Raises:
        MetricError: the references cancel out, so they have no mean direction.

    Source: the template is the usual way to pool a person's images in face verification (IJB). OpenS2V-Nexus@b452831
        clips negative cosines to 0; we keep them.
    """
    if reference == "template":
        references = unit_rows("reference/face", references.mean(axis=0, keepdims=True))
    found: Float[np.ndarray, frames] = np.clip((faces @ references.T).max(axis=1, initial=-1.0), -1.0, 1.0)
    return found


def face_trace(features: Features) -> Float[np.ndarray, "frames"] | None:
    """Cosine of each frame's face to the references' template, NaN without a face; None where it cannot be known."""
    if not all(features.get(name) is not None and features[name].size for name in FaceSim.needs):
        return None
    detected = np.asarray(features["face/detected"])
    references = unit_rows("reference/face", finite("reference/face", features["reference/face"]))
    found: Float[np.ndarray, frames] = np.full(detected.shape[0], math.nan)
    faces = face_rows("face/embedding", features["face/embedding"], detected)
    found[detected == 1] = frame_similarity(faces, references, "template")
    return found


@dataclass(frozen=True)
class FaceSim(Metric):
    """Mean cosine of the frames' faces to the identity's references, with missing faces as 0 and without them.

    The default reference is the template: the maximum over single images (``nearest``) rises with their number and
    rewards copying one photo. Which face of a frame counts when there are several is the evaluator's choice.
    """

    reference: str = "template"

    name: ClassVar[str] = "face_sim"
    version: ClassVar[int] = 1
    needs: ClassVar[tuple[str, ...]] = ("face/embedding", "face/detected", "reference/face")
    parts: ClassVar[tuple[str, ...]] = ("face",)
    rule: ClassVar[Facts] = {"missing": 0, "mean": "frames"}
    columns: ClassVar[tuple[Column, ...]] = (
        Column(
            "face_sim",
            "Face Sim.",
            "cosine",
            True,
            scale=100.0,
            limits=(-1.0, 1.0),
            group="main",
            note="Face Sim. is a cosine × 100.",
        ),
        Column(
            "face_sim_detected",
            "Face Sim. (found)",
            "cosine",
            True,
            scale=100.0,
            limits=(-1.0, 1.0),
            undefined="no frame of the video has a face",
            group="beside",
            note="Face Sim. (found) leaves out frames without a face; Face Sim. above counts them 0. Faces found is "
            "their share, in %.",
        ),
        Column(
            "face_detected",
            "Faces found",
            "share of frames",
            True,
            fmt=".1f",
            scale=100.0,
            limits=(0.0, 1.0),
            group="beside",
        ),
    )

    trap: ClassVar[str] = (
        "A reference photo, held still, scores above the true person, and one pasted into a video most of it."
    )

    def __post_init__(self) -> None:
        if self.reference not in REFERENCES:
            raise MetricError(f"face_sim: reference is one of {', '.join(REFERENCES)}, not {self.reference!r}")

    def row(self, features: Features) -> tuple[float, ...]:
        """`face_sim` with 0 for a frame without a face, `face_sim_detected` over the others, share of frames found."""
        faces = face_rows("face/embedding", features["face/embedding"], features["face/detected"])
        references = unit_rows("reference/face", finite("reference/face", features["reference/face"]))
        frames = features["face/detected"].shape[0]
        if not faces.shape[0]:
            return 0.0, math.nan, 0.0
        similarity = frame_similarity(faces, references, self.reference)
        return float(similarity.sum() / frames), float(similarity.mean()), faces.shape[0] / frames
