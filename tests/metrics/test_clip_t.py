"""CLIP-T, worked by hand and on degenerate videos."""

import numpy as np
import pytest
from pytest import approx

from pvbench.metrics import MetricError
from pvbench.metrics.clip_t import ClipT


def clip_t(frames, text) -> float:
    features = {"clip/frame": np.array(frames, np.float32), "text/clip": np.array(text, np.float32)}
    return float(ClipT().rows([features])[0, 0])


def test_the_mean_over_frames_worked_by_hand():
    assert clip_t([[1, 0], [0.6, 0.8], [0, 1]], [0.6, 0.8]) == approx((0.6 + 1.0 + 0.8) / 3)


def test_one_frame_is_enough():
    assert clip_t([[0.6, 0.8]], [1, 0]) == approx(0.6)


def test_frames_unlike_the_text_keep_their_sign():
    assert clip_t([[-1, 0]] * 3, [1, 0]) == approx(-1.0)


def test_neither_order_nor_length_of_the_embeddings_matters():
    frames = np.random.default_rng(0).normal(size=(5, 8))
    text = np.random.default_rng(1).normal(size=8)
    assert clip_t(frames[::-1] * 3, text * 7) == approx(clip_t(frames, text))


def test_a_text_of_another_width_is_refused():
    with pytest.raises(MetricError, match="'text/clip' has shape"):
        clip_t([[1, 0]], [1, 0, 0])


def test_an_empty_text_embedding_is_refused():
    with pytest.raises(MetricError, match="length zero"):
        clip_t([[1, 0]], [0, 0])
