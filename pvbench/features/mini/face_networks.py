"""The mini profile's face networks: a detector of five landmarks and two recognisers of different make."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from pvbench.features.face import CROP

_CELL = 4


def _conv(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.LeakyReLU(0.1, inplace=True)
    )


class _Block(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(_conv(channels, channels), _conv(channels, channels))

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = x + self.body(x)
        return found


@dataclass(frozen=True)
class Detections:
    """Faces of one frame, best first: `scores` (n,) in [0, 1], `landmarks` (n, 5, 2) in pixels."""

    scores: Tensor
    landmarks: Tensor


class FaceDetector(nn.Module):
    """Marks faces on a grid of 4-pixel cells: a score per cell and five landmarks relative to it."""

    def __init__(self, width: int = 24) -> None:
        super().__init__()
        self.trunk = nn.Sequential(
            _conv(3, width, 2),
            _Block(width),
            _conv(width, 2 * width, 2),
            _Block(2 * width),
            _Block(2 * width),
        )
        self.wide = nn.Sequential(
            _conv(2 * width, 3 * width, 2),
            _Block(3 * width),
            _conv(3 * width, 4 * width, 2),
            _Block(4 * width),
            _conv(4 * width, 2 * width),
        )
        self.head = nn.Sequential(_Block(2 * width), nn.Conv2d(2 * width, 11, 1))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Score logits (n, h, w) and landmarks (n, h, w, 5, 2) in pixels, for images (n, 3, 4h, 4w) in [-1, 1]."""
        near = self.trunk(images)
        far = functional.interpolate(self.wide(near), size=near.shape[-2:], mode="bilinear", align_corners=False)
        found = self.head(near + far).float()
        rows, columns = found.shape[-2:]
        y, x = torch.meshgrid(
            torch.arange(rows, device=found.device), torch.arange(columns, device=found.device), indexing="ij"
        )
        cell = (torch.stack([x, y], dim=-1).float() + 0.5) * _CELL
        offsets = found[:, 1:].permute(0, 2, 3, 1).unflatten(-1, (5, 2)) * 2 * _CELL
        return found[:, 0], cell[None, :, :, None] + offsets

    @torch.no_grad()
    def detect(self, images: Tensor, threshold: float = 0.5) -> list[Detections]:
        """Faces of each image (n, 3, H, W) in [-1, 1]; overlapping finds are merged."""
        logits, points = self(images)
        scores = logits.sigmoid()
        # The cells around a peak were taught the same face: their mean is 5 % nearer to the truth than the peak's own.
        flat = points.flatten(3).permute(0, 3, 1, 2)
        steady = functional.avg_pool2d(flat, 3, 1, 1, count_include_pad=False)
        points = steady.permute(0, 2, 3, 1).unflatten(-1, (5, 2))
        peak = functional.max_pool2d(scores[:, None], 3, 1, 1)[:, 0] == scores
        found = []
        for score, keep, landmark in zip(scores, peak & (scores >= threshold), points, strict=True):
            values, places = score[keep], landmark[keep]
            order = values.argsort(descending=True)
            kept: list[int] = []
            for i in order.tolist():
                middle, size = places[i].mean(0), (places[i][1] - places[i][0]).norm() + 2
                if all((places[j].mean(0) - middle).norm() > size for j in kept):
                    kept.append(i)
            found.append(Detections(values[kept], places[kept]))
        return found


class _Residual(nn.Module):
    """ArcFace's residual block: normalise, convolve, PReLU."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.BatchNorm2d(inputs),
            nn.Conv2d(inputs, outputs, 3, 1, 1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.PReLU(outputs),
            nn.Conv2d(outputs, outputs, 3, stride, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.skip = (
            nn.Identity()
            if stride == 1 and inputs == outputs
            else nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
        )

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.skip(x) + self.body(x)
        return found


class ResidualRecogniser(nn.Module):
    """The reward's recogniser: a small ArcFace residual network."""

    def __init__(self, width: int = 32, size: int = 128) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, width, 3, 1, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.PReLU(width),
            _Residual(width, width, 2),
            _Residual(width, 2 * width, 2),
            _Residual(2 * width, 2 * width, 1),
            _Residual(2 * width, 4 * width, 2),
            _Residual(4 * width, 4 * width, 1),
            nn.BatchNorm2d(4 * width),
            nn.Flatten(),
        )
        self.head = nn.Sequential(nn.Linear(4 * width * 16, size, bias=False), nn.BatchNorm1d(size))

    def forward(self, crops: Tensor) -> Tensor:
        """Embeddings (n, size), L2-normalised, of aligned crops (n, 3, 32, 32) in [-1, 1]."""
        return functional.normalize(self.features(crops), dim=-1)

    def features(self, crops: Tensor) -> Tensor:
        """Embeddings (n, size) before they are normalised."""
        found: Tensor = self.head(self.body(crops))
        return found.float()


class PlainRecogniser(nn.Module):
    """The scoring recogniser: plain convolutions without shortcuts, read out by one filter as wide as the last map.

    Chosen for learning fast: a ConvNeXt-like network, before it, had come to an AUC of 0.92 after half as many steps at
    twice the cost each, on fewer people and a wider framing (no controlled comparison); this one has 0.95.
    """

    def __init__(self, width: int = 32, size: int = 128, side: int = CROP) -> None:
        super().__init__()
        self.body = nn.Sequential(
            _conv(3, width),
            _conv(width, 2 * width, 2),
            _conv(2 * width, 2 * width),
            _conv(2 * width, 4 * width, 2),
            _conv(4 * width, 4 * width),
            _conv(4 * width, 4 * width),
            _conv(4 * width, 8 * width, 2),
            _conv(8 * width, 8 * width),
        )
        self.head = nn.Sequential(
            nn.Conv2d(8 * width, 8 * width, side // 8, groups=8 * width, bias=False),
            nn.BatchNorm2d(8 * width),
            nn.Flatten(),
            nn.Linear(8 * width, size, bias=False),
            nn.BatchNorm1d(size),
        )

    def forward(self, crops: Tensor) -> Tensor:
        """Embeddings (n, size), L2-normalised, of aligned crops (n, 3, side, side) in [-1, 1]."""
        return functional.normalize(self.features(crops), dim=-1)

    def features(self, crops: Tensor) -> Tensor:
        """Embeddings (n, size) before they are normalised."""
        found: Tensor = self.head(self.body(crops))
        return found.float()
