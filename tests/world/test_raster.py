"""The rasteriser covers, orders, shades and shadows as geometry says."""

import numpy as np
import pytest

pytest.importorskip("warp", reason='the miniature world needs pip install "pvbench[world]"')

from pvbench.world.raster import Camera, Light, draw

DARK = (0.0, 0.0, 0.0)
# Light from everywhere alike: what is drawn has its own colour.
PLAIN = Light((0.0, -1.0, 0.0), DARK, (1.0, 1.0, 1.0), (1.0, 1.0, 1.0))
FRONT = Camera((0.0, -2.0, 0.0), (0.0, 0.0, 0.0), 30.0)
RED, BLUE, GREY = (1.0, 0.0, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0), (0.5, 0.5, 0.5, 0.0)


def rectangle(left, right, bottom, top, y=0.0):
    """Corners and triangles of a rectangle facing the camera, `y` metres away from it."""
    corners = np.array([[left, y, bottom], [right, y, bottom], [right, y, top], [left, y, top]])
    return corners, np.array([[0, 1, 2], [0, 2, 3]])


def joined(*parts):
    """Vertices, triangles and colours of (corners, triangles, colour) parts in one mesh."""
    vertices, triangles, colours, count = [], [], [], 0
    for corners, faces, colour in parts:
        vertices.append(corners)
        triangles.append(faces + count)
        colours.append(np.tile(colour, (len(corners), 1)))
        count += len(corners)
    return np.concatenate(vertices), np.concatenate(triangles), np.concatenate(colours)


def picture(*parts, camera=FRONT, light=PLAIN, height=32, width=32, supersample=2):
    vertices, triangles, colours = joined(*parts)
    return draw(vertices, triangles, colours, camera, light, height, width, supersample)


def metres_a_pixel(camera, distance, height):
    return 2 * distance * np.tan(np.radians(camera.fov) / 2) / height


def test_a_triangle_covers_its_area():
    corners = np.array([[-0.3, 0.0, -0.25], [0.35, 0.0, -0.1], [0.05, 0.0, 0.4]])
    found = picture((corners, np.array([[0, 1, 2]]), RED), supersample=8)
    a, b, c = FRONT.project(corners, 32, 32)[:, :2]
    area = abs((b - a)[0] * (c - a)[1] - (b - a)[1] * (c - a)[0]) / 2
    assert found[..., 3].sum() == pytest.approx(area, rel=0.01)


def test_a_rectangle_on_pixel_borders_covers_those_pixels_and_no_others():
    pixel = metres_a_pixel(FRONT, 2.0, 32)
    found = picture((*rectangle(-4 * pixel, 6 * pixel, -3 * pixel, 5 * pixel), RED))
    wanted = np.zeros((32, 32))
    wanted[16 - 5 : 16 + 3, 16 - 4 : 16 + 6] = 1
    np.testing.assert_array_equal(found[..., 3], wanted)


def test_half_a_pixel_is_half_covered():
    pixel = metres_a_pixel(FRONT, 2.0, 32)
    found = picture((*rectangle(-4.5 * pixel, 4 * pixel, -4 * pixel, 4 * pixel), RED))
    np.testing.assert_array_equal(found[12:20, 11, 3], 0.5)
    np.testing.assert_array_equal(found[12:20, 12, 3], 1.0)


@pytest.mark.parametrize("near_first", [True, False])
def test_the_nearer_triangle_wins(near_first):
    near = (*rectangle(-0.1, 0.1, -0.1, 0.1, y=-0.5), RED)
    far = (*rectangle(-0.3, 0.3, -0.3, 0.3, y=0.0), BLUE)
    found = picture(*((near, far) if near_first else (far, near)))
    np.testing.assert_allclose(found[16, 16], [1, 0, 0, 1], atol=1e-6)
    np.testing.assert_allclose(found[16, 8], [0, 0, 1, 1], atol=1e-6)


def test_triangles_that_cross_are_ordered_pixel_by_pixel():
    slanted = np.array([[-0.4, -0.3, -0.3], [0.4, 0.3, -0.3], [0.4, 0.3, 0.3], [-0.4, -0.3, 0.3]])
    found = picture((slanted, np.array([[0, 1, 2], [0, 2, 3]]), RED), (*rectangle(-0.4, 0.4, -0.3, 0.3), BLUE))
    assert found[16, 10, 0] > 0.9 > 0.1 > found[16, 10, 2]
    assert found[16, 22, 2] > 0.9 > 0.1 > found[16, 22, 0]


def test_of_two_triangles_in_one_place_the_later_shows():
    one, other = (*rectangle(-0.2, 0.2, -0.2, 0.2), RED), (*rectangle(-0.2, 0.2, -0.2, 0.2), BLUE)
    np.testing.assert_allclose(picture(one, other)[16, 16, :3], [0, 0, 1], atol=1e-6)
    np.testing.assert_allclose(picture(other, one)[16, 16, :3], [1, 0, 0], atol=1e-6)


def test_what_is_behind_the_camera_is_not_drawn():
    assert not picture((*rectangle(-0.3, 0.3, -0.3, 0.3, y=-3.0), RED)).any()


def test_nothing_covers_nothing():
    found = picture((*rectangle(5.0, 6.0, 5.0, 6.0), RED))
    assert found.shape == (32, 32, 4)
    assert not found.any()


def test_a_wall_between_sky_and_ground_takes_half_of_each():
    light = Light((0.0, -1.0, 0.0), DARK, (0.6, 0.4, 0.2), (0.2, 0.0, 0.4))
    found = picture((*rectangle(-0.3, 0.3, -0.3, 0.3), GREY), light=light)
    np.testing.assert_allclose(found[16, 16, :3], [0.5 * 0.4, 0.5 * 0.2, 0.5 * 0.3], atol=1e-6)


def test_a_key_light_from_the_front_shows_a_wall_in_full():
    light = Light((0.0, -1.0, 0.0), (0.8, 0.6, 0.4), DARK, DARK)
    found = picture((*rectangle(-0.3, 0.3, -0.3, 0.3), GREY), light=light)
    np.testing.assert_allclose(found[16, 16, :3], [0.4, 0.3, 0.2], atol=1e-5)


def test_no_light_is_black():
    found = picture((*rectangle(-0.3, 0.3, -0.3, 0.3), RED), light=Light((0.0, -1.0, 0.0), DARK, DARK, DARK))
    np.testing.assert_array_equal(found[16, 16], [0, 0, 0, 1])


def test_a_triangle_is_seen_from_both_sides():
    corners, faces = rectangle(-0.3, 0.3, -0.3, 0.3)
    light = Light((0.0, -1.0, 0.0), (1.0, 1.0, 1.0), DARK, DARK)
    front, back = (picture((corners, f, GREY), light=light) for f in (faces, faces[:, ::-1]))
    np.testing.assert_allclose(front, back, atol=1e-6)


def test_a_shadow_darkens_and_only_where_it_falls():
    # The light comes from the upper left and in front; the blind hangs left of what it shades.
    light = Light((-1.0, -1.0, 0.0), (1.0, 1.0, 1.0), (0.1, 0.1, 0.1), (0.1, 0.1, 0.1))
    wall = (*rectangle(-0.4, 0.4, -0.4, 0.4), GREY)
    blind = (*rectangle(-0.35, -0.20, -0.1, 0.1, y=-0.25), RED)
    open_, shaded = picture(wall, light=light), picture(wall, blind, light=light)
    pixel = metres_a_pixel(FRONT, 2.0, 32)
    middle = 16 + round(-0.025 / pixel)
    assert shaded[16, middle, 1] < 0.4 * open_[16, middle, 1]
    np.testing.assert_array_equal(shaded[16, 24], open_[16, 24])
    np.testing.assert_array_equal(shaded[6, middle], open_[6, middle])


@pytest.mark.parametrize(("height", "width"), [(32, 32), (40, 64)])
@pytest.mark.parametrize("roll", [0.0, 25.0])
@pytest.mark.parametrize("point", [(0.0, 0.0, 0.0), (0.2, -0.3, 0.15), (-0.25, 0.4, -0.2)])
def test_a_point_is_drawn_where_the_camera_projects_it(point, roll, height, width):
    camera = Camera((0.3, -2.0, 0.2), (0.02, 0.0, 0.03), 30.0, roll)
    right, up, _ = camera.axes()
    size = 0.04
    corners = np.asarray(point) + size * np.array([-right - up, right - up, right + up, -right + up])
    alpha = picture(
        (corners, np.array([[0, 1, 2], [0, 2, 3]]), RED), camera=camera, height=height, width=width, supersample=4
    )[..., 3]
    y, x = np.mgrid[:height, :width] + 0.5
    drawn = np.array([(alpha * x).sum(), (alpha * y).sum()]) / alpha.sum()
    projected = camera.project(np.array([point]), height, width)[0]
    np.testing.assert_allclose(drawn, projected[:2], atol=0.15)
    forward = camera.axes()[2]
    assert projected[2] == pytest.approx((np.asarray(point) - camera.eye) @ forward)


def test_the_target_is_projected_into_the_middle():
    camera = Camera((0.3, -1.0, 0.4), (0.1, 0.2, -0.1), 20.0, 10.0)
    np.testing.assert_allclose(camera.project(np.array([camera.target]), 48, 64)[0, :2], [32, 24], atol=1e-9)


def test_a_camera_has_right_angles():
    axes = np.stack(Camera((0.3, -1.0, 0.4), (0.1, 0.2, -0.1), 20.0, 10.0).axes())
    np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(np.cross(axes[0], axes[2]), axes[1], atol=1e-12)


def test_the_same_mesh_gives_the_same_picture():
    rng = np.random.default_rng(0)
    soup = (rng.uniform(-0.4, 0.4, (60, 3)), rng.integers(0, 60, (40, 3)), GREY)
    light = Light((0.4, -1.0, 0.5), (1.0, 0.9, 0.8), (0.2, 0.2, 0.3), (0.1, 0.1, 0.1))
    np.testing.assert_array_equal(picture(soup, light=light), picture(soup, light=light))
