"""Differences of consecutive frames, worked by hand."""

from itertools import pairwise

import numpy as np
import pytest

from pvbench.evaluator import Evaluators, FeaturePlan
from pvbench.features.differences import frame_differences
from pvbench.profile import load_profile
from pvbench.video import Video


def levels(*values):
    """Frames of 5 x 7 pixels, each of one level."""
    return np.stack([np.full((5, 7, 3), value, np.uint8) for value in values])


def test_a_difference_is_in_levels_and_has_no_sign():
    np.testing.assert_array_equal(frame_differences(levels(10, 250, 10, 10)), [240, 240, 0])


def test_every_pixel_and_colour_counts_alike():
    frames = np.zeros((2, 2, 3, 3), np.uint8)
    frames[1, 0, 0] = (255, 0, 0)
    frames[1, 1, 2] = (0, 9, 0)
    np.testing.assert_allclose(frame_differences(frames), [264 / 18], rtol=1e-7)


def test_one_frame_has_no_pair():
    found = frame_differences(levels(3))
    assert found.shape == (0,)
    assert found.dtype == np.float32


def test_the_difference_over_whole_frames_in_32_bits_is_nearly_the_same():
    frames = np.random.default_rng(0).integers(0, 256, (4, 120, 200, 3), dtype=np.uint8)
    whole = [np.abs(b.astype(np.float32) - a.astype(np.float32)).mean() for a, b in pairwise(frames)]
    np.testing.assert_allclose(frame_differences(frames), whole, rtol=1e-6)


@pytest.mark.parametrize("name", ["mini", "animatediff"])
@pytest.mark.parametrize("fps", [8.0, 24.0])
def test_all_frames_are_seen_at_their_own_size_without_weights(monkeypatch, tmp_path, name, fps):
    monkeypatch.setenv("PVBENCH_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("PVBENCH_OFFLINE", "1")
    plan = FeaturePlan(load_profile(name), {"pixels/difference"})
    assert plan.parts == ("pixels",)
    found = Evaluators(plan, "cpu").all("video", Video(levels(0, 7, 0, 7, 7), fps))
    assert set(found) == {"pixels/difference"}
    np.testing.assert_array_equal(found["pixels/difference"], [7, 7, 7, 0])
