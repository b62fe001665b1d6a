"""The turn of the head that `pvbench likeness` estimates, beside the true one of rendered people."""

import numpy as np
import pytest

pytest.importorskip("warp", reason='the miniature world needs pip install "pvbench[world]"')

from pvbench.evaluator import Evaluators, FeaturePlan
from pvbench.likeness.seen import turned
from pvbench.profile import load_profile
from pvbench.video import Video
from pvbench.world.person import pool_person
from pvbench.world.render import render
from pvbench.world.shot import Shot

ACTIONS = "turn left", "turn right", "shake the head"
FRAMES = 8


def turns(figure, people):
    """True and estimated turns (people, frames) in degrees, of a video of each person."""
    plan = FeaturePlan(load_profile("mini"), frozenset({"face/detected", "face/landmarks"}))
    evaluators = Evaluators(plan, "cpu")
    groups = [group.name for group in plan.of("video") if "face/landmarks" in group.features]
    true, found = [], []
    for number in range(people):
        person = pool_person("held-out", 2000 + number, figure.face_sliders())
        rng = np.random.default_rng(number)
        shown = render(figure, person, Shot(ACTIONS[number % 3]), rng, frames=FRAMES)
        ((_, features),) = evaluators.make("video", Video(shown.frames, 8.0), groups)
        true.append(np.abs(shown.yaw))
        found.append([turned(one[None]) for one in features["face/landmarks"]])
    return np.array(true), np.array(found)


def test_it_is_near_the_true_turn_of_rendered_people(figure):
    """Of 20 people in place of four: docs/likeness.md, which these bounds follow."""
    true, found = turns(figure, 4)
    assert true.max() > 30
    wrong = np.abs(found - true)
    assert wrong.mean() < 3.4
    assert wrong.max() < 12
    assert np.corrcoef(found.ravel(), true.ravel())[0, 1] > 0.95
    assert np.abs(found.max(axis=1) - true.max(axis=1)).max() < 11


@pytest.mark.parametrize("degrees", [0, 5, 20, 45])
@pytest.mark.parametrize("roll", [0, 30, -80])
@pytest.mark.parametrize("side", [-1, 1])
def test_of_a_face_with_the_nose_that_is_assumed_it_is_exact_however_it_is_tilted(degrees, roll, side):
    """Eyes one apart, the tip of the nose .6 before them; a turn moves both, seen from far away."""
    turn = np.radians(side * degrees)
    apart, nose = np.cos(turn), 0.6 * np.sin(turn)
    points = np.array([[-apart / 2, 0], [apart / 2, 0], [nose, 0.5], [-apart / 3, 1], [apart / 3, 1]])
    angle = np.radians(roll)
    tilted = points @ np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    landmarks = (40 * tilted + 32).astype(np.float32)
    assert turned(landmarks[None]) == pytest.approx(degrees, abs=1e-3)


def test_the_widest_of_several_counts_and_none_is_not_a_number():
    ahead = np.array([[-1, 0], [1, 0], [0, 1], [-1, 2], [1, 2]], np.float32)
    aside = ahead + np.array([[0, 0], [0, 0], [1.2, 0], [0, 0], [0, 0]], np.float32)
    assert turned(np.stack([ahead, aside, ahead])) == pytest.approx(45)
    assert np.isnan(turned(np.zeros((0, 5, 2), np.float32)))


def test_eyes_in_one_place_give_a_number():
    assert np.isfinite(turned(np.ones((1, 5, 2), np.float32)))
