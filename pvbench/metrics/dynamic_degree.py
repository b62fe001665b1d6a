"""Dynamic Degree: does the video move? VBench's yes or no, and beside it the mean size of the movement."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from pvbench.metrics.metric import Column, Facts, Features, Metric, MetricError, finite

SAMPLED_FPS = 8
"""VBench looks at about this many frames a second, whatever the video's own rate."""


def sampling_interval(fps: float) -> int:
    """Every how many frames VBench keeps one, from frame 0. Halves round to even: 12 fps -> 2, 20 -> 2, 28 -> 4.

    Source: Vchitect/VBench@45e79ec dynamic_degree.py.
    """
    return max(1, round(fps / SAMPLED_FPS))


def flow_threshold(height: int, width: int, scale: float = 1.0) -> float:
    """Pixels that the fastest 5 % must move between two kept frames: 6 on a short side of 256, in proportion.

    Source: Vchitect/VBench@45e79ec dynamic_degree.py, which has no `scale`.
    """
    return scale * 6.0 * min(height, width) / 256.0


def passes_needed(frames: int) -> int:
    """How many pairs of kept frames must pass the threshold. Halves round to even: 6 frames -> 2, 8 -> 2, 16 -> 4.

    Source: Vchitect/VBench@45e79ec dynamic_degree.py.
    """
    return round(4 * frames / 16)


def is_dynamic(magnitudes: Float[np.ndarray, "pairs"], threshold: float) -> bool:
    """Whether enough pairs of frames move more than the threshold; False for a single frame.

    Two frames need no pass at all, so they always count as dynamic: VBench's rule, kept.
    """
    passes = int((magnitudes > threshold).sum())
    return magnitudes.size > 0 and passes >= passes_needed(magnitudes.size + 1)


@dataclass(frozen=True)
class DynamicDegree(Metric):
    """VBench's dynamic degree (1 or 0 for a video) and the mean flow of the fastest 5 % of pixels.

    `threshold_scale` multiplies VBench's threshold, for profiles whose videos are framed so that it decides nothing.
    The flow is given in pixels of a short side of 256, where VBench's threshold is 6 at every resolution, and for an
    eighth of a second: pairs that are further apart in time, as at 12 frames a second, count in proportion.
    """

    threshold_scale: float = 1.0

    name: ClassVar[str] = "dynamic_degree"
    version: ClassVar[int] = 2
    needs: ClassVar[tuple[str, ...]] = ("flow/top5", "flow/size", "flow/fps")
    parts: ClassVar[tuple[str, ...]] = ("flow",)
    rule: ClassVar[Facts] = {"pixels": "fastest 5%", "threshold": "6px@256", "pairs": "round(4n/16)"}
    columns: ClassVar[tuple[Column, ...]] = (
        Column("dynamic_degree", "Dyna. Deg.", "share of videos", True, scale=100.0, limits=(0.0, 1.0), group="main",
               note="Dyna. Deg. is % of videos."),
        Column("flow_magnitude", "Flow", "px in 1/8 s at a short side of 256", True, limits=(0.0, math.inf),
               group="beside",
               note="Flow is the mean flow of the fastest 5 % of pixels in 1/8 s, in pixels of a short side of 256; "
                    "VBench calls a video dynamic where enough pairs of frames about as far apart exceed 6 (see the "
                    "signature)."),
    )  # fmt: skip
    trap: ClassVar[str] = "Flicker and a panned still picture count as motion."

    def __post_init__(self) -> None:
        if not self.threshold_scale > 0:
            raise MetricError(f"dynamic_degree: threshold_scale is above 0, not {self.threshold_scale!r}")

    def row(self, features: Features) -> tuple[float, ...]:
        """1 or 0, and the mean top-5 % flow; a video of one frame has no pair and gives 0 and 0.

        Raises:
            MetricError: the pairs are closer in time than VBench's, so that their flow is not the rule's.
        """
        height, width = (int(side) for side in finite("flow/size", features["flow/size"]))
        fps = float(finite("flow/fps", features["flow/fps"])[0])
        if sampling_interval(fps) != 1:
            raise MetricError(
                f"dynamic_degree: flow/top5 comes from pairs at {fps:g} a second; the rule is defined for pairs at "
                f"about {SAMPLED_FPS}: keep every {sampling_interval(fps)}th frame before computing the flow"
            )
        if features["flow/top5"].size == 0:
            return 0.0, 0.0
        magnitudes = finite("flow/top5", features["flow/top5"])
        dynamic = is_dynamic(magnitudes, flow_threshold(height, width, self.threshold_scale))
        return float(dynamic), float(magnitudes.mean() * 256.0 / min(height, width) * fps / SAMPLED_FPS)
