"""Glasses and caps: what they look like, and that they change only their own place."""

from dataclasses import replace

import numpy as np
import pytest

from pvbench.world.body.clothes import COLOURS
from pvbench.world.body.head_profile import HeadProfile, radius_at
from pvbench.world.body.headwear import add_cap, add_glasses
from pvbench.world.body.mesh import Parts
from pvbench.world.body.paint import linear
from pvbench.world.person import GLASSES

PROFILE = HeadProfile(0.09, np.linspace(0.11, -0.09, 16), np.linspace(-np.pi, np.pi, 37), np.full((16, 37), 0.08))
BALL = np.array([[x, y, z] for x in (-0.01, 0.01) for y in (-0.01, 0.01) for z in (-0.01, 0.01)])
EYES = [BALL + np.array([x, 0.0, 0.0]) for x in (-0.03, 0.03)]
WORN = GLASSES[1:]


def glasses(kind):
    parts = Parts(bones=2)
    add_glasses(parts, EYES, PROFILE, kind, 1)
    return parts


def cap(colour):
    parts = Parts(bones=2)
    add_cap(parts, PROFILE, colour, 1)
    return parts


@pytest.mark.parametrize("kind", WORN)
def test_glasses_have_a_rim_before_each_eye_a_bridge_and_two_arms(kind):
    parts = glasses(kind)
    left, right, bridge, *arms = parts.vertices
    for rim, eye in ((left, EYES[0]), (right, EYES[1])):
        assert rim[:, 1].max() < eye[:, 1].min()
        assert (rim.min(axis=0)[[0, 2]] < eye.min(axis=0)[[0, 2]]).all()
        assert (rim.max(axis=0)[[0, 2]] > eye.max(axis=0)[[0, 2]]).all()
    assert left[:, 0].max() < 0 < right[:, 0].min()
    assert bridge[:, 0].min() == pytest.approx(-bridge[:, 0].max(), abs=1e-6)
    assert len(arms) == 2
    for arm, side in zip(arms, (-1, 1), strict=True):
        # From the rim to beside the ear, outside of the head.
        assert (side * arm[:, 0] > 0).all()
        assert arm[:, 1].max() == pytest.approx(PROFILE.axis_y, abs=0.003)
        assert np.abs(arm[-4:, 0]).min() > 0.08


def test_square_rims_have_corners_and_round_ones_have_none():
    corners = {}
    for kind in WORN:
        # Four vertices stand around each point of a rim.
        rim = glasses(kind).vertices[0].reshape(-1, 4, 3).mean(axis=1)
        out = np.abs(rim - rim.mean(axis=0))
        corners[kind] = int(((out[:, 0] > 0.02) & (out[:, 2] > 0.013)).sum())
    assert corners == {"round": 0, "square": 4}


def test_glasses_are_dark_and_hang_on_the_head():
    for kind in WORN:
        parts = glasses(kind)
        assert max(colours[:, :3].max() for colours in parts.colours) < 0.05
        assert all((weights == [0, 1]).all() for weights in parts.weights)


@pytest.mark.parametrize("colour", COLOURS)
def test_a_cap_and_its_brim_have_the_colour_that_was_asked_for(colour):
    crown, brim = cap(colour).colours
    np.testing.assert_allclose(crown[:, :3], np.tile(linear(COLOURS[colour]), (len(crown), 1)))
    # The brim is seen from below.
    np.testing.assert_allclose(brim[:, :3] / crown[0, :3], 0.75)


def test_a_cap_lies_on_the_head_above_the_eyes_with_its_brim_before_the_face():
    crown, brim = cap("red").vertices
    edge = crown[-37:]
    direction = np.arctan2(edge[:, 0], edge[:, 1] - PROFILE.axis_y)
    assert (np.hypot(edge[:, 0], edge[:, 1] - PROFILE.axis_y) > radius_at(PROFILE, 0.046, direction)).all()
    assert crown[:, 2].max() > PROFILE.heights.max()
    assert min(crown[:, 2].min(), brim[:, 2].min()) > 0.02
    assert brim[:, 1].min() < crown[:, 1].min() - 0.05
    assert brim[:, 1].max() < PROFILE.axis_y


@pytest.mark.parametrize("kind", WORN)
def test_glasses_add_to_a_person_and_change_nothing_else(dress, person, kind):
    plain, worn = dress(person), dress(replace(person, look=replace(person.look, glasses=kind)))
    for name in ("rest", "colours", "weights", "triangles"):
        before, after = getattr(plain, name), getattr(worn, name)
        assert len(after) > len(before)
        np.testing.assert_array_equal(after[: len(before)], before)
    added = worn.rest[len(plain.rest) :]
    assert np.abs(added[:, 2]).max() < 0.035
    assert worn.head[len(plain.triangles) :].all()


@pytest.mark.parametrize("colour", COLOURS)
def test_a_cap_adds_to_a_person_above_the_eyes_and_changes_nothing_below_the_hair(dress, person, colour):
    plain, worn = dress(person), dress(person, colour)
    below = plain.rest[:, 2] < -0.1
    np.testing.assert_array_equal(worn.rest[: len(plain.rest)][below], plain.rest[below])
    np.testing.assert_array_equal(worn.colours[: len(plain.rest)], plain.colours)
    assert worn.rest[len(plain.rest) :, 2].min() > 0.02
    assert worn.head[len(plain.triangles) :].all()
