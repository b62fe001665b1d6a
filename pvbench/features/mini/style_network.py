"""The mini profile's reader of styles: is a picture a photo, a cartoon or a sketch?"""

from __future__ import annotations

from torch import Tensor, nn


class StyleReader(nn.Module):
    """Convolutions with a stride and a mean over places, for pictures (n, 3, H, W) in [-1, 1].

    Without a wider view than a few pixels a side it reads strokes, tones and outlines, and not what they show.
    """

    def __init__(self, kinds: int, widths: tuple[int, ...] = (16, 24, 32)) -> None:
        super().__init__()
        sizes = zip((3, *widths[:-1]), widths, strict=True)
        self.trunk = nn.Sequential(*(_layer(inputs, outputs) for inputs, outputs in sizes))
        self.head = nn.Linear(widths[-1], kinds)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (n, kinds)."""
        found: Tensor = self.head(self.trunk(images).float().mean(dim=(2, 3)))
        return found


def _layer(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
        nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )
