"""HPS score: would people prefer these pictures for this prompt? HPSv2's answer, averaged over frames."""

from dataclasses import dataclass
from typing import ClassVar

from pvbench.metrics.clip_t import mean_cosine_to_text
from pvbench.metrics.metric import Column, Facts, Features, Metric


@dataclass(frozen=True)
class HpsScore(Metric):
    """Mean over frames of the cosine between frame and prompt, in the space of a CLIP tuned on people's choices.

    Source: Wu et al. 2023, hpsv2 1.2.0 img_score.score, which scores pictures; the mean over frames is as usual for
        videos.
    """

    name: ClassVar[str] = "hps_score"
    version: ClassVar[int] = 1
    needs: ClassVar[tuple[str, ...]] = ("hps/frame", "text/hps")
    parts: ClassVar[tuple[str, ...]] = ("hps",)
    rule: ClassVar[Facts] = {"mean": "frames"}
    columns: ClassVar[tuple[Column, ...]] = (
        Column("hps_score", "HPS", "cosine", True, scale=100.0, limits=(-1.0, 1.0),
               note="HPS is by the network whose preferences `personalvideo` is tuned to keep: it says little of it."),
    )  # fmt: skip
    trap: ClassVar[str] = "A method that is tuned to keep the preferences of this network scores well by construction."

    def row(self, features: Features) -> tuple[float, ...]:
        """The mean cosine, in [-1, 1]."""
        return (mean_cosine_to_text("hps/frame", "text/hps", features),)
