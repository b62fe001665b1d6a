"""Style: how far is a video drawn as a cartoon or as a sketch?"""

from dataclasses import dataclass
from typing import ClassVar

from pvbench.metrics.metric import Column, Facts, Features, Metric, finite


@dataclass(frozen=True)
class StyleReached(Metric):
    """Mean probability over frames that a frame is a cartoon, and that it is a sketch.

    Source: ours; a classifier of the miniature world's ways of drawing.
    """

    name: ClassVar[str] = "style"
    version: ClassVar[int] = 1
    needs: ClassVar[tuple[str, ...]] = ("style/probability",)
    parts: ClassVar[tuple[str, ...]] = ("style",)
    rule: ClassVar[Facts] = {"mean": "frames"}
    columns: ClassVar[tuple[Column, ...]] = (
        Column("style_cartoon", "Cartoon", "probability", True, fmt=".1f", scale=100.0, limits=(0.0, 1.0)),
        Column("style_sketch", "Sketch", "probability", True, fmt=".1f", scale=100.0, limits=(0.0, 1.0)),
    )
    trap: ClassVar[str] = "Strokes and flat tones are enough, whatever they show."

    def row(self, features: Features) -> tuple[float, ...]:
        """Of a cartoon, then of a sketch."""
        shares = finite("style/probability", features["style/probability"]).mean(axis=0)
        return float(shares[1]), float(shares[2])
