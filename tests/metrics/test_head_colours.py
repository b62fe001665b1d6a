"""Distances in CIELAB, worked by hand."""

import math

import numpy as np
import pytest

from pvbench.metrics import check_features
from pvbench.metrics.gallery import UNKNOWN, truth_of
from pvbench.metrics.head_colours import HeadColours
from pvbench.metrics.metric import MetricError

TRUTH = np.array([[50, 10, 20]], np.float32)


def features(skin, crown=((30, 0, 0),), **changed):
    found = {
        "colours/skin": np.array(skin, np.float32),
        "colours/crown": np.array(crown, np.float32),
        "truth/skin": TRUTH,
        "truth/crown": np.array([[30, 0, 0]], np.float32),
    }
    return found | changed


def test_the_distance_is_euclidean_and_averaged_over_frames():
    skin, hair = HeadColours().row(features([[53, 14, 20], [50, 10, 30]], [[30, 0, 0], [42, 5, 0]]))
    assert skin == pytest.approx((5 + 10) / 2)
    assert hair == pytest.approx((0 + 13) / 2)


def test_frames_without_a_face_have_no_part():
    assert HeadColours().row(features([[53, 14, 20], [np.nan] * 3]))[0] == pytest.approx(5)


@pytest.mark.parametrize("without", ["truth/skin", "colours/skin"])
def test_without_truth_or_face_there_is_no_number(without):
    nothing = UNKNOWN.get(without, np.full((1, 3), np.nan, np.float32))
    skin, hair = HeadColours().row(features([[53, 14, 20]], **{without: nothing}))
    assert math.isnan(skin)
    assert hair == 0


def test_a_row_that_is_nan_in_part_is_refused():
    with pytest.raises(MetricError, match="colours/skin"):
        HeadColours().row(features([[53, np.nan, 20]]))


def test_the_truth_is_the_mean_colour_of_the_frames_with_a_face():
    made = {
        "face/detected": np.array([1, 1, 0], np.float32),
        "colours/skin": np.array([[40, 0, 10], [60, 20, 30], [np.nan] * 3], np.float32),
        "colours/crown": np.array([[10, 0, 0], [20, 0, 0], [np.nan] * 3], np.float32),
    }
    found = truth_of(made)
    np.testing.assert_allclose(found["truth/skin"], TRUTH)
    np.testing.assert_allclose(found["truth/crown"], [[15, 0, 0]])
    assert "truth/face" not in found


def test_it_can_be_asked_for_where_colours_are_made():
    check_features(["head_colours"], {"colours/skin", "colours/crown", "face/landmarks"})
    with pytest.raises(Exception, match="colours/skin"):
        check_features(["head_colours"], {"face/embedding"})
