"""ConsisID's "FID" and CLIPScore, worked by hand and beside the script's arithmetic."""

import math

import numpy as np
import pytest
import torch

from pvbench.metrics import MetricError
from pvbench.metrics.consisid import ConsisIDClipScore, ConsisIDFid, face_distance


def rows(*values):
    """Features of width 2; None is a frame without a face."""
    return np.array([(math.nan,) * 2 if value is None else value for value in values], np.float32)


def fid(frames, photos):
    return ConsisIDFid().row({"consisid/inception": frames, "reference/inception": photos})[0]


def test_the_mean_over_frames_of_the_squared_distance():
    assert fid(rows((3, 4), (0, 1)), rows((0, 0))) == pytest.approx((25 + 1) / 2)
    assert fid(rows((3, 4)), rows((3, 4))) == 0


def test_frames_without_a_face_are_left_out_and_a_video_without_any_is_best():
    assert fid(rows((3, 4), None, None), rows((0, 0))) == pytest.approx(25)
    assert fid(rows(None, None), rows((0, 0))) == 0


def test_photos_are_averaged_and_those_without_a_face_left_out():
    assert fid(rows((3, 4)), rows((0, 0), None, (3, 3))) == pytest.approx((25 + 1) / 2)
    assert math.isnan(fid(rows((3, 4)), rows(None)))
    assert math.isnan(fid(rows(None), rows(None)))


def scripts_fid(real, fake):
    """Fréchet distance of one face's features, twice, and another's: the script's steps, in its float32."""
    one, two = (torch.tensor(np.repeat(row[None], 2, axis=0)) for row in (real, fake))
    spread_one, spread_two = torch.cov(one.T), torch.cov(two.T)
    values, vectors = torch.linalg.eigh(spread_one @ spread_two)
    root = (vectors * values.clamp(min=0).sqrt()) @ vectors.T
    means = ((one.mean(dim=0) - two.mean(dim=0)) ** 2).sum()
    return float(means + torch.trace(spread_one + spread_two - 2 * root))


def test_it_is_what_the_scripts_frechet_distance_comes_to():
    # The covariances are zero to the bit; the sums are in float32 there.
    drawn = np.random.default_rng(0).uniform(0, 2, (5, 96)).astype(np.float32)
    expected = np.mean([scripts_fid(drawn[0], row) for row in drawn[1:]])
    assert face_distance(drawn[1:], drawn[:1]) == pytest.approx(float(expected), rel=1e-5)


def test_broken_features_are_no_number():
    with pytest.raises(MetricError, match="consisid/inception"):
        fid(rows((math.nan, 1)), rows((0, 0)))
    with pytest.raises(MetricError, match="widths differ"):
        fid(rows((1, 1)), np.zeros((1, 3), np.float32))


def test_less_distance_is_better_and_the_table_says_what_wins():
    (column,) = ConsisIDFid.columns
    assert column.header.endswith("↓")
    assert "without a face" in column.note


def test_clip_score_is_the_mean_cosine_times_100_in_tables():
    text = np.array([2.0, 0.0], np.float32)
    frames = np.array([[1, 0], [0.6, 0.8]], np.float32)
    (value,) = ConsisIDClipScore().row({"consisid/clip": frames, "text/consisid_clip": text})
    assert value == pytest.approx(0.8)
    assert ConsisIDClipScore.columns[0].text(value) == "80.00"
