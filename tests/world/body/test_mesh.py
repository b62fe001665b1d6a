"""Sheets, tubes and normals of meshes, by hand."""

import numpy as np
import pytest

from pvbench.world.body.head_profile import HeadProfile, radius_at
from pvbench.world.body.mesh import Parts, grid_triangles, tube, vertex_normals


@pytest.mark.parametrize(("closed", "count"), [(False, 2 * 2 * 3), (True, 2 * 2 * 4)])
def test_a_sheet_has_two_triangles_for_each_square(closed, count):
    triangles = grid_triangles(3, 4, closed)
    assert triangles.shape == (count, 3)
    assert set(triangles.ravel()) == set(range(12))
    # An inner edge belongs to two triangles, one at the border to one.
    edges = np.sort(np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]]), axis=1)
    _, uses = np.unique(edges, axis=0, return_counts=True)
    assert set(uses) <= {1, 2}
    assert (uses == 1).sum() == (2 * 4 if closed else 2 * 3 + 2 * 2)


@pytest.mark.parametrize(("closed", "rings"), [(False, 4), (True, 5)])
def test_a_tube_has_a_ring_of_four_at_each_point(closed, rings):
    points = np.zeros((5, 3))
    points[:, 0] = np.arange(5)
    vertices, triangles = tube(points, 0.1, closed)
    assert vertices.shape == (20, 3)
    assert triangles.shape == (rings * 8, 3)
    np.testing.assert_allclose(vertices.reshape(5, 4, 3).mean(axis=1), points, atol=1e-12)


def test_normals_stand_upright_on_a_plane_and_are_units():
    vertices = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0], [9, 9, 9]], float)
    normals = vertex_normals(vertices, np.array([[0, 1, 2], [1, 3, 2]]))
    np.testing.assert_allclose(normals[:4], [[0, 0, 1]] * 4, atol=1e-9)
    # A vertex of no face has none, and no NaN.
    assert not normals[4].any()


def test_a_larger_face_turns_a_normal_more():
    vertices = np.array([[0, 0, 0], [3, 0, 0], [0, 3, 0], [0, 0, 1]], float)
    normal = vertex_normals(vertices, np.array([[0, 1, 2], [0, 2, 3]]))[0]
    np.testing.assert_allclose(normal, np.array([3, 0, 9]) / np.hypot(3, 9), atol=1e-9)


def test_parts_are_counted_on_and_hang_on_one_bone_or_several():
    parts = Parts(bones=3)
    triangle = np.array([[0, 1, 2]])
    parts.add(np.zeros((3, 3)), np.array([1, 2, 3, 4]), 2, triangle)
    parts.add(np.ones((3, 3)), np.zeros((3, 4)), np.full((3, 3), 1 / 3), triangle)
    assert parts.count == 6
    np.testing.assert_array_equal(parts.triangles[1], [[3, 4, 5]])
    np.testing.assert_array_equal(parts.weights[0], [[0, 0, 1]] * 3)
    np.testing.assert_array_equal(parts.colours[0], [[1, 2, 3, 4]] * 3)


@pytest.mark.parametrize(
    ("height", "direction", "radius"),
    [(0.0, 0.0, 1.0), (1.0, 0.0, 3.0), (0.5, 0.0, 2.0), (0.0, np.pi / 2, 1.5), (9.0, np.pi, 4.0), (-9.0, -np.pi, 2.0)],
)
def test_a_radius_lies_between_those_around_it_and_holds_beyond_the_head(height, direction, radius):
    """Heights may fall, as those of a head do."""
    profile = HeadProfile(
        0.0, np.array([1.0, 0.0]), np.array([-np.pi, 0.0, np.pi]), np.array([[4.0, 3.0, 4.0], [2.0, 1.0, 2.0]])
    )
    assert radius_at(profile, height, np.array([direction]))[0] == pytest.approx(radius)
