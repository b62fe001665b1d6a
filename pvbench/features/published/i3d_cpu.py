"""I3D as a CPU computes it fastest: the same logits to within rounding."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from pvbench.features.cpu.convolutions import Winograd3d, WinogradHalving
from pvbench.features.published.i3d import I3D, MIXED, POOL_BEFORE, STEM, pool_same

_CHANNELS_LAST = 0
"""The axis of time in volumes (frames, height, width, channels)."""


class I3DOnCpu:
    """What `network` gives, in half the time.

    Channels come last, normalisations are part of the kernels, the kernels of 3 x 3 x 3 are in Winograd's form, and the
    kernels of 1 x 1 x 1 that see one input are one matrix.
    """

    def __init__(self, network: I3D) -> None:
        self.device = torch.device("cpu")
        self._stem = {name: _Unit(getattr(network, name)) for name in STEM}
        self._mixed = {name: _Mixed(getattr(network, name)) for name in MIXED}
        self._logits = network.logits.conv3d

    def __call__(self, videos: Float[Tensor, "n 3 frames height width"]) -> Float[Tensor, "n classes"]:
        """Logits, as of `I3D`."""
        return torch.stack([self._logits_of(video) for video in videos.movedim(1, -1)])

    def _logits_of(self, x: Float[Tensor, "frames height width 3"]) -> Float[Tensor, " classes"]:
        steps: dict[str, Any] = {**self._stem, **self._mixed}
        for name, step in steps.items():
            if name in POOL_BEFORE:
                x = pool_same(x, *POOL_BEFORE[name], first=_CHANNELS_LAST)
            x = step(x)
        pooled = functional.avg_pool3d(x.movedim(-1, 0)[None], (2, 7, 7), stride=1)
        found: Float[Tensor, " classes"] = self._logits(pooled)[0].mean(dim=(1, 2, 3))
        return found


class _Unit:
    """Convolution, normalisation, ReLU; of several units that see one input, their outputs side by side."""

    def __init__(self, *units: Any) -> None:
        kernels, shifts = zip(*(_folded(unit.conv3d, unit.bn) for unit in units), strict=True)
        self.kernel, self.shift = torch.cat(kernels), torch.cat(shifts)
        self.size, self.stride = units[0].conv3d.kernel_size, units[0].conv3d.stride
        form = _FORMS.get((self.size, self.stride))
        self.form = form and form(self.kernel)

    def __call__(self, x: Float[Tensor, "frames height width inputs"]) -> Float[Tensor, "_ _ _ outputs"]:
        if self.form is not None:
            found = self.form(x).add_(self.shift)
        else:
            found = functional.linear(x, self.kernel.flatten(1), self.shift)
        return functional.relu_(found)


_FORMS: dict[Any, Any] = {((7, 7, 7), (2, 2, 2)): WinogradHalving, ((3, 3, 3), (1, 1, 1)): Winograd3d}
"""By kernel and stride; kernels of 1 x 1 x 1 are matrices."""


class _Mixed:
    """Inception's four branches side by side."""

    def __init__(self, mixed: Any) -> None:
        self.first = _Unit(mixed.b0, mixed.b1a, mixed.b2a)
        self.widths = [unit.conv3d.out_channels for unit in (mixed.b0, mixed.b1a, mixed.b2a)]
        self.b1b, self.b2b, self.b3b = (_Unit(unit) for unit in (mixed.b1b, mixed.b2b, mixed.b3b))

    def __call__(self, x: Float[Tensor, "frames height width inputs"]) -> Float[Tensor, "frames height width outputs"]:
        b0, b1a, b2a = self.first(x).split(self.widths, dim=-1)
        pooled = pool_same(x, (3, 3, 3), (1, 1, 1), first=_CHANNELS_LAST)
        return torch.cat([b0, self.b1b(b1a), self.b2b(b2a), self.b3b(pooled)], dim=-1)


def _folded(conv: nn.Conv3d, bn: nn.BatchNorm3d) -> tuple[Tensor, Tensor]:
    """A kernel that normalises as well, and what is added to what it gives."""
    assert bn.running_mean is not None and bn.running_var is not None
    scale = bn.weight.double() / (bn.running_var.double() + bn.eps).sqrt()
    kernel = conv.weight.double() * scale[:, None, None, None, None]
    return kernel.float(), (bn.bias.double() - bn.running_mean.double() * scale).float()
