"""OpenS2V-Eval's MotionScore: the script's steps, and what its mean does to movement."""

import cv2
import numpy as np
import pytest

from pvbench.features.farneback import mean_flow
from pvbench.metrics.opens2v_motion import OpenS2VMotion


def textured(height=96, width=128):
    drawn = np.random.default_rng(0).integers(0, 256, (height // 4, width // 4, 3), dtype=np.uint8)
    return cv2.resize(drawn, (width, height), interpolation=cv2.INTER_CUBIC)


def moved(shifts, height=96, width=128):
    """A texture at these places (x, y), one a frame."""
    return np.stack([np.roll(textured(height, width), (y, x), (0, 1)) for x, y in shifts])


def score(frames):
    return OpenS2VMotion().row({"opens2v/motion": mean_flow(frames)})[0]


def scripts(frames):
    """Step by step what the script does."""
    before, maps = cv2.cvtColor(frames[0], cv2.COLOR_BGR2GRAY), []
    for frame in frames[1:]:
        grey = cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY)
        flow = cv2.calcOpticalFlowFarneback(
            before, grey, flow=None, pyr_scale=0.5, levels=3, winsize=15, iterations=3, poly_n=5, poly_sigma=1.2,
            flags=0,
        )  # fmt: skip
        maps.append(cv2.resize(flow, (16, int(flow.shape[0] * (16 / flow.shape[1]))), interpolation=cv2.INTER_AREA))
        before = grey
    return abs(float(np.mean(np.mean(np.array(maps), axis=0))))


@pytest.mark.parametrize("size", [(96, 128), (70, 130), (100, 61)])
def test_the_score_is_the_scripts(size):
    frames = moved([(0, 0), (2, 0), (3, 1), (7, 1)], *size)
    assert score(frames) == pytest.approx(scripts(frames), rel=1e-5)


def test_colours_are_read_as_there():
    red_moves = moved([(0, 0), (3, 0)])
    red_moves[..., 1:] = red_moves[0, ..., 1:]
    assert score(red_moves) == pytest.approx(scripts(red_moves), rel=1e-5)
    assert score(red_moves) != pytest.approx(score(red_moves[..., ::-1]), rel=0.05)


def test_a_shift_is_half_of_its_pixels_since_the_other_direction_has_none():
    assert score(moved([(0, 0), (4, 0), (8, 0)])) == pytest.approx(2.0, rel=0.1)


def test_there_and_back_cancel_out_and_so_do_left_and_down():
    assert score(moved([(0, 0), (4, 0), (0, 0)])) < 0.1
    assert score(moved([(0, 0), (-4, 4)])) < 0.2


def test_a_still_video_has_nearly_none_and_a_single_frame_no_value():
    assert score(moved([(0, 0), (0, 0)])) < 1e-3
    assert np.isnan(score(moved([(0, 0)])))


def test_a_very_wide_frame_has_a_row():
    assert np.isfinite(score(moved([(0, 0), (2, 0)], 32, 640)))
