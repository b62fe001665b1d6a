"""From photos and frames to what networks take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

if TYPE_CHECKING:
    import torch
    from torch import Tensor


def resize_photo(image: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """The photo's middle, as large as its shape allows, area-averaged to (height, width): seen as a video's frame."""
    rows, columns = image.shape[:2]
    scale = min(rows / height, columns / width)
    high, wide = round(scale * height), round(scale * width)
    top, left = (rows - high) // 2, (columns - wide) // 2
    middle = Image.fromarray(image[top : top + high, left : left + wide])
    kernel = Image.Resampling.BOX if wide >= 2 * width else Image.Resampling.BICUBIC
    return np.asarray(middle.resize((width, height), kernel))


def to_tensor(frames: NDArray[np.uint8], device: torch.device) -> Tensor:
    """uint8 (n, H, W, 3) to float (n, 3, H, W) in [-1, 1]."""
    import torch

    # A copy: frames may be a view, or read-only as Pillow's are, and torch warns of those.
    return torch.from_numpy(np.array(frames, order="C")).to(device).permute(0, 3, 1, 2).float() / 127.5 - 1


def photo_tensor(photos: Sequence[NDArray[np.uint8]], height: int, width: int, device: torch.device) -> Tensor:
    """Photos of any size, each uint8 (H, W, 3), as (n, 3, height, width) in [-1, 1]: their middles, resized."""
    return to_tensor(np.stack([resize_photo(photo, height, width) for photo in photos]), device)
