"""The head's outline, which hair, glasses and caps are fitted to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pvbench.world.body.mesh import Numbers
from pvbench.world.figure import Figure


@dataclass(frozen=True)
class HeadProfile:
    """The head's outline: distance from its vertical axis by direction and height."""

    axis_y: float
    heights: Numbers
    directions: Numbers  # radians, 0 is the back, +-pi the face
    radius: Numbers  # (heights, directions)

    @classmethod
    def empty(cls) -> HeadProfile:
        """The profile of nobody, for heads on which nothing is fitted."""
        return cls(0.0, np.zeros(0), np.zeros(0), np.zeros((0, 0)))


def head_profile(rest: Numbers, ref: Numbers, figure: Figure) -> HeadProfile:
    """The profile of the head at rest, ears and hair included."""
    on_head = (figure.weights[:, list(figure.bones).index("head")] > 0.5) & (ref[:, 2] > -0.09)
    body = figure.is_body
    points = rest[on_head & body]
    axis_y = float((points[:, 1].max() + points[:, 1].min()) / 2)
    flat = points[:, :2] - [0, axis_y]
    angle = np.arctan2(flat[:, 0], flat[:, 1])
    distance = np.linalg.norm(flat, axis=1)
    heights = np.linspace(points[:, 2].max() - 0.006, -0.09, 16)
    directions = np.linspace(-np.pi, np.pi, 37)
    radius = np.zeros((16, 37))
    for i, height in enumerate(heights):
        level = np.abs(points[:, 2] - height) < 0.012
        for j, direction in enumerate(directions):
            gap = np.abs((angle[level] - direction + np.pi) % (2 * np.pi) - np.pi)
            near = distance[level][gap < 0.30]
            radius[i, j] = near.max() if len(near) else 0.02
    return HeadProfile(axis_y, heights, directions, radius)


def radius_at(profile: HeadProfile, height: float, direction: Numbers) -> Numbers:
    """The head's radius in metres at a height, by direction."""
    order = np.argsort(profile.heights)
    column = np.array(
        [np.interp(height, profile.heights[order], profile.radius[order, j]) for j in range(len(profile.directions))]
    )
    found: Numbers = np.interp(direction, profile.directions, column)
    return found
