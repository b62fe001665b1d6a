"""Places of the miniature world: a painted backdrop and the light that belongs to it.

Every painter draws on a square canvas in sRGB, with haze, overlap and size that shrinks with distance, from random
numbers that vary what is where. The painted canvas is wider than the frame, so that a camera can drift over it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from pvbench.world.canvas import CANVAS, Canvas, Rng, mix
from pvbench.world.raster import Light


@dataclass(frozen=True)
class Scene:
    """A painted backdrop, sRGB float32 (CANVAS, CANVAS, 3) in [0, 1], and its light."""

    backdrop: NDArray[np.float32]
    light: Light


def _beach(rng: Rng) -> Scene:
    c = Canvas((0.32, 0.62, 0.93), (0.80, 0.91, 0.98), 0.5)
    for _ in range(rng.integers(2, 5)):
        x, y = rng.uniform(0, 1), rng.uniform(0.05, 0.3)
        for k in range(5):
            c.disc(x + 0.05 * (k - 2), y + rng.uniform(-0.01, 0.01), 0.06, 0.022, (0.97, 0.98, 1.0))
    c.soften(0.006)
    horizon = rng.uniform(0.44, 0.52)
    c.ground(horizon, (0.16, 0.66, 0.72), (0.06, 0.30, 0.60))
    for k in range(14):
        y = horizon + 0.02 + 0.012 * k
        x = rng.uniform(0, 1)
        c.line([(x, y), (x + rng.uniform(0.05, 0.2), y)], 0.004, (0.75, 0.90, 0.95))
    shore = horizon + rng.uniform(0.17, 0.23)
    tilt = rng.uniform(-0.05, 0.05)
    c.polygon([(0, shore - tilt - 0.015), (1, shore + tilt - 0.015), (1, 1), (0, 1)], (0.95, 0.97, 0.97))
    c.polygon([(0, shore - tilt), (1, shore + tilt), (1, 1), (0, 1)], (0.93, 0.82, 0.58))
    for _ in range(30):
        x, y = rng.uniform(0, 1), rng.uniform(shore + 0.05, 1)
        c.disc(x, y, 0.012, 0.004, (0.84, 0.72, 0.48))
    side = rng.choice([0.08, 0.92])
    c.line([(side, 1.0), (side + 0.02, 0.5), (side + 0.05 * np.sign(0.5 - side), 0.2)], 0.03, (0.42, 0.30, 0.18))
    for angle in np.linspace(0.2, 2.9, 7):
        px, py = side + 0.05 * np.sign(0.5 - side), 0.2
        tip = (px + 0.2 * np.cos(angle), py - 0.10 * np.sin(angle) + 0.07)
        c.polygon([(px, py), ((px + tip[0]) / 2, (py + tip[1]) / 2 - 0.05), tip], (0.12, 0.42, 0.16))
    return Scene(c.array(), Light((0.5, -0.7, 0.9), (1.05, 0.98, 0.86), (0.42, 0.50, 0.60), (0.36, 0.30, 0.22)))


def _forest(rng: Rng) -> Scene:
    c = Canvas((0.62, 0.78, 0.50), (0.36, 0.52, 0.26))
    for depth in np.linspace(0, 1, 4):
        trunk = mix((0.44, 0.52, 0.36), (0.20, 0.13, 0.07), depth)
        leaf = mix((0.46, 0.64, 0.36), (0.09, 0.27, 0.09), depth)
        for _ in range(8 - int(4 * depth)):
            x, w = rng.uniform(0, 1), 0.010 + 0.035 * depth * rng.uniform(0.7, 1.3)
            c.polygon([(x - w, 0.95), (x - 0.6 * w, 0), (x + 0.6 * w, 0), (x + w, 0.95)], trunk)
            c.line([(x - 0.4 * w, 0.95), (x - 0.3 * w, 0)], 0.006, mix(trunk, (0.6, 0.5, 0.3), 0.3))
        for _ in range(26):
            x, y = rng.uniform(0, 1), rng.uniform(-0.05, 0.30 - 0.08 * depth)
            c.disc(x, y, 0.05, 0.035, mix(leaf, (0.55, 0.72, 0.25), float(rng.uniform(0, 0.35))))
        if depth < 0.7:
            c.soften(0.006)
    c.ground(0.80, (0.13, 0.24, 0.07), (0.28, 0.40, 0.16))
    for _ in range(60):
        x, y = rng.uniform(0, 1), rng.uniform(0.78, 1)
        c.line([(x, y), (x + rng.uniform(-0.02, 0.02), y - 0.05)], 0.006, (0.22, rng.uniform(0.35, 0.55), 0.12))
    return Scene(c.array(), Light((-0.4, -0.5, 1.0), (0.85, 0.86, 0.60), (0.36, 0.44, 0.30), (0.16, 0.22, 0.10)))


def _night_city(rng: Rng) -> Scene:
    c = Canvas((0.02, 0.02, 0.09), (0.16, 0.08, 0.25))
    for depth in (0.0, 0.5, 1.0):
        wall = mix((0.15, 0.10, 0.26), (0.045, 0.045, 0.10), depth)
        x = -0.05
        while x < 1:
            w, top = rng.uniform(0.10, 0.17), rng.uniform(0.10, 0.45) + 0.06 * depth
            c.box(x, top, x + w, 1, wall)
            for wy in np.arange(top + 0.03, 0.92, 0.055):
                for wx in np.arange(x + 0.018, x + w - 0.02, 0.040):
                    if rng.random() < 0.30 + 0.25 * depth:
                        glow = [(1.0, 0.85, 0.45), (0.95, 0.95, 0.85), (0.5, 0.8, 1.0)][
                            int(rng.choice(3, p=[0.7, 0.2, 0.1]))
                        ]
                        c.box(wx, wy, wx + 0.018, wy + 0.026, mix(wall, glow, 0.35 + 0.6 * depth))
            x += w + rng.uniform(0.0, 0.05)
        if depth < 1:
            c.soften(0.006)
    for _ in range(3):
        x, y = rng.uniform(0, 0.9), rng.uniform(0.35, 0.7)
        sign = [(1.0, 0.15, 0.55), (0.1, 0.95, 0.95), (1.0, 0.55, 0.1)][int(rng.integers(3))]
        c.box(x, y, x + 0.03, y + 0.14, sign)
    return Scene(
        c.array(),
        Light((0.7, -0.7, 0.5), (0.72, 0.56, 0.46), (0.17, 0.16, 0.34), (0.20, 0.10, 0.20), (0.12, 0.09, 0.24)),
    )


def _snow(rng: Rng) -> Scene:
    c = Canvas((0.66, 0.76, 0.88), (0.90, 0.94, 0.98), 0.6)
    c.ridge(0.62, 0.16, 1.3, (0.78, 0.84, 0.92), rng)
    c.ground(0.60, (0.99, 0.99, 1.0), (0.87, 0.92, 0.97))
    for _ in range(9):
        x, size = rng.uniform(0, 1), rng.uniform(0.5, 1.3)
        y = 0.62 + 0.09 * size
        for k in range(4):
            w, h = 0.075 * size * (1 - 0.2 * k), 0.11 * size
            top = y - 0.05 * size - 0.065 * k * size
            c.polygon([(x - w, top), (x + w, top), (x, top - h)], (0.18, 0.33, 0.30))
            c.polygon([(x - 0.5 * w, top - 0.45 * h), (x + 0.5 * w, top - 0.45 * h), (x, top - h)], (0.95, 0.97, 1.0))
    for _ in range(90):
        x, y, r = rng.uniform(0, 1), rng.uniform(0, 1), rng.uniform(0.002, 0.007)
        c.disc(x, y, r, r, (1, 1, 1))
    return Scene(c.array(), Light((0.2, -0.7, 0.8), (0.72, 0.76, 0.84), (0.50, 0.54, 0.62), (0.50, 0.52, 0.58)))


def _office(rng: Rng) -> Scene:
    c = Canvas((0.86, 0.85, 0.82), (0.74, 0.72, 0.69))
    x = rng.uniform(0.04, 0.14)
    c.box(x - 0.015, 0.10, x + 0.345, 0.52, (0.95, 0.95, 0.95))
    c.box(x, 0.115, x + 0.33, 0.505, (0.62, 0.80, 0.94))
    for k in range(4):
        c.box(x + 0.03 + 0.075 * k, rng.uniform(0.25, 0.4), x + 0.085 + 0.075 * k, 0.505, (0.50, 0.60, 0.70))
    for y in np.arange(0.13, 0.5, 0.035):
        c.line([(x, y), (x + 0.33, y)], 0.005, (0.93, 0.95, 0.96))
    s = rng.uniform(0.62, 0.70)
    c.box(s, 0.14, s + 0.32, 0.62, (0.46, 0.33, 0.22))
    for row in range(3):
        y = 0.17 + 0.15 * row
        c.box(s + 0.015, y, s + 0.305, y + 0.125, (0.30, 0.21, 0.14))
        b = s + 0.025
        while b < s + 0.28:
            w = rng.uniform(0.018, 0.035)
            c.box(b, y + rng.uniform(0.01, 0.04), b + w, y + 0.12, rng.uniform(0.15, 0.85, 3))
            b += w + 0.004
    c.polygon([(0, 0.80), (1, 0.76), (1, 1), (0, 1)], (0.55, 0.40, 0.27))
    c.box(0.05, 0.62, 0.26, 0.78, (0.10, 0.10, 0.11))
    c.box(0.06, 0.635, 0.25, 0.765, (0.35, 0.55, 0.75))
    c.soften(0.004)
    return Scene(c.array(), Light((-0.6, -0.8, 0.6), (0.80, 0.82, 0.84), (0.52, 0.52, 0.50), (0.36, 0.33, 0.30)))


def _desert(rng: Rng) -> Scene:
    c = Canvas((0.42, 0.62, 0.86), (0.98, 0.86, 0.66), 0.55)
    c.disc(rng.uniform(0.1, 0.9), rng.uniform(0.1, 0.25), 0.05, 0.05, (1.0, 0.97, 0.82))
    for k, colour in enumerate([(0.88, 0.66, 0.44), (0.84, 0.56, 0.30), (0.76, 0.46, 0.21), (0.68, 0.38, 0.16)]):
        line = c.ridge(0.60 + 0.11 * k, 0.10, 2.2, colour, rng)
        c.line(line, 0.007, mix(colour, (1, 0.9, 0.7), 0.45))
    for _ in range(2):
        x, y, s = (
            rng.choice([rng.uniform(0.02, 0.25), rng.uniform(0.75, 0.98)]),
            rng.uniform(0.72, 0.86),
            rng.uniform(0.8, 1.3),
        )
        green = (0.20, 0.42, 0.22)
        c.line([(x, y), (x, y - 0.26 * s)], 0.035 * s, green)
        c.line([(x, y - 0.12 * s), (x + 0.07 * s, y - 0.12 * s), (x + 0.07 * s, y - 0.20 * s)], 0.022 * s, green)
        c.line([(x, y - 0.08 * s), (x - 0.06 * s, y - 0.08 * s), (x - 0.06 * s, y - 0.17 * s)], 0.022 * s, green)
    return Scene(c.array(), Light((0.8, -0.6, 0.8), (1.12, 0.94, 0.70), (0.40, 0.42, 0.46), (0.46, 0.32, 0.20)))


def _kitchen(rng: Rng) -> Scene:
    c = Canvas((0.93, 0.90, 0.80), (0.88, 0.84, 0.74))
    tile = rng.choice(3)
    shade = [(0.62, 0.80, 0.78), (0.95, 0.80, 0.55), (0.80, 0.66, 0.66)][int(tile)]
    for i, y in enumerate(np.arange(0.36, 0.68, 0.08)):
        for j, x in enumerate(np.arange(-0.05, 1.0, 0.10)):
            c.box(
                x + 0.05 * (i % 2) + 0.004,
                y + 0.004,
                x + 0.05 * (i % 2) + 0.096,
                y + 0.076,
                mix(shade, (1, 1, 1), 0.12 * ((i + j) % 3)),
            )
    front = [(0.30, 0.44, 0.52), (0.82, 0.80, 0.76), (0.52, 0.33, 0.20)][int(rng.integers(3))]
    for x in (-0.02, 0.20, 0.42, 0.64, 0.86):
        c.box(x, 0.0, x + 0.21, 0.33, front)
        c.box(x + 0.02, 0.02, x + 0.19, 0.31, mix(front, (1, 1, 1), 0.18))
        c.disc(x + 0.17, 0.27, 0.008, 0.008, (0.85, 0.8, 0.6))
    c.box(0, 0.68, 1, 0.72, (0.30, 0.28, 0.27))
    c.box(0, 0.72, 1, 1, mix(front, (0, 0, 0), 0.15))
    for _ in range(3):
        x = rng.uniform(0.02, 0.25) if rng.random() < 0.5 else rng.uniform(0.75, 0.98)
        pot = [(0.85, 0.20, 0.15), (0.75, 0.75, 0.78), (0.20, 0.35, 0.70)][int(rng.integers(3))]
        c.box(x - 0.045, 0.59, x + 0.045, 0.68, pot)
        c.line([(x - 0.055, 0.595), (x + 0.055, 0.595)], 0.012, mix(pot, (0, 0, 0), 0.4))
    c.soften(0.004)
    return Scene(c.array(), Light((-0.3, -0.8, 0.8), (0.88, 0.80, 0.66), (0.52, 0.48, 0.42), (0.40, 0.36, 0.30)))


def _stage(rng: Rng) -> Scene:
    red = [(0.50, 0.03, 0.06), (0.42, 0.02, 0.16)][int(rng.integers(2))]
    c = Canvas((0.05, 0.01, 0.02), (0.16, 0.02, 0.05))
    folds = rng.uniform(38, 50)
    for x in np.linspace(0, 1, 120):
        tone = 0.45 + 0.55 * (0.5 + 0.5 * np.sin(x * folds + 0.6 * np.sin(x * 9)))
        c.box(x, 0, x + 0.01, 0.84, np.asarray(red) * tone)
    c.ground(0.84, (0.36, 0.22, 0.12), (0.20, 0.11, 0.06))
    beam = Image.new("L", (CANVAS, CANVAS), 0)
    pen = ImageDraw.Draw(beam)
    for x, lean in ((rng.uniform(0.0, 0.25), 0.3), (rng.uniform(0.75, 1.0), -0.3)):
        points = [(x - 0.02, 0.0), (x + 0.02, 0.0), (x + lean + 0.16, 0.95), (x + lean - 0.16, 0.95)]
        pen.polygon([(a * CANVAS, b * CANVAS) for a, b in points], fill=110)
        pen.ellipse([(x - 0.03) * CANVAS, -0.02 * CANVAS, (x + 0.03) * CANVAS, 0.04 * CANVAS], fill=255)
    glow = np.asarray(beam.filter(ImageFilter.GaussianBlur(4)), np.float32)[..., None] / 255
    pixels = c.array()
    pixels = np.clip(pixels + glow * np.array([1.0, 0.90, 0.62], np.float32) * 0.75, 0, 1)
    return Scene(
        pixels.astype(np.float32),
        Light((0.35, -0.8, 1.0), (1.15, 1.0, 0.80), (0.16, 0.10, 0.12), (0.16, 0.08, 0.06), (0.22, 0.15, 0.11)),
    )


def _mountains(rng: Rng) -> Scene:
    c = Canvas((0.28, 0.50, 0.86), (0.82, 0.90, 0.97), 0.6)
    for depth in range(3):
        base = 0.60 + 0.06 * depth
        rock = mix((0.56, 0.62, 0.76), (0.28, 0.30, 0.38), depth / 2)
        peaks = sorted(rng.uniform(-0.05, 1.05, 4))
        for x in peaks:
            h, w = rng.uniform(0.30, 0.45) - 0.10 * depth, rng.uniform(0.20, 0.30)
            c.polygon([(x - w, base), (x + 0.01, base - h), (x + w, base)], rock)
            c.polygon([(x, base), (x + 0.01, base - h), (x + w, base)], mix(rock, (0, 0, 0), 0.22))
            s = 0.36
            c.polygon(
                [
                    (x + 0.01, base - h),
                    (x + s * w, base - h * (1 - s)),
                    (x + 0.15 * w, base - h * (0.9 - s)),
                    (x - s * w, base - h * (1 - s)),
                ],
                mix((0.96, 0.97, 1.0), rock, 0.1),
            )
    c.ground(0.72, (0.30, 0.50, 0.18), (0.46, 0.60, 0.36))
    for _ in range(40):
        x, y = rng.uniform(0, 1), rng.uniform(0.75, 1)
        c.disc(x, y, 0.007, 0.007, [(0.98, 0.9, 0.3), (0.95, 0.95, 1.0), (0.75, 0.4, 0.8)][int(rng.integers(3))])
    return Scene(c.array(), Light((-0.7, -0.6, 0.8), (1.0, 0.97, 0.90), (0.40, 0.48, 0.62), (0.28, 0.34, 0.22)))


def _space_station(rng: Rng) -> Scene:
    c = Canvas((0.30, 0.33, 0.38), (0.20, 0.22, 0.27))
    for x in np.arange(-0.1, 1.0, 0.25):
        c.box(x + 0.01, 0.02, x + 0.24, 0.98, (0.40, 0.43, 0.48))
        c.box(x + 0.02, 0.03, x + 0.23, 0.97, (0.33, 0.36, 0.41))
    x, y, r = (
        rng.choice([rng.uniform(0.1, 0.25), rng.uniform(0.75, 0.9)]),
        rng.uniform(0.28, 0.40),
        rng.uniform(0.19, 0.24),
    )
    c.disc(x, y, r + 0.035, r + 0.035, (0.62, 0.65, 0.70))
    c.disc(x, y, r, r, (0.01, 0.01, 0.03))
    for _ in range(28):
        a, d = rng.uniform(0, 6.3), r * np.sqrt(rng.uniform(0, 0.9))
        c.disc(x + d * np.cos(a), y + d * np.sin(a), 0.0035, 0.0035, (1, 1, 1))
    px, py = x + 0.3 * r, y + 0.35 * r
    c.disc(px, py, 0.55 * r, 0.55 * r, (0.15, 0.40, 0.80))
    c.disc(px - 0.15 * r, py - 0.1 * r, 0.22 * r, 0.14 * r, (0.30, 0.60, 0.35))
    for _ in range(26):
        bx = rng.uniform(0.0, 1.0)
        light = [(0.2, 1.0, 0.6), (1.0, 0.4, 0.2), (0.3, 0.7, 1.0), (1.0, 0.9, 0.3)][int(rng.integers(4))]
        c.disc(bx, rng.uniform(0.66, 0.92), 0.009, 0.009, light)
    for y_ in (0.60, 0.96):
        c.box(0, y_, 1, y_ + 0.025, (0.55, 0.80, 0.95))
    return Scene(
        c.array(),
        Light((0.1, -0.9, 0.7), (0.70, 0.80, 0.92), (0.38, 0.44, 0.54), (0.26, 0.32, 0.40), (0.06, 0.11, 0.16)),
    )


def _library(rng: Rng) -> Scene:
    c = Canvas((0.26, 0.16, 0.09), (0.20, 0.12, 0.07))
    for row in range(5):
        y = 0.02 + 0.195 * row
        x = -0.02
        while x < 1:
            w, h = rng.uniform(0.022, 0.05), rng.uniform(0.11, 0.155)
            spine = [
                (0.55, 0.12, 0.10),
                (0.12, 0.26, 0.20),
                (0.60, 0.45, 0.20),
                (0.14, 0.18, 0.38),
                (0.42, 0.26, 0.14),
            ][int(rng.integers(5))]
            c.box(x, y + 0.16 - h, x + w, y + 0.16, np.asarray(spine) * rng.uniform(0.7, 1.15))
            c.line([(x + 0.006, y + 0.16 - 0.7 * h), (x + w - 0.006, y + 0.16 - 0.7 * h)], 0.007, (0.85, 0.72, 0.40))
            x += w + 0.003
        c.box(0, y + 0.162, 1, y + 0.185, (0.46, 0.28, 0.14))
    for x in (rng.uniform(0.0, 0.1), rng.uniform(0.9, 1.0)):
        c.box(x - 0.025, 0, x + 0.025, 1, (0.40, 0.24, 0.12))
    c.soften(0.004)
    return Scene(c.array(), Light((-0.5, -0.8, 0.7), (0.92, 0.74, 0.50), (0.36, 0.29, 0.22), (0.24, 0.18, 0.12)))


def _garden(rng: Rng) -> Scene:
    c = Canvas((0.60, 0.82, 0.95), (0.85, 0.94, 0.92), 0.4)
    for depth in range(3):
        green = mix((0.42, 0.66, 0.34), (0.14, 0.42, 0.14), depth / 2)
        for _ in range(22):
            x = rng.uniform(0, 1)
            c.disc(
                x,
                0.42 + 0.16 * depth + rng.uniform(0, 0.05),
                0.09,
                0.09,
                mix(green, (0.7, 0.85, 0.3), float(rng.uniform(0, 0.25))),
            )
        c.box(0, 0.50 + 0.16 * depth, 1, 1, green)
        blossom = [(0.95, 0.25, 0.45), (1.0, 0.85, 0.2), (0.95, 0.95, 0.98), (0.70, 0.35, 0.90)]
        for _ in range(26 + 18 * depth):
            x, y, s = rng.uniform(0, 1), 0.40 + 0.16 * depth + rng.uniform(0, 0.22), 0.010 + 0.010 * depth
            c.disc(x, y, s, s, blossom[int(rng.integers(4))])
            c.disc(x, y, 0.35 * s, 0.35 * s, (0.95, 0.8, 0.1))
        if depth < 2:
            c.soften(0.004)
    return Scene(c.array(), Light((0.4, -0.7, 0.9), (0.96, 0.94, 0.84), (0.44, 0.50, 0.52), (0.26, 0.36, 0.20)))


SCENES: dict[str, Callable[[Rng], Scene]] = {
    "beach": _beach,
    "forest": _forest,
    "night city": _night_city,
    "snow": _snow,
    "office": _office,
    "desert": _desert,
    "kitchen": _kitchen,
    "stage": _stage,
    "mountains": _mountains,
    "space station": _space_station,
    "library": _library,
    "garden": _garden,
}


def paint_scene(name: str, rng: Rng) -> Scene:
    """A random instance of the scene `name`, a key of `SCENES`."""
    return SCENES[name](rng)
