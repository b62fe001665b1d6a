"""A built body, and how it follows a pose."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pvbench.world.action import Pose
from pvbench.world.body.mesh import Numbers
from pvbench.world.figure import Figure

Array = NDArray[np.float32]


@dataclass
class Body:
    """A person in an outfit, ready to pose.

    Attributes:
        rest: (v, 3) metres; colours: (v, 4) linear RGB and gloss; weights: (v, j); triangles: (t, 3).
        joints: (j, 3) positions of the bones' heads.
        unit_shapes: (u, f, 3) displacement of the first `f` vertices by each face unit; `unit_rows` names its rows.
        landmark_points: vertex numbers whose middles are left eye, right eye (the viewer's), nose tip, left and right
            mouth corner.
        head_middle: (3,) metres.
        head: (t,) which triangles are of the head: face, hair, ears, teeth, and what is worn there; not the neck.
    """

    rest: Array
    colours: Array
    weights: Array
    triangles: NDArray[np.int32]
    joints: NDArray[np.float64]
    unit_rows: dict[str, int]
    unit_shapes: Array
    landmark_points: list[Numbers]
    head_middle: NDArray[np.float64]
    head: NDArray[np.bool_]
    figure: Figure

    def posed(self, pose: Pose) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """Vertices (v, 3) and landmark positions (5, 3) in metres."""
        rest = self.rest
        if pose.units:
            rest = rest.copy()
            moved = self.unit_shapes.shape[1]
            for name, value in pose.units.items():
                rest[:moved] += np.float32(value) * self.unit_shapes[self.unit_rows[name]]
        transforms = _transforms(self.figure, self.joints, pose)
        mixed = self.weights @ transforms.reshape(len(transforms), 12)
        matrix = mixed.reshape(-1, 3, 4)
        vertices = np.einsum("vij,vj->vi", matrix[:, :, :3], rest) + matrix[:, :, 3]
        points = np.stack([vertices[numbers].mean(axis=0) for numbers in self.landmark_points])
        return vertices.astype(np.float32), points.astype(np.float64)


def _rotation(axis: int, degrees: float) -> Numbers:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    i, j = [(1, 2), (2, 0), (0, 1)][axis]
    matrix = np.eye(3)
    matrix[i, i], matrix[i, j], matrix[j, i], matrix[j, j] = c, -s, s, c
    return matrix


def _align(source: Numbers, target: Numbers) -> Numbers:
    """The smallest rotation (3, 3) that turns direction `source` into direction `target`."""
    a, b = source / np.linalg.norm(source), target / np.linalg.norm(target)
    v, c = np.cross(a, b), float(a @ b)
    cross = np.array([[0, -v[2], v[1]], [v[2], 0, -v[0]], [-v[1], v[0], 0]])
    found: Numbers = np.eye(3) + cross + cross @ cross / (1 + c)
    return found


def _head_turn(pose: Pose, share: float) -> Numbers:
    # The figure faces -y: a positive yaw brings the nose to +x, the viewer's right.
    return _rotation(2, share * pose.yaw) @ _rotation(0, -share * pose.pitch) @ _rotation(1, share * pose.roll)


def _transforms(figure: Figure, joints: Numbers, pose: Pose) -> NDArray[np.float32]:
    """(j, 3, 4) motion of every bone; rotations are about the bone's head, in world axes, parents first."""
    turn = {name: np.eye(3) for name in figure.bones}
    for name, share in (("neck01", 0.15), ("neck02", 0.15), ("neck03", 0.2), ("head", 0.5)):
        turn[name] = _head_turn(pose, share)
    turn["spine05"] = _rotation(1, pose.lean)
    for side, sign in (("L", 1), ("R", -1)):
        gaze = _rotation(2, pose.gaze[0]) @ _rotation(0, -pose.gaze[1])
        turn[f"eye.{side}"] = gaze
        turn[f"upperarm01.{side}"] = _rotation(1, sign * 34)
    if pose.wave is not None:
        # The arm at the viewer's left: elbow down and forward, the open hand up beside the head.
        swing = np.radians(pose.wave)
        upper, lower, wrist = (
            joints[figure.bones.index(f"{name}.R")] for name in ("upperarm01", "lowerarm01", "wrist")
        )
        lift = _align(lower - upper, np.array([-0.17, -0.80, -0.50]))
        turn["upperarm01.R"] = lift
        up = _align(wrist - lower, np.array([np.sin(swing) - 0.03, -0.12, np.cos(swing)]))
        turn["lowerarm01.R"] = lift.T @ up
    shift = np.array([pose.shift[0], 0.0, pose.shift[1]])
    out = np.zeros((len(figure.bones), 3, 4))
    for i, (name, parent) in enumerate(zip(figure.bones, figure.parents, strict=True)):
        base_r, base_t = (np.eye(3), shift) if parent < 0 else (out[parent, :, :3], out[parent, :, 3])
        rotation = turn[name]
        out[i, :, :3] = base_r @ rotation
        out[i, :, 3] = base_r @ (joints[i] - rotation @ joints[i]) + base_t
    return out.astype(np.float32)
