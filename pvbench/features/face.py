"""Faces of frames: what every detector and recogniser gives back, and the crop that recognisers take."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from pvbench.errors import FaceError

# ArcFace's five points on a 112-pixel crop: eyes, nose tip, mouth corners, viewer's left first.
TEMPLATE = ((38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366), (41.5493, 92.3655), (70.7299, 92.2041))
CROP = 32


@dataclass(frozen=True)
class Faces:
    """The best face of each frame; rows are NaN where there is none.

    Attributes:
        landmarks: float32 (T, 5, 2) pixels.
        count: float32 (T,) faces found.
        embedding: float32 (T, D), L2-normalised.
        box: float32 (T, 4), x0 y0 x1 y1 in pixels, around the landmarks' aligned crop.
    """

    landmarks: NDArray[np.float32]
    count: NDArray[np.float32]
    embedding: NDArray[np.float32]
    box: NDArray[np.float32]


def one_face_each(
    extract: Callable[[NDArray[np.uint8]], Faces], images: Sequence[NDArray[np.uint8]], advice: str
) -> Faces:
    """The faces of photos, one a photo, each looked at by itself.

    Raises:
        FaceError: a photo shows no face, or more than one; `advice` says what is expected and what to do.
    """
    rows = [extract(image[None]) for image in images]
    for i, row in enumerate(rows):
        if row.count[0] != 1:
            what = "no face" if row.count[0] == 0 else f"{int(row.count[0])} faces"
            raise FaceError(f"reference photo {i + 1} of {len(images)} shows {what}; expected exactly one, {advice}")
    return Faces(*(np.concatenate([getattr(row, name) for row in rows]) for name in Faces.__dataclass_fields__))


def similarity(landmarks: Tensor, size: int = CROP) -> Tensor:
    """Affine matrices (n, 2, 3) from crop pixels to image pixels, least squares without reflection.

    Args:
        landmarks: (n, 5, 2) pixels in the image.
        size: side of the crop.
    """
    target = torch.tensor(TEMPLATE, device=landmarks.device, dtype=landmarks.dtype) * (size / 112)
    source_mean, target_mean = landmarks.mean(dim=1, keepdim=True), target.mean(dim=0)
    p, q = target - target_mean, landmarks - source_mean
    power = p.square().sum()
    a = (q * p).sum(dim=(1, 2)) / power
    b = (p[:, 0] * q[..., 1] - p[:, 1] * q[..., 0]).sum(dim=1) / power
    linear = torch.stack([torch.stack([a, -b], dim=-1), torch.stack([b, a], dim=-1)], dim=1)
    shift = source_mean[:, 0] - (linear @ target_mean[:, None])[..., 0]
    return torch.cat([linear, shift[..., None]], dim=-1)


def crop_faces(images: Tensor, landmarks: Tensor, size: int = CROP, spread: float = 1.0) -> Tensor:
    """Aligned face crops (n, 3, size, size), differentiable in the images.

    Args:
        images: (n, 3, H, W).
        landmarks: (n, 5, 2) pixels, used without gradient.
        spread: 1 for the tight crop of recognisers; larger shows more around the face.
    """
    matrix = similarity(landmarks.detach().float(), size)
    height, width = images.shape[-2:]
    axis = torch.arange(size, device=images.device, dtype=torch.float32)
    axis = (axis - (size - 1) / 2) * spread + (size - 1) / 2
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    flat = torch.stack([x + 0.5, y + 0.5, torch.ones_like(x)], dim=-1).reshape(-1, 3)
    places = flat @ matrix.transpose(1, 2)
    grid = places / torch.tensor([width / 2, height / 2], device=images.device) - 1
    return functional.grid_sample(
        images.float(), grid.view(-1, size, size, 2), mode="bilinear", padding_mode="border", align_corners=False
    )


def embed_faces(recogniser: nn.Module, crops: Tensor) -> Tensor:
    """Embeddings (n, D), L2-normalised: of each aligned crop and its mirror image together.

    A face and its mirror image are one person, as in training; their mean is steadier than either, a custom of face
    verification.

    Args:
        crops: (n, 3, 32, 32) in [-1, 1].
    """
    both: Tensor = recogniser(torch.cat([crops, crops.flip(-1)]))
    plain, mirrored = both.chunk(2)
    return functional.normalize(plain + mirrored, dim=-1)
