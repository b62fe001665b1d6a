"""What transformers over videos share: adapters, encoders that come and go, the shape of latents and their noise."""

from __future__ import annotations

# ruff: noqa: E402  the shim comes before anything that imports torchvision
from pvbench.torchvision_shim import load_torchvision

load_torchvision()

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pvbench.backbones.foreign_lora import attach
from pvbench.backbones.lora import LoraSlots
from pvbench.backbones.noise import correlated
from pvbench.errors import MethodError
from pvbench.latent_backbone import IDENTITY, LatentBackbone, Side
from pvbench.profile import Sampling
from pvbench.words import Words


class TransformerBackbone(LatentBackbone):
    """A transformer over videos, around a pipeline of diffusers: pictures are videos of one frame.

    Args:
        pipe: has a `transformer` in any precision; latents are float32.
        encoders: the pipeline's names of its text encoders, which are on the device only while texts are encoded.
        compression: of the autoencoder: frames that one latent stands for (but for the first), and pixels of a side.
        channels: of a latent.
    """

    def __init__(
        self,
        pipe: Any,
        sampling: Sampling,
        device: torch.device,
        signature: Mapping[str, Any],
        encoders: tuple[str, ...],
        compression: tuple[int, int],
        channels: int,
    ) -> None:
        self.pipe, self.sampling, self.device, self.signature = pipe, sampling, device, signature
        self._slots = LoraSlots(pipe.transformer, "transformer.")
        self._kept: dict[str, Words] = {}
        self._encoders, self.compression, self._channels = encoders, compression, channels
        self._encoders_are_here = device.type == "cpu"

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

    # Latents

    def latent_shape(self, side: Side = "video") -> tuple[int, int, int, int]:
        """(channels, T, h, w); the first latent stands for one frame, and each later one for several."""
        s, (time, space) = self.sampling, self.compression
        times = (s.frames - 1) // time + 1 if side == "video" else 1
        return self._channels, times, s.height // space, s.width // space

    def noise(self, seed: int, side: Side = "video", correlation: float = 0.0) -> Float[Tensor, "1 c t h w"]:
        """The initial latent of a noise seed; drawn on the CPU, so that every device starts alike."""
        generator = torch.Generator().manual_seed(seed)
        return correlated(torch.randn(1, *self.latent_shape(side), generator=generator), correlation).to(self.device)

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
