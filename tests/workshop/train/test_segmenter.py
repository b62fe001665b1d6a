"""The segmenter's training: pictures and what they show move together, and what is measured."""

import numpy as np
import torch

from pvbench.features.mini.segmenter_network import Segmenter
from workshop.train.disturb import placed
from workshop.train.segmenter import measure_segmenter, moved


def halves(count=4):
    """Pictures whose right half is white, and shows a head."""
    images = -torch.ones(count, 3, 32, 32)
    images[..., 16:] = 1
    parts = torch.zeros(count, 32, 32, dtype=torch.int64)
    parts[..., 16:] = 2
    return images, parts


def test_what_a_pixel_shows_moves_with_the_pixel():
    images, parts = halves(8)
    seen, truth = moved(images, parts, np.random.default_rng(0))
    assert not torch.equal(seen, images)
    assert set(truth.unique().tolist()) <= {0, 2}
    # Away from the edge, white is the head and black the background.
    sure = seen[:, 0].abs() > 0.9
    assert sure.float().mean() > 0.7
    assert torch.equal(truth[sure] == 2, seen[:, 0][sure] > 0)


def test_placements_rest_on_the_generator_and_keep_their_range():
    one, again = (placed(64, np.random.default_rng(3), (0.7, 1.5), 0.12) for _ in range(2))
    assert torch.equal(one[0], again[0])
    theta, mirror = one
    zoom = theta[:, :, :2].det().abs().sqrt()
    assert bool(((zoom > 0.7 - 1e-5) & (zoom < 1.5 + 1e-5)).all())
    assert set(mirror.tolist()) == {-1.0, 1.0}
    assert torch.equal(theta[:, :, :2].det().sign(), mirror)


def test_intersection_over_union_is_that_of_all_pixels():
    class Right(Segmenter):
        """Sees a head in the right quarter, and nothing else."""

        def forward(self, images):
            logits = torch.zeros(len(images), 3, *images.shape[2:])
            logits[:, 2, :, 24:] = 9
            logits[:, 0, :, :24] = 9
            return logits

    _, parts = halves(3)
    frames = np.zeros((3, 32, 32, 3), np.uint8)
    found = measure_segmenter(Right(), frames, parts.numpy(), torch.device("cpu"))
    assert found == {"person": 0.5, "head": 0.5}
