"""Noise levels by shift, and DDIM over any list of time steps."""

import dataclasses
import itertools

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler

from pvbench.backbones.steps import DdimSteps, shifted_times
from pvbench.errors import ProfileError, WeightsError

CPU = torch.device("cpu")


def scheduler(**changed):
    return DDIMScheduler(**{
        "beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "clip_sample": False,
        "prediction_type": "v_prediction", "rescale_betas_zero_snr": True, "timestep_spacing": "trailing", **changed,
    })  # fmt: skip


SIGNAL = scheduler().alphas_cumprod.double().numpy()


@pytest.mark.parametrize(("shift", "power"), [(1.0, 0.1), (4.0, 0.64), (7.0, 0.845)])
def test_the_last_quarter_begins_at_the_noise_that_flow_matching_has_there(shift, power):
    """By hand: u = .25 gives sigma = s/4 / (1 + (s - 1)/4), and power sigma^2 / (sigma^2 + (1 - sigma)^2)."""
    sigma = shift / 4 / (1 + (shift - 1) / 4)
    assert sigma**2 / (sigma**2 + (1 - sigma) ** 2) == pytest.approx(power, abs=0.01)
    for steps in (8, 12, 20):
        time = shifted_times(SIGNAL, steps, shift)[steps * 3 // 4]
        assert 1 - SIGNAL[time] == pytest.approx(power, abs=0.01)


@pytest.mark.parametrize("shift", [0.01, 0.5, 1.0, 4.0, 7.0, 100.0, 1e6])
@pytest.mark.parametrize("steps", [1, 2, 8, 50, 999, 1000])
def test_time_steps_fall_from_pure_noise(shift, steps):
    times = shifted_times(SIGNAL, steps, shift)
    assert len(times) == steps
    assert times[0] == 999
    assert all(a > b for a, b in itertools.pairwise(times))
    assert times[-1] >= 0


@pytest.mark.parametrize("shift", [0.0, -1.0, float("nan"), float("inf")])
def test_a_shift_at_or_below_zero_is_refused(shift):
    with pytest.raises(ProfileError, match=r"shift is .*; expected a number above 0"):
        shifted_times(SIGNAL, 8, shift)


def test_more_steps_than_the_schedule_has_are_refused():
    with pytest.raises(ProfileError, match="1001 steps were asked for; the schedule has 1000"):
        shifted_times(SIGNAL, 1001, 4.0)


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("prediction", ["v_prediction", "epsilon"])
def test_ten_steps_are_those_of_diffusers(prediction, whole):
    """A number of steps that divides a thousand: for others diffusers' own next time step is off by one."""
    theirs = scheduler(
        prediction_type=prediction, rescale_betas_zero_snr=prediction == "v_prediction", set_alpha_to_one=whole
    )
    ours = DdimSteps.of(theirs, 10, None, CPU)
    assert list(ours.times) == theirs.timesteps.tolist()
    generator = torch.Generator().manual_seed(0)
    mine = other = torch.randn(1, 4, 8, 8, generator=generator)
    for step, time in enumerate(theirs.timesteps):
        output = torch.randn(mine.shape, generator=generator)
        expected = theirs.step(output, time, other)
        torch.testing.assert_close(ours.clean(output, step, mine), expected.pred_original_sample, atol=1e-4, rtol=1e-4)
        mine, other = ours.next(output, step, mine), expected.prev_sample
        torch.testing.assert_close(mine, other, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("prediction", ["v_prediction", "epsilon"])
def test_a_model_that_knows_the_picture_is_led_to_it(prediction):
    zero = prediction == "v_prediction"
    steps = DdimSteps.of(scheduler(prediction_type=prediction, rescale_betas_zero_snr=zero), 6, 4.0, CPU)
    first = 0
    picture, noise = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(1)).unbind(0)
    latent = steps.noised(picture[None], first, noise[None])
    for step in range(first, len(steps)):
        signal = steps.signal[steps.times[step]]
        output = noise if prediction == "epsilon" else signal.sqrt() * noise - (1 - signal).sqrt() * picture
        latent = steps.next(output[None], step, latent)
    torch.testing.assert_close(latent, picture[None], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("prediction", ["v_prediction", "epsilon"])
def test_training_pairs_are_those_of_diffusers(prediction):
    theirs = scheduler(prediction_type=prediction, rescale_betas_zero_snr=prediction == "v_prediction")
    steps = DdimSteps.of(theirs, 8, 4.0, CPU)
    generator = torch.Generator().manual_seed(0)
    clean, noise = torch.randn(2, 5, 3, 4, 4, generator=generator).unbind(0)
    times = torch.tensor([0, 10, 500, 998, 999])
    noisy, target = steps.training_pair(clean, noise, times)
    torch.testing.assert_close(noisy, theirs.add_noise(clean, noise, times))
    expected = noise if prediction == "epsilon" else theirs.get_velocity(clean, noise, times)
    torch.testing.assert_close(target, expected)


def test_noise_powers_are_told():
    steps = DdimSteps.of(scheduler(), 8, 4.0, CPU)
    assert steps.noise_power[0] == 1
    assert np.all(np.diff(steps.noise_power) < 0)
    assert steps.noise_power[6] == pytest.approx(0.64, abs=0.01)


@pytest.mark.parametrize("wrong", [{"clip_sample": True}, {"thresholding": True}, {"prediction_type": "sample"}])
def test_schedulers_that_do_more_than_ddim_are_refused(wrong):
    with pytest.raises(WeightsError, match="expected clip_sample and thresholding off"):
        DdimSteps.of(scheduler(**wrong), 8, None, CPU)


def test_noise_predicted_at_pure_noise_is_refused():
    with pytest.raises(WeightsError, match="a model that predicts noise says nothing at pure noise"):
        DdimSteps.of(scheduler(prediction_type="epsilon"), 8, None, CPU)


def test_the_mini_profile_takes_a_shift_and_its_backbone_obeys(short_backbone):
    sampling = dataclasses.replace(short_backbone.sampling, shift=4.0)
    expected = shifted_times(short_backbone.schedule.signal.double().numpy(), sampling.steps, 4.0)
    assert list(short_backbone.schedule.times) == expected
