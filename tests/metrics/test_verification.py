"""Shares of frames that reach a threshold, worked by hand, for faces and for whole heads."""

import math

import numpy as np
import pytest

from pvbench.metrics import MetricError, load_metrics
from pvbench.metrics.head_sim import HeadSim
from pvbench.metrics.verification import Verification


def along(cosine):
    return [cosine, math.sqrt(1 - cosine**2)]


COSINES = (0.9, 0.5, 0.3, -0.2)


def features(part="face", cosines=COSINES, missing=0):
    rows = np.array([along(cosine) for cosine in cosines] + [[np.nan, np.nan]] * missing, np.float32)
    detected = np.array([1] * len(cosines) + [0] * missing, np.float32)
    return {
        f"{part}/embedding": rows.reshape(-1, 2),
        "face/detected": detected,
        f"reference/{part}": np.array([[1, 0]], np.float32),
    }


def test_frames_that_reach_the_threshold_are_accepted():
    metric = Verification(threshold_1=0.4, threshold_01=0.8)
    assert metric.row(features()) == (0.5, 0.25)


def test_a_cosine_equal_to_the_threshold_is_accepted():
    assert Verification(threshold_1=0.5).row(features(cosines=(0.5,)))[0] == 1


def test_a_frame_without_a_face_is_refused():
    metric = Verification(threshold_1=0.4, threshold_01=0.8)
    assert metric.row(features(missing=4)) == (0.25, 0.125)
    assert metric.row(features(cosines=(), missing=3)) == (0, 0)


def test_without_a_threshold_there_is_no_number():
    assert all(math.isnan(value) for value in Verification().row(features()))
    at_1, at_01 = Verification(threshold_1=0.4).row(features())
    assert at_1 == 0.5
    assert math.isnan(at_01)


@pytest.mark.parametrize("metric", [Verification, HeadSim])
def test_thresholds_that_cannot_be_are_refused(metric):
    with pytest.raises(MetricError, match=r"threshold_1 is 1\.5; expected a cosine"):
        metric(threshold_1=1.5)
    with pytest.raises(MetricError, match=r"threshold_01 is 0\.3, below threshold_1 = 0\.4.*exchange them"):
        metric(threshold_1=0.4, threshold_01=0.3)


def test_heads_have_a_mean_cosine_besides():
    similarity, at_1, at_01 = HeadSim(threshold_1=0.4, threshold_01=0.8).row(features("head", missing=1))
    assert similarity == pytest.approx(sum(COSINES) / 5)
    assert (at_1, at_01) == (0.4, 0.2)
    assert HeadSim().row(features("head", cosines=(), missing=2))[0] == 0


def test_a_profile_sets_the_thresholds_and_the_signature_has_them():
    (metric,) = load_metrics({"verification": {"threshold_1": 0.4}}, ["verification"])
    facts = metric.signature({"face": {"extractor": "x"}}).facts
    assert (facts["threshold_1"], facts["threshold_01"]) == (0.4, 0.0)
