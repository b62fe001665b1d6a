"""Photos that nearly are one another: saved again, made smaller, darker, cropped or mirrored."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, UInt8

_SIDE = 24
_SHARES = (1.0, 0.96, 0.92, 0.88, 0.84, 0.8)
"""Of a picture's sides, around its middle: what a crop may have left."""
_ALIKE = 0.97
"""Correlation of two thumbnails from which pictures are near copies. The photos of one shipped person reach .83."""


def is_near_copy(one: UInt8[np.ndarray, "_ _ 3"], other: UInt8[np.ndarray, "_ _ 3"]) -> bool:
    """Whether two pictures in RGB are one photo, whichever of them was cropped, mirrored or saved again."""
    first, second = list(_thumbnails(one)), list(_thumbnails(other))
    pairs = [(first[0], cropped) for cropped in second] + [(cropped, second[0]) for cropped in first[1:]]
    return any(_correlation(a, b) >= _ALIKE for x, y in pairs for a, b in ((x, y), (x, y[:, ::-1])))


def _thumbnails(picture: UInt8[np.ndarray, "_ _ 3"]) -> Iterator[Float[np.ndarray, "side side"]]:
    """The picture in grey and of one small size, whole and cropped more and more."""
    from PIL import Image

    image = Image.fromarray(picture).convert("L")
    for share in _SHARES:
        left, top = (side * (1 - share) / 2 for side in image.size)
        box = (left, top, image.width - left, image.height - top)
        yield np.asarray(image.resize((_SIDE, _SIDE), Image.Resampling.BOX, box=box), np.float64)


def _correlation(one: Float[np.ndarray, "side side"], other: Float[np.ndarray, "side side"]) -> float:
    """Pearson's, in [-1, 1]; of a picture of one colour, whether the other is the same."""
    first, second = one - one.mean(), other - other.mean()
    size = float(np.sqrt((first**2).sum() * (second**2).sum()))
    if size < 1:
        return float(np.abs(one - other).max() < 1)
    return float((first * second).sum()) / size
