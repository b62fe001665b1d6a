"""CLIP-T: does the video show what the prompt says? CLIP cosine between the frames and the prompt."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from pvbench.metrics.metric import Column, Facts, Features, Metric, MetricError, finite, unit_rows


@dataclass(frozen=True)
class ClipT(Metric):
    """Mean CLIP cosine of all frames to the prompt, the placeholder replaced by the class noun.

    Source: DreamVideo (VGen) cal_metric.
    """

    name: ClassVar[str] = "clip_t"
    version: ClassVar[int] = 1
    needs: ClassVar[tuple[str, ...]] = ("clip/frame", "text/clip")
    parts: ClassVar[tuple[str, ...]] = ("clip",)
    rule: ClassVar[Facts] = {"text": "class noun", "mean": "frames"}
    columns: ClassVar[tuple[Column, ...]] = (
        Column("clip_t", "CLIP-T", "cosine", True, scale=100.0, limits=(-1.0, 1.0), group="main",
               note="CLIP-T is a cosine × 100."),
    )  # fmt: skip
    trap: ClassVar[str] = "The prompt written into the picture raises it, and so does a still picture of the scene."

    def row(self, features: Features) -> tuple[float, ...]:
        """The mean cosine, in [-1, 1]."""
        return (mean_cosine_to_text("clip/frame", "text/clip", features),)


def mean_cosine_to_text(of_frames: str, of_text: str, features: Features) -> float:
    """Mean cosine, in [-1, 1], of the rows of a feature and the one embedding of a text.

    Raises:
        MetricError: a feature is empty or not finite, or the two differ in width.
    """
    frames = unit_rows(of_frames, finite(of_frames, features[of_frames]))
    text = finite(of_text, features[of_text])
    if text.shape != frames.shape[1:]:
        raise MetricError(f"the feature {of_text!r} has shape {text.shape}, the frames' embeddings {frames.shape[1:]}")
    text = unit_rows(of_text, text[np.newaxis])[0]
    return float(np.clip(frames @ text, -1.0, 1.0).mean())
