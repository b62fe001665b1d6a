"""The mini profile's video encoder: space-time convolutions, the source of FVD's features and a judge of actions."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional


class _SpaceTime(nn.Module):
    """A spatial and a temporal convolution, as in R(2+1)D, with a skip."""

    def __init__(self, inputs: int, outputs: int, stride: tuple[int, int, int]) -> None:
        super().__init__()
        self.space = nn.Conv3d(inputs, outputs, (1, 3, 3), (1, *stride[1:]), (0, 1, 1), bias=False)
        self.space_norm = nn.BatchNorm3d(outputs)
        self.time = nn.Conv3d(outputs, outputs, (3, 1, 1), (stride[0], 1, 1), (1, 0, 0), bias=False)
        self.time_norm = nn.BatchNorm3d(outputs)
        same = inputs == outputs and stride == (1, 1, 1)
        self.skip = (
            nn.Identity() if same else nn.Sequential(nn.AvgPool3d(stride, stride), nn.Conv3d(inputs, outputs, 1))
        )

    def forward(self, x: Tensor) -> Tensor:
        found = functional.relu(self.space_norm(self.space(x)))
        return functional.relu(self.skip(x) + self.time_norm(self.time(found)))


class VideoEncoder(nn.Module):
    """Embeddings and class logits of videos (n, 3, T, 64, 64) in [-1, 1]; T is a multiple of 4."""

    def __init__(self, classes: dict[str, int] | None = None, width: int = 24, size: int = 128) -> None:
        super().__init__()
        classes = classes or {"action": 15, "scene": 12}
        self.body = nn.Sequential(
            _SpaceTime(12, width, (1, 1, 1)),
            _SpaceTime(width, 2 * width, (1, 2, 2)),
            _SpaceTime(2 * width, 2 * width, (1, 1, 1)),
            _SpaceTime(2 * width, 4 * width, (2, 2, 2)),
            _SpaceTime(4 * width, 4 * width, (1, 1, 1)),
            _SpaceTime(4 * width, 6 * width, (2, 2, 2)),
        )
        self.embed = nn.Linear(6 * width * 4, size)
        self.heads = nn.ModuleDict({name: nn.Linear(size, count) for name, count in classes.items()})

    def embedding(self, videos: Tensor) -> Tensor:
        """(n, size), not normalised: a Fréchet distance needs its spread."""
        n, _, frames = videos.shape[:3]
        folded = functional.pixel_unshuffle(videos.transpose(1, 2).flatten(0, 1), 2)
        x = self.body(folded.unflatten(0, (n, frames)).transpose(1, 2))
        pooled = functional.adaptive_avg_pool3d(x, (1, 2, 2)).flatten(1)
        found: Tensor = self.embed(pooled).float()
        return found

    def forward(self, videos: Tensor) -> dict[str, Tensor]:
        """Logits (n, classes) by label."""
        found = functional.relu(self.embedding(videos))
        return {name: head(found) for name, head in self.heads.items()}
