"""The mini profile's VAE: an autoencoder that works on patches, with the interface of diffusers' `AutoencoderKL`.

All convolutions run on a grid of 4x4-pixel patches, a sixteenth of the pixels. Encoder and decoder are each a linear
map, which training starts from the principal components of the patches, plus a residual network on top, which starts
from zero: the first step already reconstructs as well as PCA does, where a convolutional VAE of this cost needs half
an hour to get there (`docs/world.md`).
"""

from __future__ import annotations

# ruff: noqa: E402  the shim comes before anything that imports torchvision
from pvbench.torchvision_shim import load_torchvision

load_torchvision()

from collections.abc import Sequence

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.autoencoders.vae import DecoderOutput, DiagonalGaussianDistribution
from diffusers.models.modeling_outputs import AutoencoderKLOutput
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn
from torch.nn import functional


class _Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(8, channels)
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = x + self.second(functional.silu(self.first(functional.silu(self.norm(x)))))
        return found


class _Branch(nn.Module):
    """A linear map of each patch plus a residual network over neighbouring patches."""

    def __init__(self, inputs: int, outputs: int, channels: int, depth: int) -> None:
        super().__init__()
        self.linear = nn.Conv2d(inputs, outputs, 1)
        self.enter = nn.Conv2d(inputs, channels, 3, padding=1)
        self.blocks = nn.Sequential(*(_Residual(channels) for _ in range(depth)))
        self.leave = nn.Conv2d(channels, outputs, 3, padding=1)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.linear(x) + self.leave(functional.silu(self.blocks(self.enter(x))))
        return found


class PatchAutoencoder(ModelMixin, ConfigMixin):
    """Images (n, 3, H, W) in [-1, 1] to latents (n, latent_channels, H / patch, W / patch) and back.

    `block_out_channels` is read by diffusers' pipelines only, which take the spatial factor from its length.
    """

    @register_to_config
    def __init__(
        self,
        latent_channels: int = 12,
        patch: int = 4,
        channels: int = 96,
        encoder_depth: int = 2,
        decoder_depth: int = 4,
        scaling_factor: float = 1.0,
        block_out_channels: Sequence[int] = (1, 1, 1),
        force_upcast: bool = False,
    ) -> None:
        super().__init__()
        pixels = 3 * patch * patch
        self.encoder = _Branch(pixels, latent_channels, channels, encoder_depth)
        self.decoder = _Branch(latent_channels, pixels, channels, decoder_depth)

    def encode(self, x: Tensor, return_dict: bool = True) -> AutoencoderKLOutput | tuple[DiagonalGaussianDistribution]:
        """The latents' distribution; it has no spread, so that its sample is its mode."""
        mean = self.encoder(functional.pixel_unshuffle(x, self.config.patch))
        spread = torch.full_like(mean, -30.0)
        distribution = DiagonalGaussianDistribution(torch.cat([mean, spread], dim=1))
        return AutoencoderKLOutput(latent_dist=distribution) if return_dict else (distribution,)

    def decode(
        self, z: Tensor, return_dict: bool = True, generator: torch.Generator | None = None
    ) -> DecoderOutput | tuple[Tensor]:
        """Images in about [-1, 1], not clipped."""
        image = functional.pixel_shuffle(self.decoder(z), self.config.patch)
        return DecoderOutput(sample=image) if return_dict else (image,)

    def forward(self, x: Tensor) -> Tensor:
        """The reconstruction of `x`."""
        found: Tensor = self.decode(self.encode(x).latent_dist.mode()).sample  # type: ignore[union-attr]
        return found
