"""What flow-matching transformers over videos share: steps, noise, errors, adapters, and encoders that come and go."""

from __future__ import annotations

# ruff: noqa: E402  the shim comes before anything that imports torchvision
from pvbench.torchvision_shim import load_torchvision

load_torchvision()

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pvbench.backbones.foreign_lora import attach
from pvbench.backbones.lora import LoraSlots
from pvbench.backbones.noise import correlated
from pvbench.backbones.steps import FlowSteps
from pvbench.errors import MethodError
from pvbench.latent_backbone import IDENTITY, LatentBackbone, Side, Words
from pvbench.profile import Sampling


class FlowBackbone(LatentBackbone):
    """A flow-matching transformer over videos, around a pipeline of diffusers: pictures are videos of one frame.

    The pipeline's classes compute; the steps are Euler's and taken here, by index.

    Args:
        pipe: has a `transformer` in any precision; latents are float32.
        sampling: without a `shift` the published scheduler's own is taken.
        encoders: the pipeline's names of its text encoders, which are on the device only while texts are encoded.
        compression: of the autoencoder: frames that one latent stands for (but for the first), and pixels of a side.
    """

    def __init__(
        self,
        pipe: Any,
        sampling: Sampling,
        device: torch.device,
        signature: Mapping[str, Any],
        encoders: tuple[str, ...],
        compression: tuple[int, int],
    ) -> None:
        self.pipe, self.sampling, self.device, self.signature = pipe, sampling, device, signature
        self._slots = LoraSlots(pipe.transformer, "transformer.")
        self._kept: dict[str, Words] = {}
        self._encoders, self.compression = encoders, compression
        self._encoders_are_here = device.type == "cpu"

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

    # Encoders

    def prepare(self, texts: Sequence[str]) -> None:
        """Encodes texts; the encoders go to the device and back once for all of them."""
        with self._encoders_here():
            super().prepare(texts)

    @contextmanager
    def _encoders_here(self) -> Iterator[None]:
        """Inside of the block the text encoders are on the device; outside they leave it to the transformer."""
        if self._encoders_are_here:
            yield
            return
        encoders = [getattr(self.pipe, name) for name in self._encoders]
        try:
            for encoder in encoders:
                encoder.to(self.device)
            self._encoders_are_here = True
            yield
        finally:
            self._encoders_are_here = False
            for encoder in encoders:
                encoder.to("cpu")

    # Latents and steps

    @property
    def steps(self) -> int:
        """The number of denoising steps."""
        return len(self.schedule)

    @cached_property
    def schedule(self) -> FlowSteps:
        """The noise levels of the steps, and what one step does to a latent."""
        return FlowSteps.of(self.sampling.steps, self._shift)

    @property
    def _shift(self) -> float:
        return self.own_shift if self.sampling.shift is None else self.sampling.shift

    def level(self, step: int) -> float:
        """Share of the noise in the latent that a step is given; 0 after the last."""
        return self.schedule.sigmas[step]

    def latent_shape(self, side: Side = "video") -> tuple[int, int, int, int]:
        """(channels, T, h, w); the first latent stands for one frame, and each later one for several."""
        s, (time, space) = self.sampling, self.compression
        times = (s.frames - 1) // time + 1 if side == "video" else 1
        return int(self.pipe.transformer.config.in_channels), times, s.height // space, s.width // space

    def noise(self, seed: int, side: Side = "video", correlation: float = 0.0) -> Float[Tensor, "1 c t h w"]:
        """The initial latent of a noise seed; drawn on the CPU, so that every device starts alike."""
        generator = torch.Generator().manual_seed(seed)
        return correlated(torch.randn(1, *self.latent_shape(side), generator=generator), correlation).to(self.device)

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
            latent = self.schedule.next(self.velocity(latent, words, self.level(step)), step, latent)
        return latent

    def clean(
        self, latent: Float[Tensor, "n c t h w"], words: Words, first: int, last: int, side: Side = "video"
    ) -> Float[Tensor, "n c t h w"]:
        """The noiseless latent that step `last - 1` predicts, the steps from `first` taken before it."""
        latent = self.denoise(latent, words, first, last - 1, side)
        return self.schedule.clean(self.velocity(latent, words, self.level(last - 1)), last - 1, latent)

    def noised(
        self, latent: Float[Tensor, "n c t h w"], step: int, noise: Float[Tensor, "n c t h w"]
    ) -> Float[Tensor, "n c t h w"]:
        """A noiseless latent with as much of `noise` as a step is given."""
        return self.schedule.noised(latent, step, noise)

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

    # Adapters

    def add_lora(
        self,
        rank: int,
        alpha: float,
        targets: str,
        generator: torch.Generator,
        values: Mapping[str, Tensor] | None = None,
        side: Side = "video",
        name: str = IDENTITY,
    ) -> list[nn.Parameter]:
        """A new adapter on the transformer, which serves both sides; returns its parameters."""
        if targets not in self.targets:
            raise MethodError(f"no adapter targets {targets!r}; known: {', '.join(self.targets)}")
        return self._slots.add(name, rank, alpha, self.targets[targets], generator, values)

    def lora_values(self, side: Side = "video", name: str = IDENTITY) -> dict[str, Tensor]:
        """Copies of the adapter's parameters."""
        return self._slots.values(name)

    def lora_tensors(self, alpha: float, rank: int, side: Side = "video", name: str = IDENTITY) -> dict[str, Tensor]:
        """The adapter's tensors under diffusers' keys, its scale multiplied in."""
        return self._slots.tensors(name, alpha, rank)

    def load_lora(self, tensors: Mapping[str, Tensor], name: str = IDENTITY) -> None:
        """Puts a saved adapter into the transformer."""
        self._slots.load(name, tensors)

    def load_foreign_lora(self, tensors: Mapping[str, Tensor], scale: float = 1.0, name: str = IDENTITY) -> None:
        """Puts a LoRA of another trainer into the transformer."""
        self.remove_lora(name=name)
        attach(self.pipe, [self._slots], tensors, name, scale)

    def remove_lora(self, side: Side | None = None, name: str | None = None) -> None:
        """Takes adapters out of the transformer, whichever side is named."""
        self._slots.remove(name)

    def without_lora(self, side: Side = "video", name: str = IDENTITY) -> AbstractContextManager[None]:
        """The transformer without one adapter, inside of the block."""
        return self._slots.without(name)
