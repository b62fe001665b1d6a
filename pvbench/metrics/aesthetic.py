"""Aesthetic scores as VBench and OpenS2V-Eval compute them."""

from dataclasses import dataclass
from typing import ClassVar

from pvbench.metrics.metric import Column, Facts, Features, Metric, finite


@dataclass(frozen=True)
class AestheticQuality(Metric):
    """VBench's aesthetic quality: the mean over all frames of LAION's linear predictor, divided by 10.

    Source: Vchitect/VBench@11d473b aesthetic_quality.py.
    """

    name: ClassVar[str] = "aesthetic_quality"
    version: ClassVar[int] = 1
    needs: ClassVar[tuple[str, ...]] = ("vbench/aesthetic",)
    parts: ClassVar[tuple[str, ...]] = ("aesthetic_clip", "aesthetic")
    rule: ClassVar[Facts] = {"mean": "frames", "divided_by": 10}
    columns: ClassVar[tuple[Column, ...]] = (
        Column("aesthetic_quality", "Aesthetic", "share", True, scale=100.0,
               note="Aesthetic is of single frames; not verified on the real weights."),
    )  # fmt: skip
    trap: ClassVar[str] = "It judges single pictures: whom they show and whether they move plays no part."

    def row(self, features: Features) -> tuple[float, ...]:
        """About 0 to 1; nothing bounds it."""
        return (float(finite("vbench/aesthetic", features["vbench/aesthetic"]).mean()) / 10,)


@dataclass(frozen=True)
class OpenS2VAesthetic(Metric):
    """OpenS2V-Eval's AestheticScore: the mean over 32 frames of the improved aesthetic predictor.

    Source: PKU-YuanGroup/OpenS2V-Nexus@d19c2ce eval/get_aesscore.py.
    """

    name: ClassVar[str] = "opens2v_aesthetic"
    version: ClassVar[int] = 1
    needs: ClassVar[tuple[str, ...]] = ("opens2v/aesthetic",)
    parts: ClassVar[tuple[str, ...]] = ("aesthetic_clip", "opens2v_aesthetic")
    rule: ClassVar[Facts] = {"mean": "frames"}
    columns: ClassVar[tuple[Column, ...]] = (
        Column("opens2v_aesthetic", "OpenS2V Aesthetic", "points", True, fmt=".3f",
               note="OpenS2V Aesthetic is of single frames; not verified on the real weights."),
    )  # fmt: skip
    trap: ClassVar[str] = "It judges single pictures: whom they show and whether they move plays no part."

    def row(self, features: Features) -> tuple[float, ...]:
        """About 1 to 10; nothing bounds it."""
        return (float(finite("opens2v/aesthetic", features["opens2v/aesthetic"]).mean()),)
