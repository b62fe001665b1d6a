"""Convolutions in the forms that are fastest on a CPU, first of all Winograd's, which takes fewer multiplications.

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
    4: (Fraction(0), Fraction(1), Fraction(-1), Fraction(2), Fraction(-1, 2), Fraction(-2)),
    5: (Fraction(0), Fraction(1), Fraction(-1), Fraction(2), Fraction(-2), Fraction(1, 2), Fraction(-1, 2)),
}
"""By the kernel's width: where polynomials are evaluated, and infinity."""

KERNELS = (1, *_POINTS)
"""Widths of a kernel along an axis that there are transforms for."""

_FEWEST_CHANNELS = 32
"""With fewer, the transforms take what the products save."""

_FEWEST_OUTPUTS = 8
"""With fewer outputs than this, products first and sums then are the faster way."""

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
    """A convolution of stride 1 whose output has the size of its input, zeros around it: SAME, the odd one behind.

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
        return self.gather(self.products(*parts), parts[0].shape)

    def __call__(self, images: Float[Tensor, "n height width channels"]) -> Float[Tensor, "n height width outputs"]:
        """What comes of an input in one part."""
        return self.by_strips(images, self.of)

    def by_strips(
        self, images: Float[Tensor, "n height width channels"], convolve: Callable[[Spread], Tensor]
    ) -> Float[Tensor, "_ height width outputs"]:
        """What `convolve` makes of an input, some rows of tiles at a time, so that they fit a cache."""
        count, height, width, channels = images.shape
        windows = self._windows(images)
        of_a_row = count * windows.shape[2] * len(self._of_inputs) * max(channels, self._kernels[0].shape[2])
        rows = max(1, round(_STRIP / of_a_row))
        strips = []
        for first in range(0, windows.shape[1], rows):
            strip = windows[:, first : first + rows]
            high = min(height - first * self.outputs[0], strip.shape[1] * self.outputs[0])
            strips.append(convolve(self._spread(strip, (count, high, width))))
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
            before = (wide - 1) // 2
            sides += [before, -size % step + wide - 1 - before]
        found = functional.pad(images, (0, 0, *sides))
        for axis, (size, step) in enumerate(zip(self.points, self.outputs, strict=True), start=1):
            found = found.unfold(axis, size, step)
        return found

    def _spread(self, windows: Tensor, shape: tuple[int, int, int]) -> Spread:
        channels = windows.shape[3]
        flat = windows.permute(4, 5, 0, 1, 2, 3).reshape(len(self._of_inputs), -1)
        return Spread((self._of_inputs @ flat).view(len(flat), -1, channels), shape)

    def gather(
        self, products: Float[Tensor, "points tiles outputs"], shape: tuple[int, int, int]
    ) -> Float[Tensor, "n height width outputs"]:
        """Transformed tiles of an output back into it; `shape` is n, height and width."""
        count, height, width = shape
        down, right = self.outputs
        rows, columns = -(-height // down), -(-width // right)
        found = (self._back @ products.flatten(1)).view(down, right, count, rows, columns, -1)
        found = found.permute(2, 3, 0, 4, 1, 5).reshape(count, rows * down, columns * right, -1)
        return found[:, :height, :width]


class Narrow:
    """The same with few outputs: the products of every place with all of the kernel, then their sums; one part."""

    def __init__(self, weight: Float[Tensor, "outputs inputs height width"]) -> None:
        self.kernel = tuple(weight.shape[2:])
        self._outputs = len(weight)
        self._matrix = weight.permute(2, 3, 0, 1).flatten(0, 2).contiguous()

    def spread(self, images: Float[Tensor, "n height width channels"]) -> Float[Tensor, "n height width channels"]:
        """The input as it is."""
        return images

    def of(self, images: Float[Tensor, "n height width channels"]) -> Float[Tensor, "n height width outputs"]:
        """What comes of an input."""
        (high, wide), (height, width) = self.kernel, images.shape[1:3]
        products = functional.linear(images, self._matrix)
        around = [(side - 1) // 2 for side in (wide, high)]
        padded = functional.pad(products, (0, 0, around[0], wide - 1 - around[0], around[1], high - 1 - around[1]))
        taps = padded.unflatten(-1, (high, wide, self._outputs))
        shifted = [
            taps[:, row : row + height, column : column + width, row, column]
            for row in range(high)
            for column in range(wide)
        ]
        return torch.stack(shifted).sum(dim=0)


class Direct:
    """The same by torch, for devices that have a fast one."""

    def __init__(self, weight: Float[Tensor, "outputs inputs height width"], parts: Sequence[int] = ()) -> None:
        self.kernel = tuple(weight.shape[2:])
        self._weight, self._padding = weight, [side // 2 for side in weight.shape[2:]]

    def spread(self, images: Float[Tensor, "n height width channels"]) -> Float[Tensor, "n channels height width"]:
        """A part of the input, ready to be convolved."""
        return images.permute(0, 3, 1, 2)

    def of(self, *parts: Float[Tensor, "n _ height width"]) -> Float[Tensor, "n height width outputs"]:
        """What comes of the input's parts."""
        together = parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)
        return functional.conv2d(together, self._weight, padding=self._padding).permute(0, 2, 3, 1)


def same_convolution(weight: Float[Tensor, "outputs inputs height width"], parts: Sequence[int] = ()) -> Any:
    """A convolution of stride 1 in the form that suits its outputs and the device that its weights are on."""
    if weight.device.type != "cpu":
        return Direct(weight, parts)
    return Narrow(weight) if len(weight) < _FEWEST_OUTPUTS and not parts else Winograd(weight, parts)


class Seen:
    """Images that several convolutions see: spread once for each size of kernel."""

    def __init__(self, images: Float[Tensor, "n height width channels"]) -> None:
        self.images = images
        self._spreads: dict[Any, Any] = {}

    def by(self, form: Any) -> Any:
        """The images, spread for a convolution."""
        if form.kernel not in self._spreads:
            self._spreads[form.kernel] = form.spread(self.images)
        return self._spreads[form.kernel]


class Winograd3d:
    """A convolution of stride 1 over volumes, kernel 3 x 3 x 3, whose output has the size of its input.

    Each frame is spread once, and goes into the three that it touches.
    """

    def __init__(self, weight: Float[Tensor, "outputs inputs 3 3 3"]) -> None:
        self._before, self._same, self._after = (Winograd(weight[:, :, time]) for time in range(3))

    def __call__(
        self, volume: Float[Tensor, "frames height width channels"]
    ) -> Float[Tensor, "frames height width outputs"]:
        """What comes of one volume."""
        return self._same.by_strips(volume, self._convolved)

    def _convolved(self, frames: Spread) -> Tensor:
        tiles = frames.values.shape[1] // frames.shape[0]
        products = self._same.products(frames)
        self._before.products(Spread(frames.values[:, :-tiles], frames.shape), onto=products[:, tiles:])
        self._after.products(Spread(frames.values[:, tiles:], frames.shape), onto=products[:, :-tiles])
        return self._same.gather(products, frames.shape)


class WinogradHalving:
    """A convolution over volumes, kernel 7 x 7 x 7, that halves their sizes: stride 2, SAME padding.

    The even and the odd rows and columns are four images of half the size, and the kernel is one of 4 x 4 over them.
    Every frame is spread once: frames lie beside each other as channels do, so that seven of them are one slice.
    """

    def __init__(self, weight: Float[Tensor, "outputs inputs 7 7 7"]) -> None:
        outputs, self._inputs = weight.shape[:2]
        halves = functional.pad(weight, (0, 1, 0, 1)).view(outputs, self._inputs, 7, 4, 2, 4, 2)
        # By frame, by half of rows and of columns, by channel.
        kernel = halves.permute(0, 2, 4, 6, 1, 3, 5).reshape(outputs, 7 * 4 * self._inputs, 4, 4)
        self._form = Winograd(kernel)

    def __call__(
        self, volume: Float[Tensor, "frames height width channels"]
    ) -> Float[Tensor, "half_frames half_height half_width outputs"]:
        """What comes of one volume of even height and width.

        Raises:
            ValueError: its height or width is odd.
        """
        frames, height, width, inputs = volume.shape
        if height % 2 or width % 2:
            raise ValueError(f"expected an even height and width, got {height} x {width}")
        of_frame = 4 * inputs
        halves = volume.view(frames, height // 2, 2, width // 2, 2, inputs).permute(1, 3, 0, 2, 4, 5)
        around = 5 if frames % 2 == 0 else 6
        image = functional.pad(halves.flatten(2), (around // 2 * of_frame, (around - around // 2) * of_frame))

        def convolved(spread: Spread) -> Tensor:
            starts = range(0, -(-frames // 2) * 2 * of_frame, 2 * of_frame)
            return torch.cat(
                [
                    self._form.of(Spread(spread.values[:, :, start : start + 7 * of_frame], spread.shape))
                    for start in starts
                ]
            )

        return self._form.by_strips(image[None], convolved)


class Convolution(nn.Module):
    """A convolution in the place of torch's, for inference on a CPU; a kernel of 1 x 1 is a product of matrices."""

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.form = Winograd(conv.weight) if max(conv.kernel_size) > 1 else None
        self.weight, self.bias = conv.weight.flatten(1), conv.bias

    def forward(self, images: Float[Tensor, "n inputs height width"]) -> Float[Tensor, "n outputs height width"]:
        """What torch's own convolution gives, within rounding."""
        last = images.permute(0, 2, 3, 1)
        if self.form is None:
            return functional.linear(last, self.weight, self.bias).permute(0, 3, 1, 2)
        found = self.form(last)
        return (found if self.bias is None else found.add_(self.bias)).permute(0, 3, 1, 2)


def suits(conv: nn.Conv2d) -> bool:
    """Whether a convolution is one that has this form and gains by it."""
    sides = conv.kernel_size
    return (
        set(sides) <= set(KERNELS)
        and all(side % 2 for side in sides)
        and conv.stride == conv.dilation == (1, 1)
        and conv.groups == 1
        and conv.padding == tuple(side // 2 for side in sides)
        and conv.padding_mode == "zeros"
        and min(conv.in_channels, conv.out_channels) >= _FEWEST_CHANNELS
    )


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
        same = torch.ones(1, 1, dtype=torch.float64)
        return _Transforms(same, same, same)
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
    # At infinity a polynomial has its highest coefficient.
    zero, one = Fraction(0), Fraction(1)
    inputs.append(_with_roots(points))
    kernel.append([zero] * (width - 1) + [one])
    back.append([zero] * (OUTPUTS - 1) + [one])
    of_inputs, of_kernel, to_outputs = (
        torch.tensor([[float(value) for value in row] for row in matrix], dtype=torch.float64)
        for matrix in (inputs, kernel, back)
    )
    return _Transforms(of_inputs, of_kernel, to_outputs.T.contiguous())


def _with_roots(roots: Sequence[Fraction]) -> list[Fraction]:
    """Coefficients of the polynomial with these roots, the constant first."""
    found = [Fraction(1)]
    for root in roots:
        found = [below - root * same for below, same in zip([Fraction(0), *found], [*found, Fraction(0)], strict=True)]
    return found
