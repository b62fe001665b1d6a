"""Flow matching over videos: Euler's steps, noise levels with a shift, and the errors of the velocity."""

from __future__ import annotations

# ruff: noqa: E402  the shim comes before anything that imports torchvision
from pvbench.torchvision_shim import load_torchvision

load_torchvision()

from abc import abstractmethod
from collections.abc import Sequence
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from pvbench.backbones.stepped import SteppedBackbone
from pvbench.backbones.steps import FlowSteps
from pvbench.backbones.transformer import TransformerBackbone
from pvbench.latent_backbone import Side
from pvbench.words import Words


class FlowBackbone(TransformerBackbone, SteppedBackbone):
    """A flow-matching transformer over videos.

    The pipeline's classes compute; the steps are Euler's and taken here, by index. Without a `shift` in the profile the
    published scheduler's own is taken.
    """

    @property
    @abstractmethod
    def own_shift(self) -> float:
        """The shift of the noise levels that the model is published with."""

    @abstractmethod
    def velocity(self, latent: Float[Tensor, "n c t h w"], words: Words, sigma: float) -> Float[Tensor, "n c t h w"]:
        """What is followed in sampling at a noise level, guidance included: noise less video."""

    @abstractmethod
    def trained_velocity(
        self, latent: Float[Tensor, "n c t h w"], words: Words, sigma: float
    ) -> Float[Tensor, "n c t h w"]:
        """What the model predicts as it is trained, without guidance."""

    # Steps

    @cached_property
    def schedule(self) -> FlowSteps:
        """The noise levels of the steps, and what one step does to a latent."""
        return FlowSteps.of(self.sampling.steps, self._shift)

    @property
    def _shift(self) -> float:
        return self.own_shift if self.sampling.shift is None else self.sampling.shift

    def predict(
        self, latent: Float[Tensor, "n c t h w"], step: int, words: Words, side: Side = "video"
    ) -> Float[Tensor, "n c t h w"]:
        """The velocity at a step, guidance included; one network serves both sides."""
        return self.velocity(latent, words, self.schedule.sigmas[step])

    def errors(
        self,
        latents: Float[Tensor, "n c t h w"],
        words: Sequence[Words],
        generator: torch.Generator,
        side: Side = "image",
    ) -> Float[Tensor, "n c t h w"]:
        """Squared errors of the velocity at logit-normal noise levels, shifted as in sampling.

        Source: finetrainers and diffusion-pipe train HunyuanVideo and Wan so.
        """
        noise = torch.randn(latents.shape, generator=generator).to(latents.device)
        even = torch.randn(len(latents), generator=generator).sigmoid()
        sigmas = (self._shift * even / (1 + (self._shift - 1) * even)).tolist()
        errors = []
        for one, its_noise, its_words, sigma in zip(latents.split(1), noise.split(1), words, sigmas, strict=True):
            noisy = (1 - sigma) * one + sigma * its_noise
            errors.append((self.trained_velocity(noisy, its_words, sigma) - (its_noise - one)).square())
        return torch.cat(errors)
