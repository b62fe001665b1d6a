"""Muon moves kernels as torch's own moves matrices."""

import pytest
import torch

from workshop.train.muon import Muon, orthogonal

SHAPES = [(24, 16, 3, 3), (24, 144), (144, 24), (16, 40), (24, 16, 3, 3)]


def weights():
    generator = torch.Generator().manual_seed(0)
    return [torch.nn.Parameter(torch.randn(shape, generator=generator)) for shape in SHAPES]


def test_kernels_and_matrices_move_as_with_torchs_muon_on_flat_ones():
    """Up to bfloat16: an orthogonal matrix of 24 x 144 has entries of about 0.08, the rate's multiple of these 0.2."""
    ours = weights()
    flat = [torch.nn.Parameter(p.detach().flatten(1).clone()) for p in ours]
    mine = Muon(ours, 0.01, 0.1)
    theirs = torch.optim.Muon(flat, lr=0.01, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
    generator = torch.Generator().manual_seed(1)
    for _ in range(3):
        for p, q in zip(ours, flat, strict=True):
            p.grad = torch.randn(p.shape, generator=generator)
            q.grad = p.grad.flatten(1).clone()
        mine.step()
        theirs.step()
    for p, q in zip(ours, flat, strict=True):
        torch.testing.assert_close(p.detach().flatten(1), q.detach(), rtol=0, atol=3e-4)


@pytest.mark.parametrize("shape", SHAPES[:4])
def test_an_updates_root_mean_square_is_a_fifth_of_the_rate(shape):
    p = torch.nn.Parameter(torch.zeros(shape))
    p.grad = 1e-3 * torch.randn(shape, generator=torch.Generator().manual_seed(2))
    Muon([p], 0.01, 0.0).step()
    assert float(p.detach().square().mean().sqrt()) == pytest.approx(0.2 * 0.01, rel=0.2)


def test_a_kernel_in_another_layout_moves_alike():
    a, b = weights()[0], torch.nn.Parameter(weights()[0].detach().to(memory_format=torch.channels_last))
    for p in (a, b):
        p.grad = torch.randn(SHAPES[0], generator=torch.Generator().manual_seed(3))
        Muon([p], 0.01, 0.1).step()
    assert torch.equal(a, b)


def test_singular_values_come_near_one():
    matrices = torch.randn(3, 40, 16, generator=torch.Generator().manual_seed(4))
    found = torch.linalg.svdvals(orthogonal(matrices).float())
    assert found.shape == (3, 16)
    assert 0.5 < found.min() < found.max() < 1.3


def test_what_has_no_gradient_stays():
    p, q = weights()[:2]
    q.grad = torch.ones_like(q)
    before = p.detach().clone()
    Muon([p, q], 0.01, 0.1).step()
    assert torch.equal(p, before)
