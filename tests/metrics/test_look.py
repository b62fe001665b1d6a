"""Hair, beard and glasses as in the photos, worked by hand."""

import numpy as np
import pytest

from pvbench.metrics import MetricError
from pvbench.metrics.look import LABELS, Look, told

SURE, OTHER, UNSURE = [0.9, 0.1], [0.2, 0.8], [0.5, 0.5]


def features(frames=(SURE, SURE, OTHER, SURE), photos=(SURE,), detected=None):
    found = np.array([1] * len(frames) if detected is None else detected, np.float32)
    rows = np.array(frames, np.float32)
    rows[found == 0] = np.nan
    return {
        "face/detected": found,
        **{f"look/{label}": rows.copy() for label in LABELS},
        **{f"reference/look_{label}": np.array(photos, np.float32) for label in LABELS},
    }


def test_each_frame_that_agrees_with_the_photos_counts():
    assert Look().row(features()) == (0.75,) * 5


def test_labels_are_compared_one_by_one_and_their_mean_comes_first():
    given = features()
    given["reference/look_beard"] = np.array([OTHER], np.float32)
    assert Look().row(given) == (0.625, 0.75, 0.75, 0.25, 0.75)


def test_a_frame_without_a_face_is_wrong():
    assert Look().row(features(detected=[1, 1, 1, 0]))[0] == 0.5
    assert Look().row(features(detected=[0, 0, 0, 0]))[0] == 0


def test_photos_are_read_together_so_that_a_sure_one_outweighs_two_that_are_not():
    assert told("look", np.array([[0.45, 0.55], [0.45, 0.55], [0.95, 0.05]])) == 0
    assert told("look", np.array([[0.45, 0.55], [0.45, 0.55], [0.5, 0.5]])) == 1


def test_a_face_that_was_not_read_is_refused():
    given = features()
    given["look/hair"][1] = np.nan
    with pytest.raises(MetricError, match=r"look/hair.*4 frames with a face"):
        Look().row(given)
