"""Clothes: cloth painted on the skin, a collar, and the shirt or jacket over it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pvbench.world.body.mesh import Numbers, Parts
from pvbench.world.body.paint import linear, smooth
from pvbench.world.body.reference import reference_coordinates
from pvbench.world.figure import Figure

CLOTHES = ("T-shirt", "jacket", "turtleneck")
COLOURS = {
    "red": (0.78, 0.07, 0.08),
    "blue": (0.10, 0.20, 0.75),
    "green": (0.08, 0.50, 0.17),
    "yellow": (0.93, 0.80, 0.08),
    "white": (0.93, 0.93, 0.93),
    "black": (0.035, 0.035, 0.04),
    "purple": (0.47, 0.12, 0.60),
    "orange": (0.95, 0.45, 0.05),
    "pink": (0.95, 0.52, 0.70),
}


@dataclass(frozen=True)
class Outfit:
    """Clothes of one video: `kind` of `CLOTHES`, `colour` of `COLOURS`, and a cap's colour or an empty string."""

    kind: str
    colour: str
    cap: str = ""


def dress_skin(
    figure: Figure,
    outfit: Outfit,
    rest: Numbers,
    normals: Numbers,
    paint: Numbers,
    joints: Numbers,
    bone: dict[str, int],
) -> None:
    """Gives skin under cloth the cloth's colour and a turtleneck its collar, in place."""
    ref = reference_coordinates(figure)
    x, y, z = np.abs(ref[:, 0]), ref[:, 1], ref[:, 2]
    body = figure.is_body
    sleeve = 0.21 if outfit.kind == "T-shirt" else 0.47
    if outfit.kind == "T-shirt":
        covered = body & (z < -0.17) & (x < sleeve) & (((x / 0.095) ** 2 + ((z + 0.155) / 0.080) ** 2 > 1) | (y > 0.10))
    else:
        covered = body & ((z < -0.16) | (x > 0.085)) & (z < -0.10) & (x < sleeve)
    colour = np.append(linear(COLOURS[outfit.colour]) * 0.95, 0.03)
    paint[covered] = colour
    if outfit.kind == "jacket":
        paint[covered & (y < 0.10) & (x < _opening(z))] = np.append(_under_jacket(outfit.colour), 0.03)
    rest[covered] -= normals[covered] * 0.012
    if outfit.kind == "turtleneck":
        collar = (body & (z < -0.112) & (z > -0.25) & (x < 0.12)).astype(float)
        collar *= 1 - smooth(0.55, 0.9, figure.weights[:, bone["head"]])
        rest += normals * (0.012 * collar)[:, None]
        paint[:] = paint * (1 - collar[:, None]) + colour * collar[:, None]


def _opening(z: Numbers) -> Numbers:
    """Half the width in metres of a jacket's opening at height `z`."""
    return 0.020 + 0.50 * np.clip(z + 0.28, 0, 0.13)


def _under_jacket(colour: str) -> Numbers:
    return linear((0.92, 0.92, 0.90) if colour in ("black", "blue", "purple", "red", "green") else (0.13, 0.13, 0.17))


_SHIRTS: dict[int, tuple[Numbers, Numbers]] = {}


def shirt_mesh(figure: Figure) -> tuple[Numbers, Numbers]:
    """The shirt once subdivided: pairs of figure vertices whose middles are its vertices (n, 2), triangles (t, 3)."""
    key = id(figure)
    if key not in _SHIRTS:
        triangles = figure.groups["shirt"]
        numbers: dict[tuple[int, int], int] = {}

        def number(i: int, j: int) -> int:
            return numbers.setdefault((min(i, j), max(i, j)), len(numbers))

        fine = []
        for a, b, c in triangles.tolist():
            corner, middle = (number(a, a), number(b, b), number(c, c)), (number(a, b), number(b, c), number(c, a))
            fine += [
                [corner[0], middle[0], middle[2]],
                [corner[1], middle[1], middle[0]],
                [corner[2], middle[2], middle[1]],
                list(middle),
            ]
        _SHIRTS[key] = (np.array(list(numbers)), np.array(fine))
    return _SHIRTS[key]


def add_shirt(parts: Parts, figure: Figure, outfit: Outfit, rest: Numbers, reference: Numbers) -> None:
    """Adds the shirt or jacket, without what the outfit leaves open; a turtleneck's shirt is whole."""
    pairs, triangles = shirt_mesh(figure)
    vertices = rest[pairs].mean(axis=1)
    ref = reference[pairs].mean(axis=1)
    x, y, z = np.abs(ref[:, 0]), ref[:, 1], ref[:, 2]
    colour = linear(COLOURS[outfit.colour])
    paint = np.tile(np.append(colour, 0.03), (len(vertices), 1))
    hidden = np.zeros(len(vertices), bool)
    if outfit.kind == "jacket":
        opening = _opening(z)
        front = y < 0.10
        inner = front & (x < opening)
        paint[inner, :3] = _under_jacket(outfit.colour)
        lapel = front & ~inner & (x < opening + 0.030)
        paint[lapel, :3] = colour * 0.35 + 0.01
        vertices[~inner] += np.stack(
            [np.sign(ref[~inner, 0]) * 0.012, np.where(front[~inner], -0.012, 0.012), 0 * x[~inner]], 1
        )
        vertices[:, :2] *= 1 + 0.07 * smooth(0.08, 0.2, x)[:, None]
        hidden = (z > -0.150) & (x < 0.09)
    elif outfit.kind == "T-shirt":
        collar = (x / 0.088) ** 2 + ((z + 0.155) / 0.072) ** 2
        hidden = ((collar < 1) & (y < 0.10)) | ((z > -0.155) & (x < 0.10)) | (x > 0.25)
        paint[(collar < 1.5) & (y < 0.10) & ~hidden, :3] = colour * 0.6
    kept = triangles[~hidden[triangles].any(axis=1)]
    parts.add(vertices, paint, figure.weights[pairs].mean(axis=1), kept)
