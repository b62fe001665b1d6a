"""Where a face lies between the photo and the truth, worked by hand in a plane."""

import math

import numpy as np
import pytest

from pvbench.metrics import check_features
from pvbench.metrics.copying import Copying
from pvbench.metrics.gallery import UNKNOWN, truth_of


def at(*degrees):
    return np.array([[math.cos(math.radians(d)), math.sin(math.radians(d))] for d in degrees], np.float32)


PHOTO, TRUTH = at(0), at(40)


def features(faces, photos=PHOTO, truth=TRUTH, found=None):
    rows = np.array(faces)
    detected = np.ones(len(rows), np.float32) if found is None else np.array(found, np.float32)
    rows[detected == 0] = np.nan
    return {"face/embedding": rows, "face/detected": detected, "tuned/face": photos, "truth/face": truth}


def value(*args, **given):
    return Copying().row(features(*args, **given))[0]


@pytest.mark.parametrize(("degrees", "expected"), [(0, 1), (40, -1), (20, 0), (10, 0.5), (30, -0.5)])
def test_the_share_of_the_way_to_the_photo(degrees, expected):
    assert value(at(degrees)) == pytest.approx(expected, abs=1e-3)


def test_who_is_beyond_the_photo_is_cut_to_it():
    assert value(at(-30)) == pytest.approx(1)
    # Far from both: as near to one as to the other.
    assert value(at(200)) == pytest.approx(0, abs=1e-3)


def test_the_nearest_photo_counts():
    assert value(at(0), photos=at(0, 80)) == pytest.approx(1, abs=1e-3)
    assert value(at(80), photos=at(0, 80)) == pytest.approx(1, abs=1e-3)


def test_frames_are_averaged_and_those_without_a_face_left_out():
    assert value(at(0, 20, 0), found=[1, 1, 0]) == pytest.approx(0.5, abs=1e-3)


def test_a_photo_that_is_the_truth_decides_nothing():
    assert value(at(10), photos=at(40)) == 0


@pytest.mark.parametrize("without", ["tuned/face", "truth/face", "face"])
def test_without_photo_truth_or_face_there_is_no_number(without):
    given = features(at(10), found=[0 if without == "face" else 1])
    given |= {name: UNKNOWN[name] for name in (without,) if name in UNKNOWN}
    assert math.isnan(Copying().row(given)[0])


def test_the_truth_is_the_mean_direction_of_the_faces_found():
    made = {"face/embedding": np.concatenate([at(10, 30), [[np.nan] * 2]]), "face/detected": np.array([1, 1, 0])}
    np.testing.assert_allclose(truth_of(made)["truth/face"], at(20), atol=1e-6)
    assert truth_of({**made, "face/detected": np.zeros(3)}) == {}
    assert truth_of({}) == {}


def test_it_can_be_asked_for_wherever_photos_have_faces():
    check_features(["copying"], {"face/embedding", "face/detected", "reference/face"})
