"""The mini profile's segmenter: which pixels show the person, and which the person's head."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

PARTS = ("background", "body", "head")
"""What a pixel shows, by its place among the logits."""


def _pair(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
        nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class Segmenter(nn.Module):
    """A U-Net for pictures (n, 3, H, W) in [-1, 1]; sides are multiples of 8.

    Source: Ronneberger et al., "U-Net", 2015.
    """

    def __init__(self, widths: Sequence[int] = (16, 24, 32, 48)) -> None:
        super().__init__()
        inputs = (3, *widths[:-1])
        self.down = nn.ModuleList(_pair(*sizes) for sizes in zip(inputs, widths, strict=True))
        self.up = nn.ModuleList(_pair(deep + flat, flat) for flat, deep in pairwise(widths))
        self.head = nn.Conv2d(widths[0], len(PARTS), 1)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (n, parts, H, W)."""
        kept: list[Tensor] = []
        x = images
        for i, block in enumerate(self.down):
            x = block(x if i == 0 else functional.max_pool2d(x, 2))
            kept.append(x)
        for flat, block in zip(reversed(kept[:-1]), reversed(self.up), strict=True):
            x = block(torch.cat([functional.interpolate(x, scale_factor=2.0, mode="nearest"), flat], dim=1))
        found: Tensor = self.head(x).float()
        return found

    @torch.no_grad()
    def shares(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Probability (n, 1, H, W) that a pixel shows the person, head included, and that it shows the head."""
        found = self(images).softmax(dim=1)
        return 1 - found[:, :1], found[:, 2:3]
