"""Actions move head, face and body smoothly and within what the networks are asked to see."""

import numpy as np
import pytest

from pvbench.world.action import ACTIONS, EXPRESSIONS, FACE_ACTIONS, motion

SEEDS = range(12)
# The most that one frame may differ from the one before at 8 frames a second: degrees, metres, shares.
PER_FRAME = {"yaw": 40, "pitch": 26, "roll": 15, "gaze": 13, "shift": 0.08, "lean": 8, "nearness": 0.1, "wave": 50}
# The same a second: no action jumps, however finely it is sampled.
PER_SECOND = {"yaw": 400, "pitch": 300, "roll": 130, "gaze": 70, "shift": 0.6, "lean": 60, "nearness": 0.6, "wave": 500}
UNITS_PER_SECOND = 20


def poses(action, seed=0, frames=8, fps=8.0, expression="neutral"):
    return motion(action, expression, frames, fps, np.random.default_rng(seed))


def channels(found):
    """Each number of the poses over time, (T,) or (T, 2)."""
    moved = {name: np.array([getattr(p, name) for p in found]) for name in PER_FRAME if name != "wave"}
    if found[0].wave is not None:
        moved["wave"] = np.array([p.wave for p in found])
    return moved


def units(found):
    """(T, u) face units over time."""
    names = sorted({name for p in found for name in p.units})
    return np.array([[p.units.get(name, 0.0) for name in names] for p in found])


@pytest.mark.parametrize("action", ACTIONS)
def test_frame_to_frame_change_is_bounded(action):
    for seed in SEEDS:
        for name, values in channels(poses(action, seed)).items():
            assert np.abs(np.diff(values, axis=0)).max() <= PER_FRAME[name], name


@pytest.mark.parametrize("action", ACTIONS)
def test_no_action_jumps(action):
    fps = 400.0
    for seed in SEEDS[:3]:
        found = poses(action, seed, frames=400, fps=fps)
        for name, values in channels(found).items():
            assert np.abs(np.diff(values, axis=0)).max() * fps <= PER_SECOND[name], name
        face = units(found)
        assert not face.size or np.abs(np.diff(face, axis=0)).max() * fps <= UNITS_PER_SECOND


@pytest.mark.parametrize("action", ACTIONS)
def test_the_frame_rate_samples_the_same_movement(action):
    coarse, fine = poses(action, 3), poses(action, 3, frames=64, fps=64.0)
    assert coarse == fine[::8]


@pytest.mark.parametrize("action", ACTIONS)
def test_the_head_stays_within_forty_degrees_of_yaw(action):
    assert max(abs(p.yaw) for seed in range(40) for p in poses(action, seed)) <= 40


@pytest.mark.parametrize("action", ACTIONS)
def test_a_generator_determines_a_movement(action):
    assert poses(action, 1) == poses(action, 1)
    assert poses(action, 1) != poses(action, 2)


@pytest.mark.parametrize("action", sorted(FACE_ACTIONS))
@pytest.mark.parametrize("expression", sorted(set(EXPRESSIONS) - {"neutral"}))
def test_actions_of_the_face_refuse_an_expression(action, expression):
    with pytest.raises(ValueError, match=f"'{action}' moves the face"):
        poses(action, expression=expression)


@pytest.mark.parametrize("action", sorted(set(ACTIONS) - FACE_ACTIONS))
def test_an_expression_is_held_throughout(action):
    for expression, wanted in EXPRESSIONS.items():
        for pose in poses(action, expression=expression):
            assert set(pose.units) == set(wanted)
            assert all(0.8 <= pose.units[name] / value <= 1.1 for name, value in wanted.items())


@pytest.mark.parametrize("action", sorted(FACE_ACTIONS))
def test_actions_of_the_face_move_it(action):
    for seed in SEEDS:
        assert np.ptp(units(poses(action, seed)), axis=0).max() > 0.2


@pytest.mark.parametrize(
    ("action", "channel", "least"),
    [
        ("nod", "pitch", 15), ("shake the head", "yaw", 25), ("look up", "pitch", 14), ("look down", "pitch", 14),
        ("turn left", "yaw", 15), ("turn right", "yaw", 15), ("wave", "wave", 25), ("walk closer", "nearness", 0.25),
        ("sway", "roll", 8),
    ],
)  # fmt: skip
def test_an_action_shows_in_its_channel(action, channel, least):
    for seed in SEEDS:
        assert np.ptp(channels(poses(action, seed))[channel]) > least


def test_standing_still_hardly_moves():
    for seed in SEEDS:
        found = channels(poses("still", seed))
        assert np.ptp(found["yaw"]) < 3
        assert np.ptp(found["pitch"]) < 2


@pytest.mark.parametrize(("side", "sign"), [("left", -1), ("right", 1)])
def test_a_turn_ends_on_its_side(side, sign):
    assert all(sign * poses(f"turn {side}", seed)[-1].yaw > 12 for seed in SEEDS)


def test_looking_up_and_down_end_apart():
    for seed in SEEDS:
        assert poses("look up", seed)[-1].pitch > 8
        assert poses("look down", seed)[-1].pitch < -8
