"""Look: are hair, beard and glasses in the frames those of the reference images?"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from pvbench.metrics.metric import Column, Facts, Features, Metric, MetricError, finite

LABELS = ("hair", "hair_colour", "beard", "glasses")


def told(name: str, probabilities: np.ndarray) -> int:
    """Which value of a label pictures (n, values) show together: the one of the highest mean log probability."""
    return int(np.log(finite(name, probabilities) + 1e-6).mean(axis=0).argmax())


@dataclass(frozen=True)
class Look(Metric):
    """Share of frames in which hair style, hair colour, beard and glasses are told as in the person's photos.

    The photos are read together, each frame by itself; frames without a face count 0.

    Source: ours; attribute agreement, read by a classifier that knows the miniature world's looks.
    """

    name: ClassVar[str] = "look"
    version: ClassVar[int] = 1
    needs: ClassVar[tuple[str, ...]] = (
        "face/detected",
        *(f"look/{label}" for label in LABELS),
        *(f"reference/look_{label}" for label in LABELS),
    )
    parts: ClassVar[tuple[str, ...]] = ("head", "face")
    rule: ClassVar[Facts] = {"missing": 0, "mean": "frames", "reference": "most likely over the photos"}
    columns: ClassVar[tuple[Column, ...]] = (
        Column("look_right", "Look", "share", True, fmt=".1f", scale=100.0, limits=(0.0, 1.0), group="beside",
               note="Look: % of hair style, hair colour, beard and glasses that are as in the person's photos; most "
               "people have neither beard nor glasses, so that a stranger has half of it right."),
        Column("hair_right", "Hair", "share of frames", True, fmt=".1f", scale=100.0, limits=(0.0, 1.0)),
        Column("hair_colour_right", "Hair colour", "share of frames", True, fmt=".1f", scale=100.0, limits=(0.0, 1.0)),
        Column("beard_right", "Beard", "share of frames", True, fmt=".1f", scale=100.0, limits=(0.0, 1.0)),
        Column("glasses_right", "Glasses", "share of frames", True, fmt=".1f", scale=100.0, limits=(0.0, 1.0)),
    )  # fmt: skip
    trap: ClassVar[str] = "Whoever has the same hair, beard and glasses is right, whatever the face."

    def row(self, features: Features) -> tuple[float, ...]:
        """The mean over the four labels, then each of them."""
        found = np.asarray(features["face/detected"]) == 1
        shares = [_agreement(features, label, found) for label in LABELS]
        return float(np.mean(shares)), *shares


def label_rows(features: Features, label: str, found: np.ndarray) -> tuple[np.ndarray, int]:
    """The probabilities (found, values) of a label in the frames with a face, and the value that the photos show.

    Raises:
        MetricError: a frame with a face has none.
    """
    frames, wanted = features[f"look/{label}"], told(f"reference/look_{label}", features[f"reference/look_{label}"])
    if frames.shape[0] != found.size or not np.isfinite(frames[found]).all():
        raise MetricError(
            f"the feature 'look/{label}' must have a finite row for each of the {int(found.sum())} frames with a face; "
            "measure the video again"
        )
    return frames[found], wanted


def _agreement(features: Features, label: str, found: np.ndarray) -> float:
    frames, wanted = label_rows(features, label, found)
    return float((frames.argmax(axis=1) == wanted).sum()) / found.size
