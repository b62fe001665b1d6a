"""Hair and beards: every style grows in its own place, and differs from every other."""

from dataclasses import replace

import numpy as np
import pytest

from pvbench.world.body.hair import add_curtain, beard_amount, scalp_hair
from pvbench.world.body.head_profile import HeadProfile
from pvbench.world.body.mesh import Parts
from pvbench.world.body.reference import reference_coordinates
from pvbench.world.person import BEARDS, HAIR_STYLES, Look

LOOK = Look("short", "brown", "none", "none", 1)
BALD_HEAD = HeadProfile(0.09, np.linspace(0.11, -0.09, 16), np.linspace(-np.pi, np.pi, 37), np.full((16, 37), 0.08))


@pytest.fixture
def average(figure):
    return reference_coordinates(figure)


@pytest.fixture
def hair(figure, average):
    """How much of each vertex is hair, and how thick it is there."""
    return lambda style, cap=False, seed=1: scalp_hair(figure, replace(LOOK, hair=style, hair_seed=seed), average, cap)


@pytest.fixture
def beard(figure, average):
    x, y, z = average.T
    return lambda kind: beard_amount(kind, figure, np.abs(x), y, z)


@pytest.mark.parametrize("style", HAIR_STYLES)
def test_hair_grows_on_the_scalp_and_stands_off_the_skin_by_centimetres(figure, average, hair, style):
    amount, thickness = hair(style)
    _, y, z = average.T
    assert 0 <= amount.min() < amount.max() <= 1
    assert (amount[figure.is_body & (z > 0.09) & (y > 0.05)] > 0.5).all()
    assert not amount[(z < -0.10) | (y < -0.04) | ~figure.is_body | (figure.masks["ears"] > 0.5)].any()
    assert thickness.min() >= 0
    assert 0.001 < thickness.max() < 0.045
    assert not thickness[amount == 0].any()


def test_every_style_differs_from_the_others(hair):
    found = [np.concatenate(hair(style)) for style in HAIR_STYLES]
    gaps = [np.abs(one - other).max() for place, one in enumerate(found) for other in found[:place]]
    assert min(gaps) > 0.05


@pytest.mark.parametrize("style", HAIR_STYLES)
def test_a_cap_presses_hair_down_and_leaves_it_where_it_grows(hair, style):
    (amount, thickness), (capped, pressed) = hair(style), hair(style, cap=True)
    np.testing.assert_array_equal(capped, amount)
    assert (pressed <= thickness).all()
    assert pressed.max() < 0.01


def test_a_seed_changes_how_hair_falls_and_not_where_it_grows(hair):
    (amount, thickness), (same, again), (other, fallen) = (hair("curly", seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal([same, other, again], [amount, amount, thickness])
    assert np.abs(fallen - thickness).max() > 0.002


@pytest.mark.parametrize("kind", BEARDS)
def test_a_beard_grows_on_the_lower_face_and_not_on_the_lips(figure, average, beard, kind):
    amount, (_, y, z) = beard(kind), average.T
    assert 0 <= amount.min() <= amount.max() <= 1
    assert bool(amount.any()) == (kind != "none")
    elsewhere = (z > -0.04) | (z < -0.15) | (y > 0.09) | (figure.masks["lips"] > 0.67)
    assert amount[elsewhere].max() < 1e-6


def test_every_beard_differs_from_the_others(beard):
    found = [beard(kind) for kind in BEARDS]
    assert min(np.abs(one - other).max() for place, one in enumerate(found) for other in found[:place]) > 0.3


def test_a_moustache_is_above_the_mouth_a_goatee_at_the_chin_and_a_full_beard_on_the_cheeks_too(average, beard):
    x, _, z = average.T
    chin, cheek = (z < -0.09) & (np.abs(x) < 0.02), (z < -0.07) & (np.abs(x) > 0.045)
    places = {kind: [bool((beard(kind)[place] > 0.3).any()) for place in (chin, cheek)] for kind in BEARDS[1:]}
    assert places == {
        "stubble": [True, True],
        "moustache": [False, False],
        "goatee": [True, False],
        "full beard": [True, True],
    }
    assert (beard("stubble") <= beard("full beard")).all()


def curtain(style, seed=1):
    parts = Parts(bones=2)
    add_curtain(parts, BALD_HEAD, replace(LOOK, hair=style, hair_seed=seed), np.array([0.4, 0.2, 0.1, 0.1]), 1)
    return parts


@pytest.mark.parametrize("seed", range(4))
def test_long_hair_falls_below_the_chin_and_a_bob_ends_above_it(seed):
    assert curtain("long", seed).vertices[0][:, 2].min() < -0.16
    assert -0.11 < curtain("bob", seed).vertices[0][:, 2].min() < -0.07


@pytest.mark.parametrize("style", ["bob", "long"])
def test_hanging_hair_lies_around_the_head_and_leaves_the_face_free(style):
    vertices = curtain(style).vertices[0]
    x, y = vertices[:, 0], vertices[:, 1] - BALD_HEAD.axis_y
    assert np.hypot(x, y).min() > 0.08 - 0.0005
    # Zero is behind; the face lies within half a right angle of 180 degrees.
    assert np.degrees(np.abs(np.arctan2(x, y))).max() < 135


def test_strands_have_shades_of_one_colour_and_hang_on_the_head():
    parts = curtain("long")
    shades = parts.colours[0][:, :3] / np.array([0.4, 0.2, 0.1])
    np.testing.assert_allclose(shades, shades[:, :1].repeat(3, axis=1))
    assert 0.7 < shades.min() < 0.9 < 1.1 < shades.max() < 1.3
    assert (parts.weights[0] == [0, 1]).all()
