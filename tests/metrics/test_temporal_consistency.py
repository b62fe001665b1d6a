"""Temporal consistency, worked by hand and on degenerate videos."""

import math

import numpy as np
import pytest
from pytest import approx

from pvbench.metrics import MetricError
from pvbench.metrics.temporal_consistency import TemporalConsistency


def consistency(frames) -> float:
    return float(TemporalConsistency().rows([{"clip/frame": np.array(frames, np.float32)}])[0, 0])


def test_consecutive_frames_worked_by_hand():
    # Cosines 0.6 and 0.8 between neighbours; the 0 between first and last does not count.
    assert consistency([[1, 0], [0.6, 0.8], [0, 1]]) == approx(0.7)


def test_a_still_video_scores_one():
    assert consistency([[0.6, 0.8]] * 8) == approx(1.0, abs=1e-7)
    assert consistency([[0.6, 0.8]] * 8) <= 1.0


def test_one_frame_has_no_value():
    assert math.isnan(consistency([[1, 0]]))


def test_a_reversed_video_scores_the_same_and_a_shuffled_one_does_not():
    angles = np.linspace(0, 1.5, 8)
    frames = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    assert consistency(frames[::-1]) == approx(consistency(frames))
    assert consistency(frames[[0, 7, 1, 6, 2, 5, 3, 4]]) < consistency(frames)


def test_opposite_frames_score_minus_one():
    assert consistency([[1, 0], [-1, 0], [1, 0]]) == approx(-1.0)


def test_an_empty_video_is_refused():
    with pytest.raises(MetricError, match="at least one frame"):
        consistency(np.zeros((0, 2)))
