"""CLIP-I of whole frames and of face crops, worked by hand and on degenerate videos."""

import math

import numpy as np
from pytest import approx

from pvbench.metrics.clip_i import ClipI

NONE = [math.nan, math.nan]


def row(frames, faces, references, reference_faces) -> tuple[float, ...]:
    faces = np.array(faces, np.float32)
    features = {
        "clip/frame": np.array(frames, np.float32),
        "clip/face": faces,
        "face/detected": np.isfinite(faces).all(axis=1).astype(np.float32),
        "reference/clip": np.array(references, np.float32),
        "reference/clip_face": np.array(reference_faces, np.float32),
    }
    return tuple(ClipI().rows([features])[0])


def test_the_mean_over_frames_and_references_worked_by_hand():
    # Cosines of (1, 0) and (0.6, 0.8) to the axes: 1, 0, 0.6, 0.8.
    clip_i, clip_i_face = row([[1, 0], [0.6, 0.8]], [[1, 0], [1, 0]], [[1, 0], [0, 1]], [[0.6, 0.8]])
    assert clip_i == approx(0.6)
    assert clip_i_face == approx(0.6)


def test_a_frame_without_a_face_counts_zero_in_the_face_column_only():
    clip_i, clip_i_face = row([[1, 0]] * 4, [[1, 0], NONE, [1, 0], NONE], [[1, 0]], [[1, 0]])
    assert clip_i == approx(1.0)
    assert clip_i_face == approx(0.5)


def test_a_video_without_a_face_has_a_face_column_of_zero():
    assert row([[1, 0]] * 2, [NONE, NONE], [[1, 0]], [[1, 0]]) == approx((1.0, 0.0))


def test_copying_the_references_background_moves_whole_frames_but_not_faces():
    person, stranger, background = [1, 0, 0], [0, 1, 0], [0, 0, 1]
    copied = row([background] * 3, [stranger] * 3, [background], [person])
    assert copied == approx((1.0, 0.0))


def test_order_of_frames_and_references_does_not_matter():
    rng = np.random.default_rng(0)
    frames, faces = rng.normal(size=(5, 4)), rng.normal(size=(5, 4))
    references, reference_faces = rng.normal(size=(3, 4)), rng.normal(size=(3, 4))
    first = row(frames, faces, references, reference_faces)
    assert row(frames[::-1], faces[::-1], references[::-1], reference_faces[::-1]) == approx(first)
