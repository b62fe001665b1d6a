"""People are put together whole, in any outfit and look, and each as if there had been no other before."""

from dataclasses import replace

import numpy as np
import pytest

from pvbench.world.body import COLOURS, Outfit, build
from pvbench.world.body.paint import linear
from pvbench.world.body.reference import reference_coordinates
from pvbench.world.body.teeth import TEETH
from pvbench.world.person import BEARDS, GLASSES, HAIR_COLOURS, HAIR_STYLES, Look, pool_person

ARRAYS = ("rest", "colours", "weights", "triangles", "joints", "head")
LOOKS = [
    Look(hair, colour, beard, glasses, hair_seed=3)
    for hair, colour, beard, glasses in zip(HAIR_STYLES, HAIR_COLOURS, (*BEARDS, "none"), 2 * GLASSES, strict=True)
]


def assert_same(one, other):
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def styled(person, **look):
    return replace(person, look=replace(person.look, **look))


@pytest.mark.parametrize("look", LOOKS, ids=lambda look: look.hair)
@pytest.mark.parametrize("cap", ["", "red"])
def test_the_parts_of_a_person_fit_together_whatever_is_worn(dress, person, look, cap):
    body = dress(replace(person, look=look), cap, "jacket")
    count = len(body.rest)
    assert [len(body.colours), len(body.weights), len(body.head)] == [count, count, len(body.triangles)]
    assert 0 <= body.triangles.min() <= body.triangles.max() < count
    assert np.isfinite(body.rest).all()
    assert 0 <= body.colours.min() <= body.colours.max() <= 1.5
    np.testing.assert_allclose(body.weights.sum(axis=1), 1, atol=1e-4)
    assert all(0 <= numbers.min() <= numbers.max() < count for numbers in body.landmark_points)


def test_a_person_is_the_same_whoever_was_built_before(figure, dress, person):
    first = dress(person)
    for other in (pool_person("held-out", 3, figure.face_sliders()), styled(person, hair="long", beard="full beard")):
        dress(other, "green", "turtleneck")
        assert_same(dress(person), first)


@pytest.mark.parametrize("change", ["sliders", "phenotypes"])
def test_another_shape_is_another_body_in_the_same_clothes(figure, dress, person, change):
    other = pool_person("held-out", 3, figure.face_sliders())
    body, changed = dress(person), dress(replace(person, **{change: getattr(other, change)}))
    np.testing.assert_array_equal(changed.triangles, body.triangles)
    np.testing.assert_array_equal(changed.colours, body.colours)
    assert np.abs(changed.rest - body.rest).max() > 0.005


def test_building_takes_nothing_of_the_figure_away(figure, person):
    template, weights = figure.template.copy(), figure.weights.copy()
    average = reference_coordinates(figure).copy()
    build(figure, styled(person, hair="curly", glasses="square"), Outfit("turtleneck", "pink", "blue"))
    np.testing.assert_array_equal(figure.template, template)
    np.testing.assert_array_equal(figure.weights, weights)
    np.testing.assert_array_equal(reference_coordinates(figure), average)


def test_every_look_is_another_body(dress, person):
    looks = [{"hair": style} for style in HAIR_STYLES] + [{"beard": kind} for kind in BEARDS[1:]]
    looks += [{"glasses": kind} for kind in GLASSES[1:]]
    bodies = [dress(styled(person, **look)) for look in looks]
    assert len({body.rest.tobytes() + body.colours.tobytes() for body in bodies}) == len(looks)


@pytest.mark.parametrize("colour", HAIR_COLOURS)
def test_scalp_and_lashes_have_the_hairs_colour_and_the_face_has_not(figure, dress, person, colour):
    plain, body = dress(styled(person, hair_colour="black")), dress(styled(person, hair_colour=colour))
    _, y, z = reference_coordinates(figure).T
    crown = np.flatnonzero(figure.is_body & (z > 0.09) & (y > 0.05))
    np.testing.assert_allclose(
        body.colours[crown, :3], np.tile(linear(HAIR_COLOURS[colour]), (len(crown), 1)), rtol=1e-4
    )
    lashes = body.colours[figure.groups["lashes"].ravel(), :3]
    np.testing.assert_allclose(lashes, 0.25 * np.tile(linear(HAIR_COLOURS[colour]), (len(lashes), 1)), rtol=1e-4)
    face = np.flatnonzero(figure.is_body & (z < 0.0) & (z > -0.09) & (y < 0.0))
    np.testing.assert_array_equal(body.colours[face], plain.colours[face])


def test_teeth_are_bright_and_the_tongue_red(figure, dress, person):
    colours = dress(person).colours[:, :3]
    for row in TEETH:
        assert colours[figure.groups[row].ravel()].min() > 0.7
    tongue = colours[figure.groups["tongue"].ravel()]
    assert (tongue[:, 0] > 3 * tongue[:, 1]).all()


def test_the_head_is_told_from_neck_and_clothes(figure, dress, person):
    body = dress(person, "green")
    average = reference_coordinates(figure)
    first = body.triangles[:, 0]
    of_skin = np.flatnonzero(first < len(average))
    _, y, z = average[first[of_skin]].T
    assert body.head[of_skin[(z > -0.09) & (y < 0.09)]].all()
    assert not body.head[of_skin[z < -0.2]].any()
    shirt = (first >= len(average)) & np.isclose(body.colours[first, :3], linear(COLOURS["blue"])).all(axis=1)
    assert shirt.any()
    assert not body.head[shirt].any()


def test_gaze_comes_from_the_middle_of_the_eyes_which_all_people_have_at_one_place(figure, dress):
    for number in range(3):
        body = dress(pool_person("held-out", number, figure.face_sliders()))
        left, right = (body.rest[numbers].mean(axis=0) for numbers in body.landmark_points[:2])
        np.testing.assert_allclose((left + right)[[0, 2]], 0, atol=1e-3)
        assert left[0] < -0.02
        assert right[0] > 0.02
