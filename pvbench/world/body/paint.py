"""Colours in linear RGB, and soft edges between them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def linear(srgb: NDArray[np.floating] | tuple[float, ...]) -> NDArray[np.float64]:
    """Linear RGB of sRGB values in [0, 1]."""
    return np.asarray(srgb, float) ** 2.2


def smooth(low: float, high: float, x: NDArray[np.floating]) -> NDArray[np.floating]:
    """A smooth step: 0 up to `low`, 1 from `high` on."""
    t = np.clip((x - low) / (high - low), 0, 1)
    found: NDArray[np.floating] = t * t * (3 - 2 * t)
    return found
