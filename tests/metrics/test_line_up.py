"""Who a video resembles most, worked by hand: right, wrong, nobody found, too few people."""

import math

import numpy as np
import pytest

from pvbench.metrics import MetricError, check_features, choose
from pvbench.metrics.gallery import others_of, with_derived
from pvbench.metrics.line_up import LineUp

AXES = np.eye(6, dtype=np.float32)


def features(faces, others=AXES[1:5], found=None, foils=AXES[1:5]):
    rows = np.array(faces, np.float32)
    detected = np.ones(len(rows), np.float32) if found is None else np.array(found, np.float32)
    rows[detected == 0] = np.nan
    return {
        "face/embedding": rows,
        "face/detected": detected,
        "reference/face": AXES[:1],
        "others/face": np.array(others, np.float32),
        "foils/face": np.array(foils, np.float32),
    }


def test_the_right_person_is_found():
    assert LineUp().row(features([AXES[0], AXES[0]])) == (1.0, 1.0, 1.0)


def test_another_person_is_nearer():
    right, _, margin = LineUp().row(features([0.6 * AXES[0] + 0.8 * AXES[2]]))
    assert right == 0
    assert margin == pytest.approx(-0.2)


def test_frames_count_together_and_those_without_a_face_for_nobody():
    right, _, margin = LineUp().row(features([AXES[0], AXES[0], AXES[3], AXES[5]], found=[1, 1, 1, 0]))
    assert right == 1
    assert margin == pytest.approx(0.25)


def test_a_tie_and_a_video_without_a_face_are_not_right():
    assert LineUp().row(features([AXES[5]])) == (0.0, 0.0, 0.0)
    assert LineUp().row(features([AXES[0], AXES[1]])) == (0.0, 0.0, 0.0)
    assert LineUp().row(features([AXES[0]], found=[0])) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize("count", [0, 3])
def test_a_line_up_of_fewer_than_five_has_no_value(count):
    right, foils, margin = LineUp().row(features([AXES[0]], others=AXES[1 : 1 + count]))
    assert math.isnan(right)
    assert math.isnan(margin)
    assert foils == 1


def test_look_alikes_are_a_line_up_of_their_own():
    between = 0.8 * AXES[0] + 0.6 * AXES[5]
    nearer = [0.5 * AXES[0] + np.sqrt(0.75) * AXES[5], *AXES[1:4]]
    assert LineUp().row(features([between], foils=nearer))[:2] == (1.0, 0.0)
    assert LineUp().row(features([AXES[0]], foils=nearer))[:2] == (1.0, 1.0)


def test_without_look_alikes_there_is_no_value():
    right, foils, _ = LineUp().row(features([AXES[0]], foils=np.zeros((0, 1))))
    assert right == 1
    assert math.isnan(foils)


def test_others_are_the_means_of_their_photos():
    references = {
        "ann": {"reference/face": AXES[[0, 1]]},
        "bob": {"reference/face": AXES[2:3]},
        "cleo": {},
    }
    others = others_of(references)
    assert others["ann"]["others/face"].tolist() == [AXES[2].tolist()]
    np.testing.assert_allclose(others["bob"]["others/face"], [(AXES[0] + AXES[1]) / np.sqrt(2)], rtol=1e-6)
    assert len(others["cleo"]["others/face"]) == 2
    assert others_of({"ann": {"reference/face": AXES[:1]}})["ann"]["others/face"].shape == (0, 6)


def test_it_can_be_asked_for_wherever_photos_have_faces():
    assert "others/face" in with_derived({"reference/face"})
    assert "others/face" not in with_derived({"clip/frame"})
    names = choose("line_up")
    check_features(names, {"face/embedding", "face/detected", "reference/face"})
    with pytest.raises(MetricError, match="needs the feature"):
        check_features(names, {"face/embedding", "face/detected"})
