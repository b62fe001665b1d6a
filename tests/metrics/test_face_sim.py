"""Face Sim, worked by hand and on degenerate videos."""

import math

import numpy as np
import pytest
from pytest import approx

from pvbench.metrics import MetricError
from pvbench.metrics.face_sim import FaceSim, frame_similarity

EAST, NORTH, WEST = [1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]


def video(faces: list[list[float] | None], references: list[list[float]]) -> dict[str, np.ndarray]:
    rows: np.ndarray = np.array([face if face is not None else [math.nan, math.nan] for face in faces], np.float32)
    return {
        "face/embedding": rows,
        "face/detected": np.isfinite(rows).all(axis=1).astype(np.float32),
        "reference/face": np.array(references, np.float32),
    }


def row(faces, references, reference="template") -> tuple[float, ...]:
    return tuple(FaceSim(reference=reference).rows([video(faces, references)])[0])


def test_template_worked_by_hand():
    # The template of east and north points north-east: cosine 1/sqrt(2) to both.
    face_sim, detected_only, found = row([EAST, NORTH, EAST], [EAST, NORTH])
    assert face_sim == approx(math.sqrt(0.5))
    assert detected_only == approx(math.sqrt(0.5))
    assert found == 1.0


def test_nearest_worked_by_hand():
    assert row([EAST, NORTH], [EAST, NORTH], "nearest")[0] == approx(1.0)
    assert row([[0.6, 0.8]], [EAST, NORTH], "nearest")[0] == approx(0.8)


def test_a_missing_face_counts_zero_and_is_named_beside():
    face_sim, detected_only, found = row([EAST, None, [0.6, 0.8], None], [EAST])
    assert face_sim == approx((1.0 + 0.6) / 4)
    assert detected_only == approx((1.0 + 0.6) / 2)
    assert found == 0.5


def test_a_video_without_a_face_scores_zero_and_has_no_mean_over_found_faces():
    face_sim, detected_only, found = row([None, None], [EAST])
    assert (face_sim, found) == (0.0, 0.0)
    assert math.isnan(detected_only)


def test_the_opposite_face_is_kept_as_minus_one():
    assert row([WEST], [EAST])[:2] == approx((-1.0, -1.0))


def test_a_video_of_the_reference_itself_scores_one():
    assert row([EAST] * 8, [EAST]) == approx((1.0, 1.0, 1.0))


def test_one_frame_is_enough():
    assert row([[0.6, 0.8]], [EAST])[0] == approx(0.6)


def test_neither_the_order_of_frames_nor_of_references_matters():
    rng = np.random.default_rng(0)
    faces = rng.normal(size=(6, 2)).tolist()
    references = rng.normal(size=(4, 2)).tolist()
    assert row(faces[::-1], references[::-1]) == approx(row(faces, references))


def test_more_references_raise_the_nearest_but_not_the_template():
    rng = np.random.default_rng(1)
    person, faces = rng.normal(size=64), rng.normal(size=(40, 64))

    def mean_cosine(reference, count):
        references = person + 1.5 * rng.normal(size=(count, 64))
        unit = references / np.linalg.norm(references, axis=1, keepdims=True)
        rows = faces / np.linalg.norm(faces, axis=1, keepdims=True)
        return frame_similarity(rows, unit, reference).mean()

    # Strangers' faces: the maximum over 50 images is far above 0, the template stays there.
    assert mean_cosine("nearest", 50) > 0.15
    assert abs(mean_cosine("template", 50)) < 0.05


def test_the_scale_of_an_embedding_does_not_matter():
    assert row([[3.0, 4.0]], [[10.0, 0.0]])[0] == approx(0.6)


def test_an_embedding_without_a_face_or_a_face_without_one_is_refused():
    features = video([EAST, None], [EAST])
    features["face/detected"] = np.ones(2, np.float32)
    with pytest.raises(MetricError, match="NaN exactly where"):
        FaceSim().rows([features])
    features["face/detected"] = np.zeros(2, np.float32)
    with pytest.raises(MetricError, match="NaN exactly where"):
        FaceSim().rows([features])


def test_a_video_without_frames_is_refused():
    features = video([EAST], [EAST])
    features["face/embedding"] = np.zeros((0, 2), np.float32)
    features["face/detected"] = np.zeros(0, np.float32)
    with pytest.raises(MetricError, match="at least one frame"):
        FaceSim().rows([features])


def test_references_that_cancel_out_are_refused():
    with pytest.raises(MetricError, match="length zero"):
        row([EAST], [EAST, WEST])


def test_no_references_are_refused():
    features = video([EAST], [EAST])
    features["reference/face"] = np.zeros((0, 2), np.float32)
    with pytest.raises(MetricError, match="is empty"):
        FaceSim().rows([features])
