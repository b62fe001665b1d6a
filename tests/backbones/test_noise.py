"""The initial noise has unit variance, and its frames agree as much as they are told to."""

import pytest
import torch

from pvbench.backbones.noise import video_noise

SHAPE = (2, 12, 8, 16, 16)


@pytest.mark.parametrize("shared", [0.0, 0.25, 0.5, 1.0])
def test_variance_is_one_and_frames_correlate_by_the_share(shared):
    """6144 values a frame: a correlation's standard error is 0.013."""
    noise = video_noise(SHAPE, shared, torch.Generator().manual_seed(1))
    assert noise.shape == SHAPE
    assert float(noise.var()) == pytest.approx(1.0, abs=0.03)
    frames = noise.transpose(1, 2).transpose(0, 1).flatten(1)
    correlation = torch.corrcoef(frames)[~torch.eye(8, dtype=torch.bool)]
    assert float(correlation.mean()) == pytest.approx(shared, abs=0.02)


def test_a_share_of_one_gives_every_frame_the_same():
    noise = video_noise(SHAPE, 1.0, torch.Generator().manual_seed(2))
    assert torch.equal(noise, noise[:, :, :1].expand(SHAPE))


def test_a_share_of_zero_is_plain_noise():
    noise = video_noise(SHAPE, 0.0, torch.Generator().manual_seed(3))
    assert torch.equal(noise, torch.randn(SHAPE, generator=torch.Generator().manual_seed(3)))
