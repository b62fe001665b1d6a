"""The paint of a face and its eyes: each trait changes its own place alone."""

from dataclasses import replace

import numpy as np
import pytest

from pvbench.world.body.eyes import EYE_RINGS, EYE_SECTORS, add_eye
from pvbench.world.body.hair import beard_amount
from pvbench.world.body.mesh import Parts
from pvbench.world.body.paint import linear
from pvbench.world.body.reference import reference_coordinates
from pvbench.world.body.skin import painted_skin
from pvbench.world.person import BEARDS, HAIR_COLOURS, IRISES, pool_person

BALL = np.array([[x, y, z] for x in (0.02, 0.04) for y in (0.01, 0.03) for z in (-0.01, 0.01)])


@pytest.fixture
def average(figure):
    return reference_coordinates(figure)


@pytest.fixture
def paint(figure, average):
    """Colours and gloss of a person's skin."""
    return lambda person: painted_skin(figure, person, average, average)[1]


@pytest.mark.parametrize("number", range(6))
def test_colours_are_in_range_and_most_of_the_skin_has_the_persons_tone(figure, average, paint, number):
    person = pool_person("held-out", number, figure.face_sliders())
    colours = paint(person)
    assert colours.shape == (len(average), 4)
    assert 0 <= colours.min() <= colours.max() <= 1
    assert (np.abs(colours[:, :3] - linear(person.skin)).max(axis=1) < 0.01).mean() > 0.5


def test_the_vertices_are_a_copy_of_the_shape(figure, average, person):
    shape, _ = painted_skin(figure, person, average, average)
    np.testing.assert_array_equal(shape, average)
    shape += 1
    assert average.mean() < 1


@pytest.mark.parametrize("kind", BEARDS[1:])
def test_a_beard_changes_its_own_place_towards_the_hairs_colour(figure, average, paint, person, kind):
    plain = paint(person)[:, :3]
    worn = paint(replace(person, look=replace(person.look, beard=kind, hair_colour="black")))[:, :3]
    x, y, z = average.T
    # Brows have the hair's colour too.
    below = z < -0.01
    amount = beard_amount(kind, figure, np.abs(x), y, z)
    np.testing.assert_array_equal(worn[below & (amount == 0)], plain[below & (amount == 0)])
    grown = amount > 0.4
    gaps = [np.abs(colours[grown] - linear(HAIR_COLOURS["black"])).mean() for colours in (worn, plain)]
    assert grown.any()
    assert gaps[0] < 0.8 * gaps[1]


def changed(paint, person, **traits):
    """Where a trait changes the paint, and the paint with it."""
    before, after = paint(person), paint(replace(person, **traits))
    return np.abs(after - before).max(axis=1) > 1e-4, after


def test_lips_grow_redder_and_nothing_else_does(figure, paint, person):
    plain = replace(person, lip=(0.1, 1.0))
    (where, after), pale = changed(paint, plain, lip=(0.9, 1.0)), paint(plain)
    assert where.any()
    assert not where[figure.masks["lips"] == 0].any()
    assert (after[where, 1] / after[where, 0] < pale[where, 1] / pale[where, 0]).all()


def test_a_blush_is_on_the_cheeks(average, paint, person):
    where, _ = changed(paint, replace(person, blush=0.0), blush=0.6)
    x, y, z = average.T
    assert where.any()
    assert np.hypot(np.abs(x[where]) - 0.042, z[where] + 0.03).max() < 0.06
    assert (y[where] < 0.02).all()


def test_brows_are_above_the_eyes_and_lift(average, paint, person):
    where, _ = changed(paint, replace(person, brow=(0.4, 0.0)), brow=(1.0, 0.0))
    x, _, z = average[where].T
    assert 0.005 < z.min() < z.max() < 0.04
    assert 0.008 < np.abs(x).min() < np.abs(x).max() < 0.06
    dark = []
    for lift in (-0.003, 0.004):
        colours = paint(replace(person, brow=(1.0, lift)))
        brow = (colours[:, 0] < 0.6 * linear(person.skin)[0]) & (abs(average[:, 2] - 0.03) < 0.02) & (average[:, 1] < 0)
        dark.append(average[brow, 2].mean())
    assert dark[1] - dark[0] == pytest.approx(0.007, abs=0.003)


def eye(iris):
    parts = Parts(bones=3)
    add_eye(parts, BALL, replace(pool_person("held-out", 0, ["nose"]), iris=iris), 2)
    return parts


def test_an_eyeball_is_round_where_the_coarse_one_was_and_hangs_on_its_bone():
    parts = eye(IRISES[0])
    (vertices,), (triangles,) = parts.vertices, parts.triangles
    assert vertices.shape == (EYE_RINGS * EYE_SECTORS, 3)
    np.testing.assert_allclose(np.linalg.norm(vertices - [0.03, 0.02, 0.0], axis=1), 0.01)
    assert set(triangles.ravel()) == set(range(len(vertices)))
    assert (parts.weights[0] == [0, 0, 1]).all()


@pytest.mark.parametrize("iris", IRISES)
def test_an_eye_is_black_in_front_then_of_the_iris_colour_then_white(iris):
    parts = eye(iris)
    (vertices,), (colours,) = parts.vertices, parts.colours
    order = np.argsort(vertices[:, 1], kind="stable")
    rings = colours[order, :3].reshape(EYE_RINGS, EYE_SECTORS, 3)
    assert rings[0].max() < 0.01
    assert any(np.allclose(ring, linear(iris)) for ring in rings[1:5])
    assert rings[-1].min() > 0.7
    assert colours.max() <= 1
