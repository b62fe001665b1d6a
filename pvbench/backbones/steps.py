"""Denoising steps by index: which noise levels a sampler visits, and what one step does to a latent."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from pvbench.errors import ProfileError, WeightsError

Prediction = Literal["epsilon", "v_prediction"]


def shifted_times(signal: NDArray[np.float64], steps: int, shift: float) -> list[int]:
    """Time steps whose noise levels are those of flow matching with a shift, noisiest first, each lower than the last.

    Flow matching mixes signal and noise as `(1 - sigma) x + sigma e` with `sigma = shift u / (1 + (shift - 1) u)` for
    `u = 1, 1 - 1/steps, ...`. A diffusion model mixes `sqrt(a) x + sqrt(1 - a) e`; the two are the same picture at
    another contrast where the ratio of noise to signal is the same, so each sigma is given the time step whose ratio is
    nearest. With shift 7, which is HunyuanVideo's, the last quarter of the steps begins at a noise power of .85; with
    diffusers' trailing time steps it begins at about .35, where a face is already decided.

    Source: Esser et al., "Scaling Rectified Flow Transformers", 2024, section 5.3.2.

    Args:
        signal: cumulative products of a diffusion schedule, the signal's share of the power by time step.
        steps: how many time steps, at most as many as the schedule has.
        shift: above 0; 1 spaces sigma evenly.

    Raises:
        ProfileError: the schedule has fewer time steps, or the shift is not a positive number.
    """
    if not 0 < shift < float("inf"):
        raise ProfileError(f"shift is {shift}; expected a number above 0, such as 7 for HunyuanVideo's noise levels")
    if not 1 <= steps <= len(signal):
        raise ProfileError(f"{steps} steps were asked for; the schedule has {len(signal)}, and one is needed")
    u = 1 - np.arange(steps) / steps
    sigma = shift * u / (1 + (shift - 1) * u)
    with np.errstate(divide="ignore"):
        wanted = np.log(sigma) - np.log(1 - sigma)
        there = 0.5 * (np.log(1 - signal) - np.log(signal))
    # The first step is given pure noise, whatever rounding makes of its level.
    times = [len(signal) - 1]
    for level in wanted[1:]:
        times.append(min(int(np.abs(there - level).argmin()), times[-1] - 1))
    # Levels closer together than the schedule's own were moved down one by one; none may fall below the first.
    return [max(time, steps - 1 - i) for i, time in enumerate(times)]


@dataclass(frozen=True)
class DdimSteps:
    """Deterministic DDIM over any falling list of time steps.

    Attributes:
        times: time steps, noisiest first.
        signal: (T,) share of the signal in the power, for every time step of the training schedule.
        prediction: what the model predicts.
        end: share of the signal in the power after the last step.

    Source: Song et al., "Denoising Diffusion Implicit Models", 2021, with eta 0; diffusers' DDIMScheduler computes the
        same for time steps that it spaces itself.
    """

    times: tuple[int, ...]
    signal: Float[Tensor, " T"]
    prediction: Prediction
    end: float = 1.0

    @classmethod
    def of(cls, scheduler: Any, steps: int, shift: float | None, device: torch.device) -> DdimSteps:
        """The steps of a diffusers DDIMScheduler: its own time steps, or those of a shift.

        Raises:
            WeightsError: the scheduler clips or thresholds what it predicts, or predicts something else.
            ProfileError: the shift or the number of steps is out of range.
        """
        config = scheduler.config
        # Those of CogVideoX know no thresholds, and always clip nothing.
        thresholding = config.get("thresholding", False)
        if config.clip_sample or thresholding or config.prediction_type not in ("epsilon", "v_prediction"):
            raise WeightsError(
                "scheduler_config.json: expected clip_sample and thresholding off and prediction_type epsilon or "
                f"v_prediction; found {config.clip_sample}, {thresholding} and {config.prediction_type!r}"
            )
        signal = scheduler.alphas_cumprod.to(device)
        if config.prediction_type == "epsilon" and float(signal[-1]) == 0:
            raise WeightsError(
                "scheduler_config.json: a model that predicts noise says nothing at pure noise; expected "
                "rescale_betas_zero_snr off, or prediction_type v_prediction"
            )
        if shift is None:
            scheduler.set_timesteps(steps)
            times = [int(t) for t in scheduler.timesteps]
        else:
            times = shifted_times(signal.double().cpu().numpy(), steps, shift)
        return cls(tuple(times), signal, config.prediction_type, float(scheduler.final_alpha_cumprod))

    def __len__(self) -> int:
        return len(self.times)

    @cached_property
    def noise_power(self) -> tuple[float, ...]:
        """Share of the noise in the power of the latent that each step is given, from 0 to 1."""
        return tuple(1 - float(self.signal[t]) for t in self.times)

    def level(self, step: int) -> float:
        """Share of the noise in the amplitude of the latent that a step is given; 0 after the last."""
        return self.noise_power[step] ** 0.5 if step < len(self) else 0.0

    def time(self, step: int) -> Int[Tensor, ""]:
        """The time step that the model is told in a step."""
        return torch.tensor(self.times[step], device=self.signal.device)

    def clean(self, output: Float[Tensor, "*s"], step: int, latent: Float[Tensor, "*s"]) -> Float[Tensor, "*s"]:
        """The noiseless latent that a model's output in a step predicts."""
        return self._parts(output, step, latent)[0]

    def next(self, output: Float[Tensor, "*s"], step: int, latent: Float[Tensor, "*s"]) -> Float[Tensor, "*s"]:
        """The latent that the next step is given; after the last step, what comes out."""
        clean, noise = self._parts(output, step, latent)
        if step + 1 == len(self):
            return clean if self.end == 1 else self.end**0.5 * clean + (1 - self.end) ** 0.5 * noise
        return self.noised(clean, step + 1, noise)

    def noised(self, clean: Float[Tensor, "*s"], step: int, noise: Float[Tensor, "*s"]) -> Float[Tensor, "*s"]:
        """A noiseless latent with as much noise as a step is given."""
        signal = self.signal[self.times[step]]
        return signal.sqrt() * clean + (1 - signal).sqrt() * noise

    def training_pair(
        self, clean: Float[Tensor, n * shape], noise: Float[Tensor, n * shape], times: Int[Tensor, " n"]
    ) -> tuple[Float[Tensor, n * shape], Float[Tensor, n * shape]]:
        """Noisy latents (n, ...) at time steps of the training schedule, and what the model should predict of them."""
        # Some schedulers hold their levels in float64.
        signal = self.signal[times].to(clean.dtype).reshape(-1, *[1] * (clean.ndim - 1))
        noisy = signal.sqrt() * clean + (1 - signal).sqrt() * noise
        if self.prediction == "epsilon":
            return noisy, noise
        return noisy, signal.sqrt() * noise - (1 - signal).sqrt() * clean

    def _parts(
        self, output: Float[Tensor, "*s"], step: int, latent: Float[Tensor, "*s"]
    ) -> tuple[Float[Tensor, "*s"], Float[Tensor, "*s"]]:
        signal = self.signal[self.times[step]]
        if self.prediction == "epsilon":
            return (latent - (1 - signal).sqrt() * output) / signal.sqrt(), output
        clean = signal.sqrt() * latent - (1 - signal).sqrt() * output
        return clean, signal.sqrt() * output + (1 - signal).sqrt() * latent


@dataclass(frozen=True)
class FlowSteps:
    """Euler steps of flow matching, by index.

    Attributes:
        sigmas: the noise's share of each step's latent, which is `(1 - sigma) x + sigma e`, noisiest first, and 0 at
            the end.

    Source: diffusers' FlowMatchEulerDiscreteScheduler with static shifting, which counts its own steps, so that the
        same call twice gives two results.
    """

    sigmas: tuple[float, ...]

    @classmethod
    def of(cls, steps: int, shift: float) -> FlowSteps:
        """Evenly spaced levels, shifted towards noise: `shift s / (1 + (shift - 1) s)`.

        Raises:
            ProfileError: the shift is not a positive number.
        """
        if not 0 < shift < float("inf"):
            raise ProfileError(f"shift is {shift}; expected a number above 0, such as 7 for HunyuanVideo")
        even = np.linspace(1.0, 0.0, steps + 1)[:-1].astype(np.float32)
        shifted = shift * even / (1 + (shift - 1) * even)
        return cls((*(float(level) for level in shifted), 0.0))

    def __len__(self) -> int:
        return len(self.sigmas) - 1

    def level(self, step: int) -> float:
        """Share of the noise in the latent that a step is given; 0 after the last."""
        return self.sigmas[step]

    def next(self, output: Float[Tensor, "*s"], step: int, latent: Float[Tensor, "*s"]) -> Float[Tensor, "*s"]:
        """The latent that the next step is given; after the last step, what comes out."""
        return latent + (self.sigmas[step + 1] - self.sigmas[step]) * output

    def clean(self, output: Float[Tensor, "*s"], step: int, latent: Float[Tensor, "*s"]) -> Float[Tensor, "*s"]:
        """The noiseless latent that a model's velocity in a step predicts."""
        return latent - self.sigmas[step] * output

    def noised(self, clean: Float[Tensor, "*s"], step: int, noise: Float[Tensor, "*s"]) -> Float[Tensor, "*s"]:
        """A noiseless latent with as much noise as a step is given."""
        return (1 - self.sigmas[step]) * clean + self.sigmas[step] * noise
