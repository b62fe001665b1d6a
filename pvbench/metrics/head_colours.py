"""Head colours: how far are skin and hair from those of the true video of the cell?"""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from pvbench.metrics.metric import Column, Facts, Features, Metric, MetricError, finite

_NO_TRUTH = "the true video of the cell is not known, or no frame has a face"


@dataclass(frozen=True)
class HeadColours(Metric):
    """Mean over frames of the colour difference to the true video's mean colour, of skin and of what is above it.

    The true video has the prompt's light, so that a face by sunset is compared with the same face by sunset.

    Source: ours; the difference is CIE 1976 (ISO/CIE 11664-4), the Euclidean distance in CIELAB, D65.
    """

    name: ClassVar[str] = "head_colours"
    version: ClassVar[int] = 1
    needs: ClassVar[tuple[str, ...]] = ("colours/skin", "colours/crown", "truth/skin", "truth/crown")
    parts: ClassVar[tuple[str, ...]] = ("colours", "face")
    rule: ClassVar[Facts] = {"missing": "left out", "mean": "frames", "difference": "CIE 1976", "truth": "ceiling"}
    columns: ClassVar[tuple[Column, ...]] = (
        Column("skin_difference", "Skin diff.", "CIELAB units", False, fmt=".1f", limits=(0.0, math.inf),
               undefined=_NO_TRUTH, group="beside",
               note="Skin diff., Hair diff.: distance in CIELAB to the colours in the true video of the cell; 2 is "
               "just visible. Hair is what is above the forehead, a cap too."),
        Column("hair_difference", "Hair diff.", "CIELAB units", False, fmt=".1f", limits=(0.0, math.inf),
               undefined=_NO_TRUTH, group="beside"),
    )  # fmt: skip
    trap: ClassVar[str] = "Anybody of the same skin and hair colour is as near, and a smeared face too."

    def row(self, features: Features) -> tuple[float, ...]:
        """Differences of at least 0; NaN where no frame has a face, or the true video is not known."""
        return _difference(features, "skin"), _difference(features, "crown")


def _difference(features: Features, name: str) -> float:
    frames, truth = np.asarray(features[f"colours/{name}"], np.float64), features[f"truth/{name}"]
    seen = np.isfinite(frames).all(axis=1)
    if np.isfinite(frames).any(axis=1).sum() != seen.sum():
        raise MetricError(f"the feature 'colours/{name}' has a row that is NaN in part; measure the video again")
    if not (len(truth) and seen.any()):
        return math.nan
    (wanted,) = finite(f"truth/{name}", truth)
    return float(np.linalg.norm(frames[seen] - wanted, axis=1).mean())
