"""Subject consistency: VBench's measure of a subject that keeps its looks, by DINO features of whole frames."""

from dataclasses import dataclass
from typing import ClassVar

from pvbench.metrics.background_consistency import likeness_to_before_and_first
from pvbench.metrics.metric import Column, Facts, Features, Metric


@dataclass(frozen=True)
class SubjectConsistency(Metric):
    """Mean over frames of how alike each is to the one before it and to the first, by DINO.

    Source: Vchitect/VBench@45e79ec subject_consistency.py. VBench averages over all frames of all videos, which for
        videos of one length is the mean over videos that stands here.
    """

    name: ClassVar[str] = "subject_consistency"
    version: ClassVar[int] = 1
    needs: ClassVar[tuple[str, ...]] = ("dino/frame",)
    parts: ClassVar[tuple[str, ...]] = ("dino",)
    rule: ClassVar[Facts] = {"pairs": "with the one before and the first", "negatives": 0}
    columns: ClassVar[tuple[Column, ...]] = (
        Column("subject_consistency", "Subj. Cons.", "cosine", True, fmt=".4f", limits=(0.0, 1.0),
               undefined="the video has a single frame",
               note="A still video is best in Subj. Cons.: read it beside the flow."),
    )  # fmt: skip
    trap: ClassVar[str] = "A still video scores 1."

    def row(self, features: Features) -> tuple[float, ...]:
        """The mean, in [0, 1]: negative cosines count 0; NaN for a single frame."""
        return (likeness_to_before_and_first("dino/frame", features),)
