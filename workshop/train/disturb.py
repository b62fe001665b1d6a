"""Pictures worn by light, blur and noise, so that networks see through these."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional


def disturb(images: Tensor, rng: np.random.Generator, strength: float = 1.0, worn: float = 1.0) -> Tensor:
    """Colour casts, grey, contrast, blur, noise and coarse pixels, each by chance and per image.

    Args:
        images: (n, 3, H, W) in [-1, 1].
        strength: of casts and contrast.
        worn: factor on the chance of grey, blur and coarse pixels, which hide what is small.
    """
    n = len(images)
    device = images.device

    def draw(low: float, high: float, *shape: int) -> Tensor:
        return torch.as_tensor(rng.uniform(low, high, (n, *shape)), dtype=torch.float32, device=device)

    def some(share: float) -> Tensor:
        return (draw(0, 1) < share).float()[:, None, None, None]

    x = (images + 1) / 2
    x = x * (1 + some(0.8) * strength * draw(-0.30, 0.30, 3, 1, 1)) + some(0.5) * strength * draw(-0.10, 0.10, 3, 1, 1)
    middle = x.mean(dim=(1, 2, 3), keepdim=True)
    x = (
        middle
        + (x - middle) * (1 + some(0.6) * strength * draw(-0.35, 0.25, 1, 1, 1))
        + strength * draw(-0.12, 0.12, 1, 1, 1)
    )
    grey = x.mean(dim=1, keepdim=True)
    x = x + some(0.35 * worn) * draw(0.4, 1.0, 1, 1, 1) * (grey - x)
    soft = functional.avg_pool2d(functional.pad(x, (1, 1, 1, 1), mode="replicate"), 3, 1)
    x = x + some(0.40 * worn) * draw(0.2, 1.0, 1, 1, 1) * (soft - x)
    coarse = functional.interpolate(
        functional.interpolate(x, scale_factor=0.625, mode="bilinear", align_corners=False),
        size=x.shape[-2:],
        mode="bilinear",
    )
    x = x + some(0.20 * worn) * (coarse - x)
    ramp = torch.linspace(-1, 1, x.shape[-1], device=device)
    x = x * (1 + some(0.4) * draw(-0.25, 0.25, 1, 1, 1) * ramp + some(0.3) * draw(-0.2, 0.2, 1, 1, 1) * ramp[:, None])
    x = x + some(0.4) * draw(0.0, 0.05, 1, 1, 1) * torch.randn_like(x)
    return (x.clamp(-0.1, 1.1) * 2 - 1).float()


def placed(n: int, rng: np.random.Generator, zoom: tuple[float, float], shift: float) -> tuple[Tensor, Tensor]:
    """Random placements (n, 2, 3) for `affine_grid`, and which of them mirror: -1 for these, 1 for the others.

    Args:
        zoom: least and greatest; below 1 a picture is enlarged.
        shift: standard deviation along each axis, in halves of a side.
    """
    scale = torch.as_tensor(rng.uniform(*zoom, n), dtype=torch.float32)
    angle = torch.as_tensor(np.radians(rng.normal(size=n) * 8), dtype=torch.float32)
    move = torch.as_tensor(rng.normal(size=(n, 2)) * shift, dtype=torch.float32)
    mirror = torch.as_tensor(np.where(rng.random(n) < 0.5, -1.0, 1.0), dtype=torch.float32)
    c, s = torch.cos(angle) * scale, torch.sin(angle) * scale
    linear = torch.stack([torch.stack([c * mirror, -s], -1), torch.stack([s * mirror, c], -1)], 1)
    return torch.cat([linear, move[..., None]], dim=-1), mirror
