"""Glasses and caps, fitted to the head's outline."""

from __future__ import annotations

import numpy as np

from pvbench.world.body.clothes import COLOURS
from pvbench.world.body.head_profile import HeadProfile, radius_at
from pvbench.world.body.mesh import Numbers, Parts, grid_triangles, tube
from pvbench.world.body.paint import linear


def add_glasses(parts: Parts, eyes: list[Numbers], profile: HeadProfile, kind: str, bone: int) -> None:
    """Adds rims, bridge and arms of glasses, round or square, over the eyes."""
    colour = np.array([0.015, 0.015, 0.02, 0.3])
    turns = np.linspace(0, 2 * np.pi, 18, endpoint=False)
    middles = []
    for eye in eyes:
        middle = (eye.max(axis=0) + eye.min(axis=0)) / 2
        middle = np.array([middle[0] * 1.08, eye[:, 1].min() - 0.014, middle[2] - 0.001])
        middles.append(middle)
        c, s = np.cos(turns), np.sin(turns)
        if kind == "square":
            stretch = 1 / np.maximum(np.abs(c), np.abs(s))
            outline = np.stack([0.0245 * c * stretch, 0 * c, 0.017 * s * stretch], axis=1)
        else:
            outline = np.stack([0.0235 * c, 0 * c, 0.0215 * s], axis=1)
        vertices, triangles = tube(middle + outline, 0.0028, closed=True)
        parts.add(vertices, colour, bone, triangles)
    left, right = middles
    half = np.array([0.022, 0, 0])
    bridge = np.linspace(left - half, right + half, 5) + np.array([[0, -0.002, 0.003]])
    parts.add(*_with_colour(tube(bridge, 0.0022, closed=False), colour, bone))
    for middle in middles:
        side = np.sign(middle[0])
        width = float(radius_at(profile, float(middle[2]), np.array([side * np.pi / 2]))[0])
        hinge = middle + np.array([side * 0.024, 0, 0.004])
        arm = np.linspace(hinge, [side * (width + 0.002), profile.axis_y, middle[2]], 8)
        parts.add(*_with_colour(tube(arm, 0.0022, closed=False), colour, bone))


def _with_colour(tube: tuple[Numbers, Numbers], colour: Numbers, bone: int) -> tuple[Numbers, Numbers, int, Numbers]:
    return tube[0], colour, bone, tube[1]


def add_cap(parts: Parts, profile: HeadProfile, colour_name: str, bone: int) -> None:
    """Adds a cap and its brim in a colour of `COLOURS`."""
    colour = linear(COLOURS[colour_name])
    sectors, rows = 37, 9
    direction = np.linspace(-np.pi, np.pi, sectors)
    top = float(profile.heights[0]) + 0.010
    bottom = 0.046
    vertices = np.zeros((rows, sectors, 3))
    base = radius_at(profile, bottom, direction) + 0.013
    for i in range(rows):
        part = i / (rows - 1)
        arc = np.sin(part * np.pi / 2)
        vertices[i, :, 0] = base * arc * np.sin(direction)
        vertices[i, :, 1] = profile.axis_y + base * arc * np.cos(direction)
        vertices[i, :, 2] = bottom + (top - bottom) * np.cos(part * np.pi / 2)
    parts.add(vertices.reshape(-1, 3), np.append(colour, 0.02), bone, grid_triangles(rows, sectors, closed=False))
    brim_direction = np.pi + np.linspace(-0.95, 0.95, 15)
    inner = np.interp((brim_direction + np.pi) % (2 * np.pi) - np.pi, direction, base)
    reach = 0.075 * np.sqrt(np.clip(1 - (np.linspace(-1, 1, 15)) ** 2, 0.05, 1))
    rows_ = []
    for part in (0.0, 0.5, 1.0):
        radius = inner + part * reach
        rows_.append(
            np.stack(
                [
                    radius * np.sin(brim_direction),
                    profile.axis_y + radius * np.cos(brim_direction),
                    np.full(15, bottom + 0.006 - 0.026 * part**1.5),
                ],
                axis=1,
            )
        )
    brim = np.concatenate(rows_)
    parts.add(brim, np.append(colour * 0.75, 0.02), bone, grid_triangles(3, 15, closed=False))
