"""The initial noise of a video."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def video_noise(
    shape: tuple[int, ...], shared: float, generator: torch.Generator | None = None, correlation: float = 0.0
) -> Float[Tensor, "n c T h w"]:
    """Gaussian noise (n, c, T, h, w) of unit variance, of which a share of the power is the same in all frames.

    Frames that start from noise of their own must agree on everything, a face included, through the motion modules
    alone; frames that share some of it agree from the start, and a small model learns in hours what else takes days.

    Source: mixed noise of Ge et al., "Preserve Your Own Correlation", 2023; their alpha = 1 is shared = 0.5.

    Args:
        shared: share of the power in [0, 1]; 0 is independent noise, as AnimateDiff's.
        generator: draws on its device; the CPU's global one by default.
        correlation: of the frames' own noise, see `correlated`.
    """
    device = generator.device if generator else torch.device("cpu")
    own = correlated(torch.randn(shape, generator=generator, device=device), correlation)
    if shared == 0:
        return own
    n, channels, _, *size = shape
    common = torch.randn(n, channels, 1, *size, generator=generator, device=device)
    found: Tensor = (1 - shared) ** 0.5 * own + shared**0.5 * common
    return found


def correlated(noise: Float[Tensor, "n c T h w"], correlation: float) -> Float[Tensor, "n c T h w"]:
    """Noise (n, c, T, h, w) whose frames i and j have the covariance `correlation` ** |i - j|; 0 leaves it as it is.

    Source: the 3D Gaussian noise prior of MagicMe (Ma et al., 2024), drawn frame by frame out of the given noise.

    Args:
        noise: independent frames of unit variance.
        correlation: in [0, 1).
    """
    if correlation == 0:
        return noise
    frames = [noise[:, :, 0]]
    for own in noise.unbind(dim=2)[1:]:
        frames.append(correlation * frames[-1] + (1 - correlation**2) ** 0.5 * own)
    return torch.stack(frames, dim=2)
