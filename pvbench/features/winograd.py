"""Convolutions of stride 1 with fewer multiplications: Winograd's minimal filtering, for networks on a CPU.

Tiles of the input are transformed, multiplied with transformed kernels and transformed back. A tile gives 4 x 4 outputs
of a 3 x 3 kernel for 36 multiplications a pair of channels instead of 144, so that the convolution takes half its time,
transforms included. The sums are the same; rounding grows from 3e-7 to 3e-6 of a typical output.

Source: Lavin and Gray 2016, Fast Algorithms for Convolutional Neural Networks; transforms by Cook's and Toom's
    construction out of the points below, chosen after Barabasz et al. 2020, Error Analysis and Improving the Accuracy
    of Winograd Convolution: with -1/2 in the place of -2 a kernel of 3 rounds a third less, at worst a third as much.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

OUTPUTS = 4
"""Outputs of a tile along each axis on which the kernel is wider than 1."""

_POINTS = {
    3: (Fraction(0), Fraction(1), Fraction(-1), Fraction(2), Fraction(-1, 2)),
    5: (Fraction(0), Fraction(1), Fraction(-1), Fraction(2), Fraction(-2), Fraction(1, 2), Fraction(-1, 2)),
}
"""By the kernel's width: where polynomials are evaluated, infinity besides."""

KERNELS = (1, *_POINTS)
"""Widths of a kernel along an axis that there are transforms for."""

_FEWEST_CHANNELS = 32
"""With fewer, the transforms take what the products save."""

_STRIP = 2**20
"""Products of a strip of tiles at once, as far as possible: 4 MiB, so that they stay in a processor's cache."""


@dataclass(frozen=True)
class Spread:
    """Transformed tiles of an input.

    Attributes:
        values: (points, tiles, channels).
        shape: n, height and width of what the convolution gives.
    """

    values: Tensor
    shape: tuple[int, int, int]


class Winograd:
    """A convolution of stride 1 whose output has the size of its input, zeros around it.

    Its inputs may come in parts, each with its share of the channels: a part that several convolutions of one kernel
    size see is spread once.
    """

    def __init__(self, weight: Float[Tensor, "outputs inputs height width"], parts: Sequence[int] = ()) -> None:
        """`parts`: channels of each part of the input; one part by default.

        Raises:
            ValueError: there is no transform for a kernel of this size.
        """
        self.kernel = tuple(weight.shape[2:])
        if not set(self.kernel) <= set(KERNELS):
            raise ValueError(f"no transform for a kernel of {self.kernel}; sides may be {KERNELS}")
        rows, columns = (_transforms(width) for width in self.kernel)
        self.outputs = tuple(len(axis.back) for axis in (rows, columns))
        self.points = tuple(len(axis.inputs) for axis in (rows, columns))
        self._of_inputs = torch.kron(rows.inputs, columns.inputs).float()
        self._back = torch.kron(rows.back, columns.back).float()
        kernels = torch.einsum("ah,bw,oihw->abio", rows.kernel, columns.kernel, weight.cpu().double())
        kernels = kernels.flatten(0, 1).float()
        self._kernels = [part.contiguous() for part in kernels.split(list(parts) or [weight.shape[1]], dim=1)]

    def spread(self, images: Float[Tensor, "n height width channels"]) -> Spread:
        """A part of the input, ready to be convolved."""
        count, height, width, _ = images.shape
        return self._spread(self._windows(images), (count, height, width))

    def of(self, *parts: Spread) -> Float[Tensor, "n height width outputs"]:
        """What comes of the input's parts."""
        return self._gather(self.products(*parts), parts[0].shape)

    def __call__(self, images: Float[Tensor, "n height width channels"]) -> Float[Tensor, "n height width outputs"]:
        """What comes of an input in one part."""
        return self.by_strips(images, self.products)

    def by_strips(self, images: Tensor, products: Callable[[Spread], Tensor]) -> Tensor:
        """What the products of an input's tiles give, some rows of tiles at a time, so that they fit a cache."""
        count, height, width, _ = images.shape
        windows = self._windows(images)
        of_a_row = count * windows.shape[2] * len(self._of_inputs) * self._kernels[0].shape[2]
        rows = max(1, round(_STRIP / of_a_row))
        strips = []
        for first in range(0, windows.shape[1], rows):
            strip = windows[:, first : first + rows]
            high = min(height - first * self.outputs[0], strip.shape[1] * self.outputs[0])
            spread = self._spread(strip, (count, high, width))
            strips.append(self._gather(products(spread), spread.shape))
        return strips[0] if len(strips) == 1 else torch.cat(strips, dim=1)

    def products(
        self, *parts: Spread, onto: Float[Tensor, "points tiles outputs"] | None = None
    ) -> Float[Tensor, "points tiles outputs"]:
        """The sum over input channels, added to `onto` where that is given."""
        for part, kernels in zip(parts, self._kernels, strict=True):
            onto = torch.bmm(part.values, kernels) if onto is None else onto.baddbmm_(part.values, kernels)
        assert onto is not None
        return onto

    def _windows(self, images: Tensor) -> Tensor:
        """Overlapping tiles (n, rows, columns, channels, height, width), a view of the padded images."""
        sides = []
        for size, step, wide in zip(images.shape[2:0:-1], self.outputs[::-1], self.kernel[::-1], strict=True):
            sides += [wide // 2, -size % step + wide - 1 - wide // 2]
        found = functional.pad(images, (0, 0, *sides))
        for axis, (size, step) in enumerate(zip(self.points, self.outputs, strict=True), start=1):
            found = found.unfold(axis, size, step)
        return found

    def _spread(self, windows: Tensor, shape: tuple[int, int, int]) -> Spread:
        channels = windows.shape[3]
        flat = windows.permute(4, 5, 0, 1, 2, 3).reshape(len(self._of_inputs), -1)
        return Spread((self._of_inputs @ flat).view(len(flat), -1, channels), shape)

    def _gather(self, products: Tensor, shape: tuple[int, int, int]) -> Tensor:
        count, height, width = shape
        down, right = self.outputs
        rows, columns = -(-height // down), -(-width // right)
        found = (self._back @ products.flatten(1)).view(down, right, count, rows, columns, -1)
        found = found.permute(2, 3, 0, 4, 1, 5).reshape(count, rows * down, columns * right, -1)
        return found[:, :height, :width]


class Direct:
    """The same convolution by torch, for devices that have a fast one; the same methods as `Winograd`."""

    def __init__(self, weight: Float[Tensor, "outputs inputs height width"], parts: Sequence[int] = ()) -> None:
        self._weight, self._padding = weight, [side // 2 for side in weight.shape[2:]]

    def spread(self, images: Float[Tensor, "n height width channels"]) -> Float[Tensor, "n channels height width"]:
        """A part of the input, ready to be convolved."""
        return images.permute(0, 3, 1, 2)

    def of(self, *parts: Float[Tensor, "n channels height width"]) -> Float[Tensor, "n height width outputs"]:
        """What comes of the input's parts."""
        together = parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)
        return functional.conv2d(together, self._weight, padding=self._padding).permute(0, 2, 3, 1)


def same_convolution(weight: Float[Tensor, "outputs inputs height width"], parts: Sequence[int] = ()) -> Any:
    """A convolution of stride 1 in the form that suits the device that its weights are on."""
    return (Winograd if weight.device.type == "cpu" else Direct)(weight, parts)


class Winograd3d:
    """A convolution of stride 1 over volumes, kernel 3 x 3 x 3, whose output has the size of its input.

    Each frame is spread once, and goes into the three that it touches.
    """

    def __init__(self, weight: Float[Tensor, "outputs inputs 3 3 3"]) -> None:
        self._before, self._same, self._after = (Winograd(weight[:, :, time]) for time in range(3))

    def __call__(self, volume: Float[Tensor, "frames height width channels"]) -> Float[
        Tensor, "frames height width outputs"]:
        """What comes of one volume."""
        return self._same.by_strips(volume, self._products)

    def _products(self, frames: Spread) -> Tensor:
        tiles = frames.values.shape[1] // frames.shape[0]
        found = self._same.products(frames)
        self._before.products(Spread(frames.values[:, :-tiles], frames.shape), onto=found[:, tiles:])
        self._after.products(Spread(frames.values[:, tiles:], frames.shape), onto=found[:, :-tiles])
        return found


class Convolution(nn.Module):
    """A convolution in the place of torch's, for inference on a CPU; a kernel of 1 x 1 is a product of matrices."""

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.form = Winograd(conv.weight) if max(conv.kernel_size) > 1 else None
        self.weight, self.bias = conv.weight.flatten(1), conv.bias

    def forward(self, images: Float[Tensor, "n inputs height width"]) -> Float[Tensor, "n outputs height width"]:
        last = images.permute(0, 2, 3, 1)
        if self.form is None:
            return functional.linear(last, self.weight, self.bias).permute(0, 3, 1, 2)
        found = self.form(last)
        return (found if self.bias is None else found.add_(self.bias)).permute(0, 3, 1, 2)


def suits(conv: nn.Conv2d) -> bool:
    """Whether a convolution is one that has this form and gains by it."""
    sides = conv.kernel_size
    return (set(sides) <= set(KERNELS) and conv.stride == (1, 1) and conv.dilation == (1, 1)
            and conv.groups == 1 and conv.padding == tuple(side // 2 for side in sides)
            and min(conv.in_channels, conv.out_channels) >= _FEWEST_CHANNELS)


def replace_convolutions(network: nn.Module) -> None:
    """Puts this form in the place of every convolution that it suits."""
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.Conv2d) and suits(child):
                setattr(module, name, Convolution(child))


# Transforms


@dataclass(frozen=True)
class _Transforms:
    """Along one axis, in float64: of inputs (points, points), of a kernel (points, width), back (outputs, points)."""

    inputs: Tensor
    kernel: Tensor
    back: Tensor


@cache
def _transforms(width: int) -> _Transforms:
    """For a kernel's width: a product of polynomials, known by its values at the points, read backwards."""
    if width == 1:
        one = torch.ones(1, 1, dtype=torch.float64)
        return _Transforms(one, one, one)
    points = _POINTS[width]
    inputs, kernel, back = [], [], []
    for place, point in enumerate(points):
        others = points[:place] + points[place + 1 :]
        scale = Fraction(1)
        for other in others:
            scale *= point - other
        inputs.append([*_with_roots(others), Fraction(0)])
        kernel.append([point**power / scale for power in range(width)])
        back.append([point**power for power in range(OUTPUTS)])
    infinity = Fraction(0), Fraction(1)
    inputs.append(_with_roots(points))
    kernel.append([infinity[0]] * (width - 1) + [infinity[1]])
    back.append([infinity[0]] * (OUTPUTS - 1) + [infinity[1]])
    found = (torch.tensor([[float(value) for value in row] for row in matrix], dtype=torch.float64)
             for matrix in (inputs, kernel, back))
    of_inputs, of_kernel, to_outputs = found
    return _Transforms(of_inputs, of_kernel, to_outputs.T.contiguous())


def _with_roots(roots: Sequence[Fraction]) -> list[Fraction]:
    """Coefficients of the polynomial with these roots, the constant first."""
    found = [Fraction(1)]
    for root in roots:
        found = [below - root * same for below, same in zip([Fraction(0), *found], [*found, Fraction(0)], strict=True)]
    return found
