"""A person's mesh: landmarks that lie on the face, whatever is worn, and follow the head."""

from dataclasses import replace

import numpy as np
import pytest

from pvbench.world.action import ACTIONS, EXPRESSIONS, Pose, motion
from pvbench.world.person import BEARDS, GLASSES, HAIR_STYLES, Look, pool_person

LEFT_EYE, RIGHT_EYE, NOSE, LEFT_MOUTH, RIGHT_MOUTH = range(5)
SIZE = 64


def pixels(points):
    """Landmarks (5, 2) in a frame that the world's usual camera takes."""
    from pvbench.world.raster import Camera

    return Camera((0.0, -1.5, -0.02), (0.0, 0.0, -0.05), 15.8).project(points, SIZE, SIZE)[:, :2]


def landmarks(body, pose=None):
    return pixels(body.posed(pose or Pose())[1])


@pytest.mark.parametrize("number", range(8))
def test_landmarks_lie_on_the_face_in_their_order(figure, dress, number):
    points = landmarks(dress(pool_person("held-out", number, figure.face_sliders())))
    x, y = points.T
    assert ((points > 8) & (points < SIZE - 8)).all()
    assert max(y[LEFT_EYE], y[RIGHT_EYE]) + 2 < y[NOSE] < min(y[LEFT_MOUTH], y[RIGHT_MOUTH]) - 1
    assert x[LEFT_EYE] + 3 < x[NOSE] < x[RIGHT_EYE] - 3
    assert x[LEFT_MOUTH] + 1 < x[NOSE] < x[RIGHT_MOUTH] - 1
    assert x[LEFT_EYE] + x[RIGHT_EYE] == pytest.approx(SIZE, abs=0.5)


def test_the_eyes_of_all_people_are_at_one_height(figure, dress):
    heights = [dress(pool_person("held-out", k, figure.face_sliders())).posed(Pose())[1][:2, 2] for k in range(4)]
    np.testing.assert_allclose(heights, 0, atol=2e-3)


@pytest.mark.parametrize("cap", ["", "red"])
@pytest.mark.parametrize("hair", HAIR_STYLES)
def test_hat_and_hair_move_no_landmark(dress, person, hair, cap):
    own = landmarks(dress(person))
    worn = landmarks(dress(replace(person, look=replace(person.look, hair=hair, hair_seed=9)), cap))
    assert np.linalg.norm(worn - own, axis=1).max() <= 2


@pytest.mark.parametrize("look", [*({"beard": beard} for beard in BEARDS), *({"glasses": kind} for kind in GLASSES)])
def test_beard_and_glasses_move_no_landmark(dress, person, look):
    worn = landmarks(dress(replace(person, look=replace(person.look, **look))))
    assert np.linalg.norm(worn - landmarks(dress(person)), axis=1).max() <= 2


def test_two_people_have_their_landmarks_in_different_places(figure, dress):
    one, other = (landmarks(dress(pool_person("held-out", k, figure.face_sliders()))) for k in (0, 1))
    assert np.linalg.norm(one - other, axis=1).max() > 0.3


def test_yaw_turns_the_nose_to_the_viewers_right(dress, person):
    body = dress(person)
    nose = {yaw: landmarks(body, Pose(yaw=yaw)) for yaw in (-30.0, 0.0, 30.0)}
    offset = {yaw: p[NOSE, 0] - p[[LEFT_EYE, RIGHT_EYE], 0].mean() for yaw, p in nose.items()}
    assert offset[-30.0] + 2 < offset[0.0] < offset[30.0] - 2


def test_pitch_raises_and_roll_turns_clockwise(dress, person):
    body = dress(person)
    straight = landmarks(body)
    assert landmarks(body, Pose(pitch=20.0))[NOSE, 1] < straight[NOSE, 1] - 1
    assert landmarks(body, Pose(pitch=-20.0))[NOSE, 1] > straight[NOSE, 1] + 1
    rolled = landmarks(body, Pose(roll=15.0))
    assert rolled[RIGHT_EYE, 1] - rolled[LEFT_EYE, 1] > straight[RIGHT_EYE, 1] - straight[LEFT_EYE, 1] + 1


def test_a_smile_widens_the_mouth(dress, person):
    body = dress(person)
    smiling = landmarks(body, Pose(units=EXPRESSIONS["smiling"]))
    straight = landmarks(body)
    assert np.ptp(smiling[[LEFT_MOUTH, RIGHT_MOUTH], 0]) > np.ptp(straight[[LEFT_MOUTH, RIGHT_MOUTH], 0])


def test_the_figure_has_every_face_unit_that_is_used(dress, person):
    body = dress(person)
    used = {name for units in EXPRESSIONS.values() for name in units}
    for action in ACTIONS:
        used |= {name for pose in motion(action, "neutral", 8, 8.0, np.random.default_rng(0)) for name in pose.units}
    assert used <= set(body.unit_rows)


def test_the_bodys_parts_fit_together(dress, person):
    worn = replace(person, look=Look("long", "red", "none", "round", 3))
    body = dress(worn, "green", "jacket")
    count = len(body.rest)
    assert body.colours.shape == (count, 4)
    assert len(body.weights) == count
    assert 0 <= body.triangles.min() <= body.triangles.max() < count
    np.testing.assert_allclose(body.weights.sum(axis=1), 1, atol=1e-4)
    assert 0 <= body.colours.min() <= body.colours.max() <= 1.5


def test_a_still_pose_leaves_the_shape_alone(dress, person):
    body = dress(person)
    vertices, _ = body.posed(Pose())
    head = body.weights[:, list(body.figure.bones).index("head")] > 0.99
    np.testing.assert_allclose(vertices[head], body.rest[head], atol=1e-5)


def test_posing_leaves_the_body_as_it_was(dress, person):
    body = dress(person)
    rest = body.rest.copy()
    body.posed(Pose(yaw=20.0, units={"jawOpen": 1.0}))
    np.testing.assert_array_equal(body.rest, rest)
