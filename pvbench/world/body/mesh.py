"""Vertices, colours, weights and triangles that grow part by part, and the sheets and tubes that parts are made of."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[Any]
"""Of floats or whole numbers."""


class Parts:
    """Grows vertices, colours, skinning weights and triangles part by part."""

    def __init__(self, bones: int) -> None:
        self.vertices: list[Numbers] = []
        self.colours: list[Numbers] = []
        self.weights: list[Numbers] = []
        self.triangles: list[Numbers] = []
        self.count, self.bones = 0, bones

    def add(self, vertices: Numbers, colours: Numbers, weights: Numbers | int, triangles: Numbers) -> None:
        """Takes one part in: its colours, and its weights of every bone or the one bone that carries it all."""
        if isinstance(weights, int):
            one = np.zeros((len(vertices), self.bones), np.float32)
            one[:, weights] = 1
            weights = one
        self.vertices.append(vertices)
        self.colours.append(np.broadcast_to(colours, (len(vertices), 4)))
        self.weights.append(weights)
        self.triangles.append(np.asarray(triangles) + self.count)
        self.count += len(vertices)


def grid_triangles(rows: int, columns: int, closed: bool) -> Numbers:
    """Triangles of a rows x columns sheet of vertices, its columns joined up when `closed`."""
    last = columns if closed else columns - 1
    r, c = np.meshgrid(np.arange(rows - 1), np.arange(last), indexing="ij")
    a, b = r * columns + c, r * columns + (c + 1) % columns
    return np.stack([a, b, a + columns, b, b + columns, a + columns], -1).reshape(-1, 3)


def tube(points: Numbers, radius: float, closed: bool) -> tuple[Numbers, Numbers]:
    """A square tube along `points` (n, 3)."""
    ring = np.array([[radius, 0, radius], [radius, 0, -radius], [-radius, 0, -radius], [-radius, 0, radius]]) * 0.8
    depth = np.array([[0, -radius, 0], [0, -radius, 0], [0, radius, 0], [0, radius, 0]]) * 0.6
    vertices = (points[:, None] + ring[None] + depth[None]).reshape(-1, 3)
    n = len(points)
    steps = n if closed else n - 1
    triangles = []
    for i in range(steps):
        j = (i + 1) % n
        for k in range(4):
            m = (k + 1) % 4
            triangles += [[4 * i + k, 4 * j + k, 4 * i + m], [4 * i + m, 4 * j + k, 4 * j + m]]
    return vertices, np.array(triangles)


def vertex_normals(vertices: Numbers, triangles: Numbers) -> Numbers:
    """Unit normals (v, 3), each the mean of the faces around a vertex by their area."""
    normals = np.zeros_like(vertices)
    corners = vertices[triangles]
    face = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    for k in range(3):
        np.add.at(normals, triangles[:, k], face)
    found: Numbers = normals / (np.linalg.norm(normals, axis=1, keepdims=True) + 1e-12)
    return found
