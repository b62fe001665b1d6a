"""Optical flow measures known movements."""

import numpy as np
import pytest

from pvbench.features.flow import about_eight_a_second, optical_flow, sampling_interval
from pvbench.metrics import dynamic_degree
from pvbench.metrics.dynamic_degree import DynamicDegree
from pvbench.video import Video

SIDE = 64


def texture(side, seed=0):
    """A random texture (side, side, 3) of blobs some pixels wide, which flow can follow."""
    import cv2

    noise = np.random.default_rng(seed).uniform(0, 255, (side, side, 3)).astype(np.float32)
    soft = cv2.GaussianBlur(noise, (0, 0), 1.5)
    return np.clip((soft - soft.mean()) * 4 + 128, 0, 255).astype(np.uint8)


def pan(x, y, frames=4):
    """A camera that pans over a wide texture by (x, y) pixels a frame."""
    wide = texture(160)
    return np.stack([wide[50 + y * t : 50 + y * t + SIDE, 50 + x * t : 50 + x * t + SIDE] for t in range(frames)])


@pytest.mark.parametrize(("x", "y"), [(1, 0), (3, 0), (0, -2), (4, 3)])
def test_a_pan_has_the_flow_of_its_shift(x, y):
    found = optical_flow(pan(x, y))
    np.testing.assert_allclose(found.mean, np.hypot(x, y), rtol=0.1)
    np.testing.assert_allclose(found.top5, np.hypot(x, y), rtol=0.25)


def test_a_still_video_has_no_flow():
    found = optical_flow(np.repeat(texture(SIDE)[None], 5, axis=0))
    np.testing.assert_array_equal(found.top5, np.zeros(4))
    np.testing.assert_array_equal(found.mean, np.zeros(4))


def test_one_frame_has_no_pair():
    found = optical_flow(texture(SIDE)[None])
    assert found.top5.shape == found.mean.shape == (0,)
    assert found.top5.dtype == np.float32


def test_a_small_moving_part_shows_in_the_largest_magnitudes():
    ground, part = texture(SIDE), texture(20, seed=1)
    frames = np.repeat(ground[None], 2, axis=0)
    frames[0, 20:40, 20:40] = part
    frames[1, 20:40, 23:43] = part
    found = optical_flow(frames)
    assert found.top5[0] == pytest.approx(3, rel=0.35)
    assert found.mean[0] < 0.35 * found.top5[0]


def test_flow_is_in_pixels_and_not_in_frames():
    slow, fast = optical_flow(pan(1, 0, 6)), optical_flow(pan(1, 0, 6)[::3])
    assert fast.mean.mean() == pytest.approx(3 * slow.mean.mean(), rel=0.1)


def test_the_colour_order_hardly_matters_and_the_frame_order_not_at_all():
    video = pan(2, 1)
    np.testing.assert_allclose(optical_flow(video[::-1]).mean[::-1], optical_flow(video).mean, rtol=0.1)
    np.testing.assert_allclose(optical_flow(video[..., ::-1]).mean, optical_flow(video).mean, rtol=0.1)


def swaying(times):
    """A texture that sways by ten pixels, once in two seconds, as it is seen at some times."""
    import cv2

    wide = texture(160)
    at = [(60 - 10 * np.cos(np.pi * time), 48.0) for time in times]
    return np.stack([cv2.getRectSubPix(wide, (SIDE, SIDE), (float(x + 32), float(y + 32))) for x, y in at])


def flow_magnitude(video):
    size = np.array(video.frames.shape[1:3], np.float32)
    frames, rate = about_eight_a_second(video)
    features = {"flow/top5": optical_flow(frames).top5, "flow/size": size, "flow/fps": np.array([rate], np.float32)}
    return DynamicDegree().row(features)[1]


@pytest.mark.parametrize("fps", [8, 12, 16, 20, 24, 25, 30, 50, 60])
def test_the_same_movement_has_the_same_flow_at_every_rate(fps):
    same = flow_magnitude(Video(swaying(np.arange(16) / 8), 8.0))
    video = Video(swaying(np.arange(2 * fps) / fps), float(fps))
    assert flow_magnitude(video) == pytest.approx(same, rel=0.1)


@pytest.mark.parametrize("seed", range(3))
def test_frames_shown_for_unequal_times_have_the_flow_of_their_times(seed):
    rng = np.random.default_rng(seed)
    times = np.unique(np.concatenate([[0.0], rng.uniform(0, 2, 60).round(3)]))
    uneven = Video(swaying(times), 30.0, np.append(times, 2.0))
    same = flow_magnitude(Video(swaying(np.arange(16) / 8), 8.0))
    assert flow_magnitude(uneven) == pytest.approx(same, rel=0.1)
    assert flow_magnitude(Video(uneven.frames, 60.0)) > 1.5 * same


def test_a_frame_that_is_held_does_not_move():
    held = Video(pan(3, 0, 3), 1.0, np.array([0.0, 0.125, 1.0, 1.125]))
    found = optical_flow(about_eight_a_second(held)[0]).top5
    assert found.shape == (8,)
    assert (found > 1).sum() == 2


def test_odd_sizes_and_views_are_measured():
    video = pan(2, 0)[:, 3:, 2:, ::-1]
    assert optical_flow(video).mean.shape == (3,)


@pytest.mark.parametrize("fps", [1, 7.5, 8, 11.9, 12, 20, 23.976, 24, 25, 28, 30, 60, 120])
def test_flow_is_sampled_as_dynamic_degree_asks(fps):
    assert sampling_interval(fps) == dynamic_degree.sampling_interval(fps)
