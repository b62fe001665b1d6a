"""Loss weights of the denoisers' trainings."""

import numpy as np
import pytest
import torch

from workshop.train.motion import moving_weights
from workshop.train.samples import face_weights


def blink(cells: slice, size: float) -> torch.Tensor:
    latents = torch.randn(1, 12, 1, 16, 16, generator=torch.Generator().manual_seed(0)).repeat(1, 1, 8, 1, 1)
    latents[:, :, 3:5, cells, cells] += size
    return latents


def test_what_moves_weighs_up_to_eight_times_what_rests():
    weights = moving_weights(blink(slice(6, 8), 1.0))
    assert weights.shape == (1, 1, 1, 16, 16)
    assert weights.mean() == pytest.approx(1)
    inside, outside = weights[..., 6:8, 6:8], weights[..., 10:, 10:]
    torch.testing.assert_close(inside / outside[..., :2, :2], torch.full_like(inside, 8.0))


def test_small_and_large_movements_weigh_alike():
    """A blink's video as much as a shaken head's: what counts is where it moves, not how far."""
    torch.testing.assert_close(moving_weights(blink(slice(6, 8), 0.1)), moving_weights(blink(slice(6, 8), 3.0)))


def test_movement_everywhere_or_nowhere_weighs_evenly():
    for latents in (blink(slice(0, 16), 1.0), blink(slice(6, 8), 0.0)):
        torch.testing.assert_close(moving_weights(latents), torch.ones(1, 1, 1, 16, 16))


def test_the_face_weighs_more_than_its_surroundings():
    marks = np.array([[[24, 24], [40, 24], [32, 32], [26, 40], [38, 40]]], np.float32)
    weights = face_weights(marks)
    assert weights.mean() == pytest.approx(1)
    assert weights[0, 0, 8, 8] > 3 * weights[0, 0, 0, 0]
