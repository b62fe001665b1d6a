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
        Column("clip_t", "CLIP-T", "cosine", True, scale=100.0, limits=(-1.0, 1.0)),
    )

    def row(self, features: Features) -> tuple[float, ...]:
        """The mean cosine, in [-1, 1]."""
        frames = unit_rows("clip/frame", finite("clip/frame", features["clip/frame"]))
        text = finite("text/clip", features["text/clip"])
        if text.shape != frames.shape[1:]:
            raise MetricError(f"clip_t: text/clip has shape {text.shape}, the frames' embeddings {frames.shape[1:]}")
        text = unit_rows("text/clip", text[np.newaxis])[0]
        return (float(np.clip(frames @ text, -1.0, 1.0).mean()),)
