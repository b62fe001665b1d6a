"""Two bands that a likeness is read between: strangers, and the person's own photos."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from pvbench.errors import FaceError
from pvbench.metrics.metric import unit_rows

FEWEST_PHOTOS = 2
"""With one there is nothing to compare a photo with."""

_ONE_SIDED = 1.282
"""Standard deviations below which one in ten lies."""


@dataclass(frozen=True)
class Calibration:
    """What is known of a recogniser beforehand, in cosines.

    Attributes:
        stranger: what a video of one stranger in a hundred reaches.
        gap: how much lower the true person's videos lie, on average, than the photos, each held against the others.
        drop: how much lower nine of ten true videos lie at most.
    """

    stranger: float
    gap: float
    drop: float


CALIBRATIONS: Mapping[str, Calibration] = {"mini_face": Calibration(stranger=0.456, gap=0.032, drop=0.151)}
"""By the name of the evaluator of faces. `mini_face`: 40 held-out people of the miniature world, with five photos and
three videos each (docs/likeness.md)."""


@dataclass(frozen=True)
class Bands:
    """What a likeness is held against, in cosines.

    Attributes:
        stranger: what one stranger in a hundred reaches; NaN where nothing is known of strangers.
        own: what a true video of the person has on average.
        own_low: what nine of ten true videos have at least.
        photos: of each photo, to the mean of the others.
        gap: what was taken off for videos; NaN where it is not known, and nothing was.
        from_strangers: how many faces of strangers were looked at; 0 where the recogniser's calibration is used.
    """

    stranger: float
    own: float
    own_low: float
    photos: tuple[float, ...]
    gap: float
    from_strangers: int = 0


def template(photos: Float[np.ndarray, "photos width"]) -> Float[np.ndarray, width]:
    """The direction of a person's photos."""
    found: Float[np.ndarray, width] = unit_rows("reference/face", photos.mean(axis=0, keepdims=True))[0]
    return found


def bands_of(
    photos: Float[np.ndarray, "photos width"],
    calibration: Calibration | None,
    strangers: Sequence[float] = (),
) -> Bands:
    """The bands of a person.

    Photos are more alike than a video and a photo are, since they are sharper and show people who hold still: the
    calibration says by how much, and that is taken off. Without one nothing is, and `own` is too high for videos.

    Args:
        photos: unit embeddings, two or more.
        calibration: of the recogniser; None where none is known.
        strangers: cosines of strangers' faces to this person's photos; their 99th percentile takes the place of the
            calibration's.

    Raises:
        FaceError: there are fewer than two photos.
    """
    if len(photos) < FEWEST_PHOTOS:
        raise FaceError(
            f"{len(photos)} photos of the person; at least two are needed, each to be held against the others, and "
            f"five are better"
        )
    others = [float(photo @ template(np.delete(photos, i, axis=0))) for i, photo in enumerate(photos)]
    whole = float(np.mean(others))
    drop = calibration.drop if calibration else _ONE_SIDED * float(np.std(others, ddof=1))
    known = float(np.percentile(strangers, 99)) if strangers else math.nan
    return Bands(
        stranger=known if strangers else (calibration.stranger if calibration else math.nan),
        own=whole - (calibration.gap if calibration else 0.0),
        own_low=whole - drop,
        photos=tuple(others),
        gap=calibration.gap if calibration else math.nan,
        from_strangers=len(strangers),
    )
