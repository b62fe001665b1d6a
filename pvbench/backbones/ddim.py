"""Backbones whose steps are DDIM's: taken by index, along any falling list of time steps."""

from __future__ import annotations

from abc import abstractmethod
from functools import cached_property
from typing import Any

from jaxtyping import Float
from torch import Tensor

from pvbench.backbones.steps import DdimSteps
from pvbench.latent_backbone import LatentBackbone, Side, Words


class DdimBackbone(LatentBackbone):
    """A diffusion model around a pipeline of diffusers, whose scheduler names the noise levels.

    Attributes:
        pipe: its `scheduler` is a DDIM scheduler, of any family.
    """

    pipe: Any

    @abstractmethod
    def predict(
        self, latent: Float[Tensor, "n c t h w"], step: int, words: Words, side: Side = "video"
    ) -> Float[Tensor, "n c t h w"]:
        """The model's guided output at a step."""

    @property
    def steps(self) -> int:
        """The number of denoising steps."""
        return len(self.schedule)

    @cached_property
    def schedule(self) -> DdimSteps:
        """The noise levels of the steps, and what one step does to a latent."""
        return DdimSteps.of(self.pipe.scheduler, self.sampling.steps, self.sampling.shift, self.device)

    def level(self, step: int) -> float:
        """Share of the noise in the amplitude of the latent that a step is given; 0 after the last."""
        return self.schedule.noise_power[step] ** 0.5 if step < self.steps else 0.0

    def denoise(
        self,
        latent: Float[Tensor, "n c t h w"],
        words: Words,
        first: int = 0,
        last: int | None = None,
        side: Side = "video",
    ) -> Float[Tensor, "n c t h w"]:
        """The latent after steps `first` up to, not including, `last`."""
        for step in range(first, self.steps if last is None else last):
            latent = self.schedule.next(self.predict(latent, step, words, side), step, latent)
        return latent

    def clean(
        self, latent: Float[Tensor, "n c t h w"], words: Words, first: int, last: int, side: Side = "video"
    ) -> Float[Tensor, "n c t h w"]:
        """The noiseless latent that step `last - 1` predicts, the steps from `first` taken before it."""
        latent = self.denoise(latent, words, first, last - 1, side)
        return self.schedule.clean(self.predict(latent, last - 1, words, side), last - 1, latent)

    def noised(
        self, latent: Float[Tensor, "n c t h w"], step: int, noise: Float[Tensor, "n c t h w"]
    ) -> Float[Tensor, "n c t h w"]:
        """A noiseless latent with as much of `noise` as a step takes away."""
        return self.schedule.noised(latent, step, noise)
