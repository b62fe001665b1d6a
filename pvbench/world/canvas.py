"""The square canvas that places are painted on, with lengths in its widths and colours in [0, 1]."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

Numbers = NDArray[Any]
"""Of floats or whole numbers."""

CANVAS = 160
"""Pixels across."""
Rng = np.random.Generator
Colour = tuple[float, float, float]


class Canvas:
    """PIL drawing with colours in [0, 1] and lengths in canvas widths."""

    def __init__(self, top: Colour, bottom: Colour, horizon: float = 1.0) -> None:
        rows = np.clip(np.linspace(0, 1 / horizon, CANVAS), 0, 1)[:, None, None]
        ramp = np.asarray(top) * (1 - rows) + np.asarray(bottom) * rows
        pixels = np.broadcast_to(ramp, (CANVAS, CANVAS, 3))
        self.image = Image.fromarray((np.clip(pixels, 0, 1) * 255).astype(np.uint8))
        self.draw = ImageDraw.Draw(self.image)

    @staticmethod
    def paint(colour: Colour | Numbers) -> tuple[int, int, int]:
        """A colour as PIL wants it: whole numbers in [0, 255]."""
        r, g, b = (int(np.clip(c, 0, 1) * 255) for c in colour)
        return r, g, b

    def polygon(self, points: list[tuple[float, float]], colour: Colour | Numbers) -> None:
        """Fills the polygon of these corners."""
        self.draw.polygon([(x * CANVAS, y * CANVAS) for x, y in points], fill=self.paint(colour))

    def box(self, x0: float, y0: float, x1: float, y1: float, colour: Colour | Numbers) -> None:
        """Fills a rectangle, whichever of its corners come first."""
        self.draw.rectangle(
            [min(x0, x1) * CANVAS, min(y0, y1) * CANVAS, max(x0, x1) * CANVAS, max(y0, y1) * CANVAS],
            fill=self.paint(colour),
        )

    def disc(self, x: float, y: float, rx: float, ry: float, colour: Colour | Numbers) -> None:
        """Fills an ellipse around (x, y) with radii `rx` and `ry`."""
        self.draw.ellipse(
            [(x - rx) * CANVAS, (y - ry) * CANVAS, (x + rx) * CANVAS, (y + ry) * CANVAS], fill=self.paint(colour)
        )

    def line(self, points: list[tuple[float, float]], width: float, colour: Colour | Numbers) -> None:
        """Draws a line through the points, one pixel wide at least."""
        self.draw.line(
            [(x * CANVAS, y * CANVAS) for x, y in points], fill=self.paint(colour), width=max(1, round(width * CANVAS))
        )

    def ground(self, horizon: float, near: Colour, far: Colour) -> None:
        """Fills everything below the horizon, from the far colour to the near one."""
        first = int(horizon * CANVAS)
        for row in range(first, CANVAS):
            part = ((row - first) / max(CANVAS - first, 1)) ** 0.7
            colour = np.asarray(far) * (1 - part) + np.asarray(near) * part
            self.draw.line([(0, row), (CANVAS, row)], fill=self.paint(colour))

    def ridge(
        self, base: float, height: float, rough: float, colour: Colour | Numbers, rng: Rng
    ) -> list[tuple[float, float]]:
        """Fills everything below a random skyline between `base` and `height` above it, and returns the skyline."""
        x = np.linspace(-0.05, 1.05, 40)
        y = np.zeros_like(x)
        for octave in range(1, 6):
            y += np.sin(x * octave * rng.uniform(3, 6) + rng.uniform(0, 6.3)) / octave**rough
        y = base - height * (y - y.min()) / (y.max() - y.min() + 1e-9)
        line = list(zip(x.tolist(), y.tolist(), strict=True))
        self.polygon([*line, (1.05, 1.1), (-0.05, 1.1)], colour)
        return line

    def soften(self, radius: float) -> None:
        """Blurs all that is painted so far by a Gaussian of this standard deviation."""
        self.image = self.image.filter(ImageFilter.GaussianBlur(radius * CANVAS))
        self.draw = ImageDraw.Draw(self.image)

    def array(self) -> NDArray[np.float32]:
        """The picture, float32 (CANVAS, CANVAS, 3) in [0, 1]."""
        pixels: NDArray[np.float32] = np.asarray(self.image, np.float32) / np.float32(255)
        return pixels


def mix(a: Colour, b: Colour, part: float) -> Colour:
    """The colour at the share `part` of the way from `a` to `b`."""
    r, g, b_ = (x * (1 - part) + y * part for x, y in zip(a, b, strict=True))
    return r, g, b_
