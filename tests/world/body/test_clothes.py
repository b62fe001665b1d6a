"""Clothes: every kind in every colour, each another one, and none of them on the face."""

import numpy as np
import pytest

from pvbench.world.body import CLOTHES, COLOURS, Outfit, build
from pvbench.world.body.clothes import add_shirt, shirt_mesh
from pvbench.world.body.mesh import Parts
from pvbench.world.body.paint import linear
from pvbench.world.body.reference import reference_coordinates


@pytest.fixture
def average(figure):
    return reference_coordinates(figure)


@pytest.fixture(scope="module")
def bodies(figure, person):
    """A person in each kind of clothes, all green."""
    return {kind: build(figure, person, Outfit(kind, "green")) for kind in CLOTHES}


@pytest.fixture
def shirt(figure, average):
    """Vertices, colours and triangles of a kind of shirt on the average person."""

    def made(kind, colour="green"):
        parts = Parts(len(figure.bones))
        add_shirt(parts, figure, Outfit(kind, colour), average, average)
        return parts.vertices[0], parts.colours[0], parts.triangles[0]

    return made


def test_every_kind_looks_different_from_the_others(bodies):
    count = len(next(iter(bodies.values())).rest)
    kinds = list(bodies.values())
    for place, one in enumerate(kinds):
        for other in kinds[:place]:
            assert (np.abs(one.colours - other.colours).max(axis=1) > 0.05).sum() > 0.01 * count
            assert len(one.triangles) != len(other.triangles)


def test_clothes_leave_the_head_alone(bodies, average):
    plain = bodies["T-shirt"]
    face = np.flatnonzero(average[:, 2] > -0.095)
    assert len(face) > 4000
    for body in bodies.values():
        np.testing.assert_array_equal(body.rest[face], plain.rest[face])
        np.testing.assert_array_equal(body.colours[face], plain.colours[face])


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("kind", CLOTHES)
def test_most_of_a_shirt_has_the_colour_that_was_asked_for(shirt, kind, colour):
    _, colours, triangles = shirt(kind, colour)
    own = np.abs(colours[np.unique(triangles), :3] - linear(COLOURS[colour])).max(axis=1) < 1e-6
    assert own.mean() > 0.5
    assert 0 <= colours.min() <= colours.max() <= 1


def test_the_colours_can_be_told_apart():
    colours = np.array(list(COLOURS.values()))
    gaps = np.linalg.norm(colours[:, None] - colours[None], axis=2)
    assert 0 <= colours.min() <= colours.max() <= 1
    assert gaps[~np.eye(len(colours), dtype=bool)].min() > 0.3


def test_arms_are_bare_in_a_t_shirt_and_covered_otherwise(bodies, figure, average, person):
    arm = figure.is_body & (np.abs(average[:, 0]) > 0.3) & (np.abs(average[:, 0]) < 0.4)
    hand = figure.is_body & (np.abs(average[:, 0]) > 0.5)
    skin = {kind: np.abs(body.colours[: len(arm), :3] - linear(person.skin)).max(axis=1) < 0.05
            for kind, body in bodies.items()}  # fmt: skip
    assert hand.any()
    assert {kind: (bare[arm].all(), bare[arm].any(), bare[hand].all()) for kind, bare in skin.items()} == {
        "T-shirt": (True, True, True),
        "jacket": (False, False, True),
        "turtleneck": (False, False, True),
    }


def test_only_a_turtleneck_covers_the_throat_and_it_stands_off_the_neck(bodies, figure, average):
    x, y, z = average.T
    throat = np.flatnonzero(figure.is_body & (np.abs(x) < 0.03) & (y < 0.05) & (z < -0.135) & (z > -0.15))
    assert len(throat) > 10
    green = {kind: body.colours[throat, 1] > 1.5 * body.colours[throat, 0] for kind, body in bodies.items()}
    assert green["turtleneck"].all()
    assert not green["T-shirt"].any()
    collar = np.linalg.norm(bodies["turtleneck"].rest[throat] - bodies["T-shirt"].rest[throat], axis=1)
    assert collar.mean() > 0.005
    assert collar.max() < 0.03


@pytest.mark.parametrize(("colour", "light"), [("black", True), ("red", True), ("white", False), ("yellow", False)])
def test_what_is_worn_under_a_jacket_stands_out_from_it(shirt, average, figure, colour, light):
    _, colours, _ = shirt("jacket", colour)
    middle = average[shirt_mesh(figure)[0]].mean(axis=1)
    chest = (np.abs(middle[:, 0]) < 0.01) & (middle[:, 1] < 0.05) & (middle[:, 2] < -0.2)
    assert chest.any()
    under, over = colours[chest, :3].mean(), linear(COLOURS[colour]).mean()
    assert bool(under > over + 0.2) == light
    assert abs(under - over) > 0.2


def test_a_shirt_is_closed_in_a_turtleneck_and_open_at_the_neck_otherwise(shirt, figure):
    triangles = {kind: len(shirt(kind)[2]) for kind in CLOTHES}
    assert triangles["turtleneck"] == 4 * len(figure.groups["shirt"])
    assert max(triangles["T-shirt"], triangles["jacket"]) < triangles["turtleneck"]


def test_a_subdivided_shirt_has_the_corners_and_the_middles_of_its_edges(figure):
    pairs, triangles = shirt_mesh(figure)
    coarse = figure.groups["shirt"]
    assert len(triangles) == 4 * len(coarse)
    corners = pairs[pairs[:, 0] == pairs[:, 1], 0]
    assert set(corners) == set(coarse.ravel())
    edges = np.sort(np.concatenate([coarse[:, [0, 1]], coarse[:, [1, 2]], coarse[:, [2, 0]]]), axis=1)
    assert len(pairs) == len(corners) + len(np.unique(edges, axis=0))
