"""Optical flow by RAFT, with the arithmetic of VBench's Dynamic Degree.

The network is torchvision's, under princeton-vl's original weights: same flow, given the same file.
"""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn import functional

from pvbench.errors import VideoError, WeightsError
from pvbench.features.cpu.convolutions import Seen, replace_convolutions, same_convolution
from pvbench.features.flow import Flow
from pvbench.torchvision_shim import load_torchvision
from pvbench.weights.checkpoint import read_checkpoint

UPDATES = 20
"""Refinements of each flow, as VBench asks for; torchvision's own number is 12."""

FASTEST = 0.05
"""The share of pixels whose magnitudes `Flow.top5` averages."""

MIN_SIDE = 128
"""Below this the coarsest of the four correlation maps has one entry a side, and the flow is NaN."""

STRIDE = 8
"""The network works at an eighth of the frame."""

MAX_PAIRS = 8
"""Pairs of frames at once, where they are small enough."""

MAX_CORRELATIONS = 2**27
"""Entries of all pairs' correlation maps at once, 512 MiB; frames so large that one pair has more go one by one."""

_PRINCETON_TO_TORCHVISION = (
    (r"^fnet\.", "feature_encoder."),
    (r"^cnet\.", "context_encoder."),
    (r"_encoder\.conv1\.", "_encoder.convnormrelu.0."),
    (r"_encoder\.norm1\.", "_encoder.convnormrelu.1."),
    (r"_encoder\.conv2\.", "_encoder.conv."),
    (r"(layer\d\.\d)\.conv(\d)\.", r"\1.convnormrelu\2.0."),
    (r"(layer\d\.\d)\.norm(\d)\.", r"\1.convnormrelu\2.1."),
    (r"^update_block\.encoder\.conv\.", "update_block.motion_encoder.conv.0."),
    (r"^update_block\.encoder\.convc(\d)\.", r"update_block.motion_encoder.convcorr\1.0."),
    (r"^update_block\.encoder\.convf(\d)\.", r"update_block.motion_encoder.convflow\1.0."),
    (r"^update_block\.gru\.conv([zrq])\.", r"update_block.recurrent_block.convgru1.conv\1."),
    (r"^update_block\.gru\.conv([zrq])(\d)\.", r"update_block.recurrent_block.convgru\2.conv\1."),
    (r"^update_block\.mask\.0\.", "mask_predictor.convrelu.0."),
    (r"^update_block\.mask\.2\.", "mask_predictor.conv."),
)


def working_size(height: int, width: int) -> tuple[int, int]:
    """The height and width at which RAFT sees frames, before they are padded to multiples of 8.

    The frames' own, unless their short side is below 128 even when padded: then both sides grow by the smallest
    factor that makes it 128.
    """
    short = min(height, width)
    if math.ceil(short / STRIDE) * STRIDE >= MIN_SIDE:
        return height, width
    return round(height * MIN_SIDE / short), round(width * MIN_SIDE / short)


def pairs_at_once(height: int, width: int) -> int:
    """How many pairs of frames of a working size go through the network together, so that memory is bounded."""
    cells = math.ceil(height / STRIDE) * math.ceil(width / STRIDE)
    return min(MAX_PAIRS, max(1, MAX_CORRELATIONS // cells**2))


class Raft:
    """Flow between consecutive frames of a video."""

    def __init__(self, network: nn.Module, device: torch.device) -> None:
        self.network: Any = network.to(device).requires_grad_(False).eval()
        self.device = device
        block: Any = self.network.update_block
        self._units = [_Unit(unit, block.motion_encoder.out_channels) for unit in block.recurrent_block.children()]
        self._head = _FlowHead(block.flow_head)
        parts: Any = (
            self.network.feature_encoder,
            self.network.context_encoder,
            block.motion_encoder,
            self.network.mask_predictor,
        )
        self._features, self._context, self._motion, self._mask = (_prepared(part, device) for part in parts)

    def __call__(self, frames: UInt8[np.ndarray, "frames height width 3"]) -> Flow:
        """Flow magnitudes of consecutive frames, in pixels of the frames; empty arrays for fewer than two frames.

        Both numbers are over the padded field. `top5` averages the largest int(5 %) of the magnitudes.

        Frames whose padded short side is below 128 are first enlarged to `working_size`, bilinearly, and their flow
        is divided by the enlargement: pixels remain those of the frames given. VBench feeds such frames as they are,
        gets NaN and calls them static.

        Source: Vchitect/VBench@45e79ec dynamic_degree.py. Departures: small frames, above; each frame is encoded
            once and not once per pair, several pairs go through the network together, and what the context adds to
            each update is made once: all this moves the last digits.
        """
        top5, mean = [], []
        for field in self.fields(frames):
            sizes = field.square().sum(dim=1).sqrt().flatten(1)
            top5.append(sizes.topk(int(sizes.shape[1] * FASTEST), sorted=False).values.mean(dim=1))
            mean.append(sizes.mean(dim=1))
        if not top5:
            return Flow(np.empty(0, np.float32), np.empty(0, np.float32))
        return Flow(torch.cat(top5).cpu().numpy(), torch.cat(mean).cpu().numpy())

    @torch.no_grad()
    def fields(
        self, frames: UInt8[np.ndarray, "frames height width 3"]
    ) -> Iterator[Float[Tensor, "pairs 2 padded_height padded_width"]]:
        """The flow (x, y) of each pair over the padded frame, some pairs at a time, in pixels of the frames given.

        Raises:
            VideoError: the memory does not hold what frames of this size take.
        """
        if len(frames) < 2:
            return
        height, width = frames.shape[1:3]
        size = working_size(height, width)
        scale = torch.tensor([width / size[1], height / size[0]], device=self.device)[:, None, None]
        pairs = pairs_at_once(*size)
        try:
            last = self._features(self._images(frames[:1], size))
            for start in range(0, len(frames) - 1, pairs):
                images = self._images(frames[start : start + pairs + 1], size)
                maps = torch.cat([last, self._features(images[1:])])
                yield self._flow(maps[:-1], maps[1:], self._context(images[:-1])) * scale
                last = maps[-1:]
        except RuntimeError as error:
            # torch has no other sign of a CPU's memory being used up.
            if "memory" not in str(error):
                raise
            raise VideoError(
                f"frames of {width}x{height} pixels are too large for RAFT and the memory there is: "
                f"scale the video down, or leave out the metrics that need flow"
            ) from error

    def _images(self, frames: np.ndarray, size: tuple[int, int]) -> Tensor:
        """Frames in [-1, 1], enlarged to the size, padded on all sides to multiples of 8."""
        # A copy: frames may be a view, or read-only as Pillow's are, and torch warns of those.
        images = torch.from_numpy(np.array(frames, order="C")).to(self.device).permute(0, 3, 1, 2).float()
        if images.shape[2:] != size:
            images = functional.interpolate(images, size=size, mode="bilinear", align_corners=False)
        down, right = (-side % STRIDE for side in size)
        sides = (right // 2, right - right // 2, down // 2, down - down // 2)
        return functional.pad(images / 127.5 - 1, sides, mode="replicate")

    def _flow(self, before: Tensor, after: Tensor, context: Tensor) -> Tensor:
        """Flow from feature maps: what torchvision's RAFT does after its encoders, enlarging the last flow alone."""
        from torchvision.models.optical_flow._utils import make_coords_grid, upsample_flow

        correlations = Correlations(before, after, self.network.corr_block.radius, self.network.corr_block.num_levels)
        size = self.network.update_block.hidden_state_size
        hidden, constant = (
            Seen(part.permute(0, 2, 3, 1)) for part in (context[:, :size].tanh(), context[:, size:].relu())
        )
        of_context = [unit.of_context(constant) for unit in self._units]
        start = make_coords_grid(len(before), *before.shape[2:]).to(self.device)
        found = start
        for _ in range(UPDATES):
            motion = Seen(self._motion(found - start, correlations.around(found)).permute(0, 2, 3, 1))
            for unit, given in zip(self._units, of_context, strict=True):
                hidden = Seen(unit(hidden, motion, given))
            found = found + self._head(hidden).permute(0, 3, 1, 2)
        mask = None if self._mask is None else self._mask(hidden.images.permute(0, 3, 1, 2))
        result: Tensor = upsample_flow(found - start, mask)
        return result


def _prepared(part: nn.Module | None, device: torch.device) -> Any:
    """A part of the network with the convolutions that suit the device."""
    if part is None or device.type != "cpu":
        return part
    found = copy.deepcopy(part)
    replace_convolutions(found)
    return found


class _FlowHead:
    """What a hidden state adds to the flow."""

    def __init__(self, head: Any) -> None:
        self._first, self._second = (same_convolution(conv.weight) for conv in (head.conv1, head.conv2))
        self._biases = head.conv1.bias, head.conv2.bias

    def __call__(self, hidden: Seen) -> Float[Tensor, "n height width 2"]:
        wide = (self._first.of(hidden.by(self._first)) + self._biases[0]).relu_()
        found: Tensor = self._second.of(self._second.spread(wide)) + self._biases[1]
        return found


class Correlations:
    """How alike each place of one feature map and each of another are, at several scales of the other.

    The values of torchvision's `CorrBlock` in half the time on a CPU: its interpolation takes every number of a window
    by itself, where one fraction of a pixel serves them all.
    """

    def __init__(
        self,
        before: Float[Tensor, "n channels height width"],
        after: Float[Tensor, "n channels height width"],
        radius: int,
        levels: int,
    ) -> None:
        self.radius = radius
        products = torch.bmm(before.flatten(2).transpose(1, 2), after.flatten(2)).div_(math.sqrt(before.shape[1]))
        scales = [products.view(-1, 1, *after.shape[2:])]
        for _ in range(levels - 1):
            scales.append(functional.avg_pool2d(scales[-1], 2))
        self._scales = [scale[:, 0] for scale in scales]

    def around(self, places: Float[Tensor, "n 2 height width"]) -> Float[Tensor, "n levels_windows height width"]:
        """Windows around places (x, y) of the other map, in its cells, one for each place of the first; channels last.

        A window's numbers are ordered by column, then by row; what lies outside of the map counts 0.
        """
        count, _, height, width = places.shape
        x, y = places.transpose(0, 1).flatten(1)
        side = 2 * self.radius + 1
        span = torch.arange(-self.radius, self.radius + 2, device=places.device)
        found = places.new_empty(len(x), len(self._scales), side, side)
        for level, scale in enumerate(self._scales):
            rows, columns = scale.shape[1:]
            left, top = x.floor(), y.floor()
            column, row = (first.long()[:, None] + span for first in (left, top))
            there = [((place >= 0) & (place < size)).float() for place, size in ((column, columns), (row, rows))]
            place = column.clamp_(0, columns - 1)[:, :, None] + (row.clamp_(0, rows - 1) * columns)[:, None, :]
            window = scale.flatten(1).gather(1, place.flatten(1)).view(place.shape)
            window *= there[0][:, :, None]
            window *= there[1][:, None, :]
            window = window[:, :-1].lerp(window[:, 1:], (x - left)[:, None, None])
            found[:, level] = window[:, :, :-1].lerp(window[:, :, 1:], (y - top)[:, None, None])
            x, y = x / 2, y / 2
        return found.view(count, height, width, -1).permute(0, 3, 1, 2)


class _Unit:
    """A recurrent unit of the network; channels come last.

    The context is among its inputs in every update and never changes, so its share of the convolutions, a quarter of
    their work in the small network and a third in the large one, is made once.
    """

    def __init__(self, unit: Any, motion: int) -> None:
        hidden = unit.convz.out_channels
        widths = [hidden, unit.convz.in_channels - hidden - motion, motion]
        gates = torch.cat([unit.convz.weight, unit.convr.weight])
        (self._gates, self._gates_of_context), (self._new, self._new_of_context) = (
            self._split(weight, widths) for weight in (gates, unit.convq.weight)
        )
        self._biases = torch.cat([unit.convz.bias, unit.convr.bias]), unit.convq.bias

    def _split(self, weight: Tensor, widths: list[int]) -> tuple[Any, Any]:
        """The convolution of hidden state and motion, and that of the context."""
        of_hidden, of_context, of_motion = weight.split(widths, dim=1)
        both = torch.cat([of_hidden, of_motion], dim=1)
        return same_convolution(both, [widths[0], widths[2]]), same_convolution(of_context)

    def of_context(self, context: Seen) -> tuple[Tensor, Tensor]:
        """What a context gives in every update."""
        gates, new = self._gates_of_context, self._new_of_context
        return gates.of(context.by(gates)) + self._biases[0], new.of(context.by(new)) + self._biases[1]

    def __call__(
        self, hidden: Seen, motion: Seen, of_context: tuple[Tensor, Tensor]
    ) -> Float[Tensor, "n height width channels"]:
        """The next hidden state."""
        gates = self._gates.of(hidden.by(self._gates), motion.by(self._gates)) + of_context[0]
        update, reset = gates.sigmoid_().chunk(2, dim=-1)
        kept = self._new.spread(reset * hidden.images)
        new = (self._new.of(kept, motion.by(self._new)) + of_context[1]).tanh_()
        return torch.lerp(hidden.images, new, update)


def load_raft(path: Path, device: torch.device) -> Raft:
    """RAFT out of a checkpoint: `raft-things.pth`, `raft-small.pth` or another of princeton-vl's, or torchvision's.

    Whether it is the large or the small network shows in the checkpoint's names. Nothing in the file is run.

    Raises:
        WeightsError: the file is missing or damaged, holds code, or its names or shapes fit neither network.
    """
    state = _torchvision_names(read_checkpoint(path, "raft-things.pth of princeton-vl/RAFT (models.zip)"))
    size = "large" if "mask_predictor.conv.weight" in state else "small"
    network = getattr(load_torchvision().models.optical_flow, f"raft_{size}")(weights=None)
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        complaint = " ".join(str(error).split())[:300]
        raise WeightsError(
            f"{path} does not fit RAFT ({size}, judged by its names): {complaint}; expected raft-things.pth or "
            f"raft-small.pth of princeton-vl/RAFT (models.zip), or torchvision's raft_large or raft_small"
        ) from error
    return Raft(network, device)


def _torchvision_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """princeton-vl's names in torchvision's words; torchvision's own are left as they are."""
    renamed = {}
    for name, value in state.items():
        # The shortcut's normalisation, which princeton-vl lists a second time as downsample.1.
        if re.search(r"net\.layer\d\.\d\.norm3\.", name):
            continue
        for pattern, new in _PRINCETON_TO_TORCHVISION:
            name = re.sub(pattern, new, name)
        renamed[name] = value
    return renamed
