"""The semantic reward: what the divergence sees, and what only the shortfall does."""

import math

import pytest
import torch

from pvbench.reward import divergence, shortfall


def test_the_divergence_of_two_frames_by_hand():
    # The softmax of (0, ln 2) is (1/3, 2/3), that of equal scores (1/2, 1/2).
    tuned, frozen = torch.tensor([0.0, math.log(2)]), torch.zeros(2)
    wanted = 1 / 3 * math.log(2 / 3) + 2 / 3 * math.log(4 / 3)
    assert float(divergence(tuned, frozen, 1.0)) == pytest.approx(wanted, abs=1e-7)


def test_the_divergence_of_three_frames_by_hand():
    # (1/2, 1/4, 1/4) against (1/4, 1/4, 1/2).
    tuned, frozen = torch.tensor([2.0, 1.0, 1.0]).log(), torch.tensor([1.0, 1.0, 2.0]).log()
    assert float(divergence(tuned, frozen, 1.0)) == pytest.approx(0.25 * math.log(2), abs=1e-7)


def test_the_temperature_multiplies_the_scores():
    tuned, frozen = torch.tensor([0.31, 0.29, 0.30]), torch.tensor([0.30, 0.31, 0.28])
    assert float(divergence(tuned, frozen, 100.0)) == pytest.approx(float(divergence(100 * tuned, 100 * frozen, 1.0)))
    # Raw cosines lie so close together that without a temperature the loss is next to nothing.
    assert float(divergence(tuned, frozen, 1.0)) < 1e-3 * float(divergence(tuned, frozen, 100.0))


def test_equal_scores_diverge_by_nothing():
    scores = torch.tensor([0.2, 0.3, 0.25, 0.31])
    assert float(divergence(scores, scores, 100.0)) == 0.0


@pytest.mark.parametrize("shift", [-0.2, 0.05, 0.3])
def test_a_shift_of_all_frames_alike_is_invisible_to_the_divergence(shift):
    frozen = torch.tensor([0.2, 0.3, 0.25, 0.31])
    assert float(divergence(frozen + shift, frozen, 100.0)) == pytest.approx(0, abs=1e-5)


def test_the_shortfall_sees_what_the_divergence_cannot():
    frozen = torch.tensor([0.2, 0.3, 0.25, 0.31])
    worse = frozen - 0.1
    assert float(divergence(worse, frozen, 100.0)) == pytest.approx(0, abs=1e-5)
    assert float(shortfall(worse, frozen, 100.0)) == pytest.approx(10, abs=1e-3)


def test_a_better_match_falls_short_of_nothing():
    frozen = torch.tensor([0.2, 0.3])
    assert float(shortfall(frozen + 0.1, frozen, 100.0)) == 0.0
    assert float(shortfall(frozen, frozen, 100.0)) == 0.0


def test_the_shortfall_is_the_mean_over_frames_without_credit():
    # One frame lost 2 logits and one gained 4: the gain does not pay for the loss.
    assert float(shortfall(torch.tensor([0.1, 0.4]), torch.tensor([0.3, 0.0]), 10.0)) == pytest.approx(1.0)


@pytest.mark.parametrize("seed", range(5))
def test_the_divergence_is_positive_and_does_not_depend_on_the_order_of_frames(seed):
    generator = torch.Generator().manual_seed(seed)
    tuned, frozen = torch.rand(2, 6, generator=generator)
    order = torch.randperm(6, generator=generator)
    found = float(divergence(tuned, frozen, 10.0))
    assert found > 0
    assert float(divergence(tuned[order], frozen[order], 10.0)) == pytest.approx(found, rel=1e-5)


@pytest.mark.parametrize("loss", [divergence, shortfall])
def test_gradients_reach_the_tuned_scores_alone(loss):
    tuned = torch.tensor([0.2, 0.1], requires_grad=True)
    frozen = torch.tensor([0.3, 0.3], requires_grad=True)
    loss(tuned, frozen, 100.0).backward()
    assert tuned.grad.abs().sum() > 0
    assert frozen.grad is None


def test_descending_brings_the_scores_together():
    frozen = torch.tensor([0.30, 0.25, 0.28])
    tuned = torch.tensor([0.20, 0.30, 0.22], requires_grad=True)
    optimiser = torch.optim.Adam([tuned], lr=2e-3)
    for _ in range(300):
        optimiser.zero_grad()
        (divergence(tuned, frozen, 100.0) + shortfall(tuned, frozen, 100.0)).backward()
        optimiser.step()
    assert float(divergence(tuned.detach(), frozen, 100.0)) < 0.01
    assert float(shortfall(tuned.detach(), frozen, 100.0)) < 0.3
