"""The initial noise of a video."""

from __future__ import annotations

import torch
from torch import Tensor


def video_noise(shape: tuple[int, ...], shared: float, generator: torch.Generator | None = None) -> Tensor:
    """Gaussian noise (n, c, T, h, w) of unit variance, of which a share of the power is the same in all frames.

    Frames that start from noise of their own must agree on everything, a face included, through the motion modules
    alone; frames that share some of it agree from the start, and a small model learns in hours what else takes days.

    Source: mixed noise of Ge et al., "Preserve Your Own Correlation", 2023; their alpha = 1 is shared = 0.5.

    Args:
        shared: share of the power in [0, 1]; 0 is independent noise, as AnimateDiff's.
        generator: draws on its device; the CPU's global one by default.
    """
    device = generator.device if generator else torch.device("cpu")
    own = torch.randn(shape, generator=generator, device=device)
    if shared == 0:
        return own
    n, channels, _, *size = shape
    common = torch.randn(n, channels, 1, *size, generator=generator, device=device)
    found: Tensor = (1 - shared) ** 0.5 * own + shared**0.5 * common
    return found
