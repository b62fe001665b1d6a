"""Eyeballs with iris and pupil."""

from __future__ import annotations

import numpy as np

from pvbench.world.body.mesh import Numbers, Parts, grid_triangles
from pvbench.world.body.paint import linear
from pvbench.world.person import Person

EYE_RINGS, EYE_SECTORS = 9, 20


def add_eye(parts: Parts, eye: Numbers, person: Person, bone: int) -> None:
    """A finely ringed eyeball in the place of the mesh's coarse one, so that iris and pupil have clean edges."""
    middle = (eye.max(axis=0) + eye.min(axis=0)) / 2
    radius = (eye.max(axis=0) - eye.min(axis=0)).mean() / 2
    angles = np.radians([0.5, 14, 15.5, 25, 35, 37, 55, 90, 135])
    around = np.linspace(0, 2 * np.pi, EYE_SECTORS, endpoint=False)
    rings = np.stack(
        [
            np.sin(angles)[:, None] * np.cos(around)[None],
            np.broadcast_to(-np.cos(angles)[:, None], (EYE_RINGS, EYE_SECTORS)),
            np.sin(angles)[:, None] * np.sin(around)[None],
        ],
        axis=-1,
    ).reshape(-1, 3)
    iris, white = linear(person.iris), linear((0.90, 0.89, 0.87))
    ring_colours = [np.full(3, 0.008)] * 2 + [iris, iris * 1.15, iris * 0.55] + [white] * 4
    colours = np.repeat(np.array(ring_colours), EYE_SECTORS, axis=0)
    gloss = np.full((len(colours), 1), 0.5)
    parts.add(
        middle + radius * rings,
        np.concatenate([colours, gloss], axis=1),
        bone,
        grid_triangles(EYE_RINGS, EYE_SECTORS, closed=True),
    )
