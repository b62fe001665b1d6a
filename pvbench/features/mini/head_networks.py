"""The mini profile's networks of whole heads: who it is, hair and all, and what the head wears."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pvbench.features.face import crop_faces
from pvbench.features.mini.face_networks import PlainRecogniser
from pvbench.features.mini.part import HEAD_SIDE, HEAD_SPREAD
from pvbench.pixels import to_tensor


def crop_heads(images: Tensor, landmarks: Tensor) -> Tensor:
    """Aligned crops of heads (n, 3, side, side) out of images (n, 3, H, W), by landmarks (n, 5, 2) in pixels."""
    return crop_faces(images, landmarks, HEAD_SIDE, HEAD_SPREAD)


def seen_heads(
    frames: NDArray[np.uint8], landmarks: NDArray[np.floating], device: torch.device
) -> tuple[NDArray[np.bool_], Tensor]:
    """Which of the frames (T, H, W, 3) have landmarks (T, 5, 2), and the crops of their heads, in that order."""
    seen: NDArray[np.bool_] = np.isfinite(landmarks).all(axis=(1, 2))
    points = torch.from_numpy(landmarks[seen].astype(np.float32)).to(device)
    return seen, crop_heads(to_tensor(frames[seen], device), points)


class HeadRecogniser(PlainRecogniser):
    """Embeds whole heads; the same face with other hair is somebody else to it."""

    def __init__(self, width: int = 20, size: int = 128) -> None:
        super().__init__(width, size, HEAD_SIDE)


class LookReader(nn.Module):
    """Tells what a hairdresser or an optician could change about a head."""

    def __init__(self, values: Mapping[str, int], width: int = 16) -> None:
        super().__init__()
        self.values = dict(values)
        self.trunk = PlainRecogniser(width, 128, HEAD_SIDE)
        self.heads = nn.ModuleDict({name: nn.Linear(128, count) for name, count in values.items()})

    def forward(self, crops: Tensor) -> dict[str, Tensor]:
        """Logits (n, values) of each label, for aligned crops of heads (n, 3, side, side) in [-1, 1]."""
        found = torch.relu(self.trunk.features(crops))
        return {name: head(found) for name, head in self.heads.items()}
