"""The initial noise has unit variance, and its frames agree as much as they are told to."""

import pytest
import torch

from pvbench.backbones.noise import correlated, video_noise

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


class TestCorrelatedFrames:
    """The noise prior of MagicMe."""

    def test_none_leaves_the_noise_as_it_is(self):
        noise = torch.randn(1, 2, 4, 3, 3)
        assert correlated(noise, 0.0) is noise

    @pytest.mark.parametrize("correlation", [0.05, 0.5, 0.9])
    def test_frames_have_unit_variance_and_the_covariance_that_was_asked_for(self, correlation):
        noise = torch.randn(1, 4, 6, 96, 96, generator=torch.Generator().manual_seed(0))
        found = correlated(noise, correlation).transpose(1, 2).flatten(2)[0].flatten(1)
        expected = [[correlation ** abs(i - j) for j in range(6)] for i in range(6)]
        torch.testing.assert_close(torch.cov(found), torch.tensor(expected), rtol=0, atol=0.03)

    def test_the_part_that_frames_share_stays_as_it_is(self):
        """Unit variance, and what two frames share is the shared half and the correlation of the rest."""
        generator = torch.Generator().manual_seed(0)
        noise = video_noise((1, 4, 5, 96, 96), 0.5, generator, correlation=0.2).transpose(1, 2).flatten(2)[0].flatten(1)
        expected = [[0.5 + 0.5 * 0.2 ** abs(i - j) for j in range(5)] for i in range(5)]
        torch.testing.assert_close(torch.cov(noise), torch.tensor(expected), rtol=0, atol=0.03)

    def test_without_it_video_noise_is_what_it_was(self):
        plain, same = (
            video_noise((1, 2, 4, 3, 3), 0.5, torch.Generator().manual_seed(3), **given)
            for given in ({}, {"correlation": 0.0})
        )
        assert torch.equal(plain, same)
