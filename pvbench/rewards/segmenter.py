"""The miniature world's segmenter as methods see it."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from pvbench.features.mini.segmenter_network import Segmenter
from pvbench.reward import PersonSegmenter

_MULTIPLE = 8
"""The network halves a picture's sides three times."""


class NetworkSegmenter(PersonSegmenter):
    """A frozen U-Net. Pictures whose sides it cannot halve three times are seen a little larger."""

    def __init__(self, network: Segmenter, device: torch.device) -> None:
        self.network, self.device = network, device

    def person(self, images: Float[Tensor, "n 3 H W"]) -> Float[Tensor, "n 1 H W"]:
        """How likely each pixel shows the person (n, 1, H, W)."""
        return self._shares(images)[0]

    def head(self, images: Float[Tensor, "n 3 H W"]) -> Float[Tensor, "n 1 H W"]:
        """How likely each pixel shows the head (n, 1, H, W)."""
        return self._shares(images)[1]

    def _shares(self, images: Float[Tensor, "n 3 H W"]) -> tuple[Float[Tensor, "n 1 H W"], Float[Tensor, "n 1 H W"]]:
        high, wide = images.shape[-2:]
        size = (-(-high // _MULTIPLE) * _MULTIPLE, -(-wide // _MULTIPLE) * _MULTIPLE)
        seen = images.clamp(-1, 1).to(self.device)
        if size == (high, wide):
            return self.network.shares(seen)
        resized = functional.interpolate(seen, size=size, mode="bilinear", align_corners=False)
        person, head = (
            functional.interpolate(share, size=(high, wide), mode="bilinear", align_corners=False)
            for share in self.network.shares(resized)
        )
        return person, head
