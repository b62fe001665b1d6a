"""CurricularFace, the face recogniser that OpenS2V-Eval and ConsisID report.

Written from the network's description and the names of its tensors; no code is taken over.
"""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn import functional

from pvbench.errors import WeightsError

SIDE = 112
BLOCKS = (3, 13, 30, 3)
"""Of IR-101: residual blocks on each level, of 64, 128, 256 and 512 channels."""


class _Block(nn.Module):
    """Two convolutions beside a shortcut; the second one, and the shortcut, step by the stride."""

    def __init__(self, narrow: int, wide: int, stride: int) -> None:
        super().__init__()
        self.shortcut_layer: nn.Module = nn.MaxPool2d(1, stride)
        if narrow != wide:
            self.shortcut_layer = nn.Sequential(nn.Conv2d(narrow, wide, 1, stride, bias=False), nn.BatchNorm2d(wide))
        self.res_layer = nn.Sequential(
            nn.BatchNorm2d(narrow),
            nn.Conv2d(narrow, wide, 3, 1, 1, bias=False),
            nn.BatchNorm2d(wide),
            nn.PReLU(wide),
            nn.Conv2d(wide, wide, 3, stride, 1, bias=False),
            nn.BatchNorm2d(wide),
        )

    def forward(self, images: Tensor) -> Tensor:
        found: Tensor = self.shortcut_layer(images) + self.res_layer(images)
        return found


class CurricularFace(nn.Module):
    """Improved residual network IR-101 of TFace, with the names of its checkpoint's tensors.

    Attributes:
        size: of an embedding.

    Source: Huang et al., CVPR 2020; Tencent/TFace, recognition/torchkit/backbone/model_irse.py.
    """

    def __init__(self, blocks: Sequence[int] = BLOCKS, width: int = 64, size: int = 512) -> None:
        super().__init__()
        self.size = size
        self.input_layer = nn.Sequential(
            nn.Conv2d(3, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.PReLU(width)
        )
        body: list[nn.Module] = []
        channels = width
        for level, count in enumerate(blocks):
            wide = width << level
            body += [_Block(channels if i == 0 else wide, wide, 2 if i == 0 else 1) for i in range(count)]
            channels = wide
        self.body = nn.Sequential(*body)
        side = SIDE >> len(blocks)
        self.output_layer = nn.Sequential(
            nn.BatchNorm2d(channels),
            nn.Dropout(0.4),
            nn.Flatten(),
            nn.Linear(channels * side * side, size),
            nn.BatchNorm1d(size, affine=False),
        )

    def forward(self, images: Float[Tensor, "n 3 112 112"]) -> Float[Tensor, "n size"]:
        """Embeddings of aligned faces in [-1, 1], not normalised."""
        found: Tensor = self.output_layer(self.body(self.input_layer(images)))
        return found

    @torch.no_grad()
    def embed(self, faces: UInt8[Tensor, "n 112 112 3"]) -> Float[Tensor, "n size"]:
        """Embeddings of unit length of aligned RGB faces."""
        images = (faces.permute(0, 3, 1, 2).float() / 255 - 0.5) / 0.5
        return functional.normalize(self(images), dim=-1)


def load_curricularface(path: Path, device: torch.device, network: CurricularFace | None = None) -> CurricularFace:
    """The network of a checkpoint, frozen, on a device; only tensors are read.

    Args:
        network: to be filled; IR-101 by default.

    Raises:
        WeightsError: the file is missing, damaged, or another network's.
    """
    network = network or CurricularFace()
    what = "expected glint360k_curricular_face_r101_backbone.bin, as ConsisID and OpenS2V-Eval give it out"
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
        raise WeightsError(f"{path} cannot be read as a checkpoint ({error}); {what}") from error
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise WeightsError(f"{path} is not a table of tensors; {what}")
    wanted = network.state_dict()
    lacks, extra = sorted(wanted.keys() - state.keys()), sorted(state.keys() - wanted.keys())
    other = [name for name in wanted.keys() & state.keys() if wanted[name].shape != state[name].shape]
    if lacks or extra or other:
        raise WeightsError(
            f"{path} does not fit CurricularFace's IR-101: it lacks {len(lacks)} tensors ({', '.join(lacks[:2])}), has "
            f"{len(extra)} others ({', '.join(extra[:2])}) and {len(other)} of another shape; {what}"
        )
    network.load_state_dict(state)
    return network.to(device).requires_grad_(False).eval()
