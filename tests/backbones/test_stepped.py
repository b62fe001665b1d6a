"""Walks along the steps of both schedules: a range of steps is the same whole, and the clean latent lies on the way."""

import itertools
from typing import Any

import pytest
import torch
from diffusers import DDIMScheduler

from pvbench.backbones.stepped import SteppedBackbone
from pvbench.backbones.steps import DdimSteps, FlowSteps
from pvbench.words import Words

STEPS = 6
WORDS = Words("a woman reads", {})


def schedules():
    scheduler = DDIMScheduler(clip_sample=False, prediction_type="epsilon", timestep_spacing="trailing")
    return [DdimSteps.of(scheduler, STEPS, None, torch.device("cpu")), FlowSteps.of(STEPS, 3.0)]


class Walker:
    """What the walk needs of a backbone, whose output is a share of the latent and the step's number."""

    steps: Any = SteppedBackbone.steps
    level: Any = SteppedBackbone.level
    denoise: Any = SteppedBackbone.denoise
    clean: Any = SteppedBackbone.clean
    noised: Any = SteppedBackbone.noised

    def __init__(self, schedule):
        self.schedule = schedule

    def predict(self, latent, step, words, side="video"):
        assert (words, side) == (WORDS, "video")
        return 0.3 * latent + step


@pytest.fixture(params=[0, 1], ids=["ddim", "flow"])
def walker(request):
    return Walker(schedules()[request.param])


@pytest.fixture
def latent():
    return torch.randn(2, 3, 1, 4, 4, generator=torch.Generator().manual_seed(0))


def test_there_are_as_many_steps_as_levels_which_fall_to_nothing(walker):
    levels = [walker.level(step) for step in range(walker.steps + 1)]
    assert walker.steps == STEPS
    assert levels[-1] == 0
    assert all(a > b for a, b in itertools.pairwise(levels))
    assert 0.9 < levels[0] <= 1


@pytest.mark.parametrize("cut", range(STEPS + 1))
def test_two_halves_are_the_whole(walker, latent, cut):
    whole = walker.denoise(latent, WORDS)
    assert walker.denoise(walker.denoise(latent, WORDS, 0, cut), WORDS, cut).equal(whole)
    assert walker.denoise(latent, WORDS, cut, cut) is latent


@pytest.mark.parametrize(("first", "last"), [(0, 1), (0, STEPS), (2, 5), (STEPS - 1, STEPS)])
def test_the_clean_latent_is_that_of_the_last_step(walker, latent, first, last):
    before = walker.denoise(latent, WORDS, first, last - 1)
    expected = walker.schedule.clean(walker.predict(before, last - 1, WORDS), last - 1, before)
    assert walker.clean(latent, WORDS, first, last).equal(expected)


def test_after_the_last_step_the_latent_is_the_clean_one(latent):
    flow = Walker(schedules()[1])
    torch.testing.assert_close(flow.clean(latent, WORDS, 0, STEPS), flow.denoise(latent, WORDS))


@pytest.mark.parametrize("step", range(STEPS))
def test_noise_that_is_added_has_the_levels_share(walker, step):
    nothing, noise = torch.zeros(1, 1, 1, 1, 1), torch.ones(1, 1, 1, 1, 1)
    assert float(walker.noised(nothing, step, noise)) == pytest.approx(walker.level(step), abs=1e-6)
