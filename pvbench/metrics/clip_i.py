"""CLIP-I: does the video look like the reference images? CLIP cosine, of whole frames and of the faces alone."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from pvbench.metrics.metric import Column, Facts, Features, Metric, face_rows, finite, unit_rows


def mean_cosine(
    frames: Float[np.ndarray, "frames width"], references: Float[np.ndarray, "references width"]
) -> Float[np.ndarray, "frames"]:
    """Each frame's mean cosine over the references, in [-1, 1]. Both inputs hold unit rows."""
    found: Float[np.ndarray, frames] = np.clip(frames @ references.T, -1.0, 1.0).mean(axis=1)
    return found


@dataclass(frozen=True)
class ClipI(Metric):
    """Mean CLIP cosine over frames and references: `clip_i` of whole pictures, `clip_i_face` of the face crops.

    Whole pictures reward copying the references' background and framing, so the face crops stand beside them.

    Source: DreamVideo (VGen) cal_metric for `clip_i`; `clip_i_face` is ours.
    """

    name: ClassVar[str] = "clip_i"
    version: ClassVar[int] = 1
    needs: ClassVar[tuple[str, ...]] = (
        "clip/frame",
        "reference/clip",
        "clip/face",
        "face/detected",
        "reference/clip_face",
    )
    parts: ClassVar[tuple[str, ...]] = ("clip", "face")
    rule: ClassVar[Facts] = {"missing": 0, "mean": "frames x references"}
    columns: ClassVar[tuple[Column, ...]] = (
        Column("clip_i", "CLIP-I", "cosine", True, scale=100.0, limits=(-1.0, 1.0), group="main",
               note="CLIP-I is a cosine × 100. A copied background raises it: read it beside CLIP-I (face)."),
        Column("clip_i_face", "CLIP-I (face)", "cosine", True, scale=100.0, limits=(-1.0, 1.0), group="beside",
               note="CLIP-I (face) compares face crops, where CLIP-I compares whole pictures and rewards a copied "
                    "background."),
    )  # fmt: skip
    trap: ClassVar[str] = "The reference photo itself, held still, scores higher than the true person in the scene."

    def row(self, features: Features) -> tuple[float, ...]:
        """The two means, in [-1, 1]; a frame without a face counts 0 in `clip_i_face`."""
        whole = mean_cosine(
            unit_rows("clip/frame", finite("clip/frame", features["clip/frame"])),
            unit_rows("reference/clip", finite("reference/clip", features["reference/clip"])),
        )
        faces = mean_cosine(
            face_rows("clip/face", features["clip/face"], features["face/detected"]),
            unit_rows("reference/clip_face", finite("reference/clip_face", features["reference/clip_face"])),
        )
        return float(whole.mean()), float(faces.sum() / whole.size)
