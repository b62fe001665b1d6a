"""Scenes are told apart at a glance and determined by their seed."""

from functools import cache
from itertools import combinations

import numpy as np
import pytest

pytest.importorskip("warp", reason='the miniature world needs pip install "pvbench[world]"')

from pvbench.world.canvas import CANVAS
from pvbench.world.scene import SCENES, paint_scene
from pvbench.world.vocabulary import LABELS


@cache
def kept(name, seed):
    """A painted scene; painting takes some milliseconds."""
    return paint(name, seed)


def paint(name, seed=0):
    return paint_scene(name, np.random.default_rng(seed))


def glance(name, seed):
    """An 8 x 8 thumbnail."""
    side = CANVAS // 8
    return kept(name, seed).backdrop.reshape(8, side, 8, side, 3).mean(axis=(1, 3)).ravel()


def test_there_are_at_least_ten_and_the_data_knows_them_all():
    assert len(SCENES) >= 10
    assert LABELS["scene"] == tuple(SCENES)


@pytest.mark.parametrize("name", SCENES)
def test_a_seed_determines_a_scene(name):
    one, other = paint(name, 1), paint(name, 1)
    np.testing.assert_array_equal(one.backdrop, other.backdrop)
    assert one.light == other.light


@pytest.mark.parametrize("name", SCENES)
def test_two_seeds_paint_two_pictures(name):
    assert np.abs(paint(name, 1).backdrop - paint(name, 2).backdrop).mean() > 0.005


@pytest.mark.parametrize("name", SCENES)
def test_a_backdrop_is_a_picture_lit_from_the_front(name):
    scene = paint(name)
    assert scene.backdrop.shape == (CANVAS, CANVAS, 3)
    assert scene.backdrop.dtype == np.float32
    assert 0 <= scene.backdrop.min() < scene.backdrop.max() <= 1
    assert scene.backdrop.std() > 0.03
    assert scene.light.direction[1] < 0 < scene.light.direction[2]


@pytest.mark.parametrize("seed", range(2))
def test_no_two_scenes_look_alike(seed):
    for one, other in combinations(SCENES, 2):
        assert np.abs(kept(one, seed).backdrop - kept(other, seed).backdrop).mean() > 0.06, (one, other)


def test_a_glance_tells_them_apart():
    names = list(SCENES)
    known = np.stack([np.mean([glance(name, seed) for seed in range(5)], axis=0) for name in names])
    for wanted, name in enumerate(names):
        for seed in range(100, 103):
            gaps = np.linalg.norm(known - glance(name, seed), axis=1)
            assert gaps.argmin() == wanted, (name, seed)
