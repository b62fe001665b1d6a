"""Where a vertex sits on the average person, whoever it belongs to."""

from __future__ import annotations

import numpy as np

from pvbench.world.body.mesh import Numbers
from pvbench.world.figure import Figure

_REFERENCE: dict[int, Numbers] = {}


def reference_coordinates(figure: Figure) -> Numbers:
    """(v, 3) of the average person relative to the middle of the eyes: where a vertex sits, whoever it belongs to."""
    key = id(figure)
    if key not in _REFERENCE:
        neutral = {"gender": 0.5, "age": 0.75, "african": 0.33, "asian": 0.33, "caucasian": 0.34}
        coefficients = figure.coefficients(neutral, {})
        shape = figure.template + np.tensordot(coefficients, figure.shapes, axes=1)
        middle = (shape[figure.eyes[0]].mean(axis=0) + shape[figure.eyes[1]].mean(axis=0)) / 2
        _REFERENCE[key] = shape - middle
    return _REFERENCE[key]


_FACE_POINTS: dict[int, list[Numbers]] = {}


def face_points(figure: Figure, reference: Numbers) -> list[Numbers]:
    """Vertex numbers of nose tip and the mouth's corners (viewer's left first)."""
    if id(figure) not in _FACE_POINTS:
        body = np.flatnonzero(figure.is_body)
        front = reference[body]
        near = body[(np.abs(front[:, 0]) < 0.004) & (front[:, 2] < -0.015) & (front[:, 2] > -0.06)]
        tip = near[np.argmin(reference[near, 1])]
        lips = body[figure.masks["lips"][body] > 0.5]
        # The lips' mask reaches into the mouth; its outer ring is what shows.
        shown = lips[reference[lips, 1] < np.median(reference[lips, 1]) + 0.01]
        left, right = shown[np.argmin(reference[shown, 0])], shown[np.argmax(reference[shown, 0])]
        _FACE_POINTS[id(figure)] = [np.array([tip]), np.array([left]), np.array([right])]
    return _FACE_POINTS[id(figure)]
