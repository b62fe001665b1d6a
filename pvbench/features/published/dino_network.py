"""DINO embeddings of whole frames, prepared as VBench's subject consistency prepares them.

The network is timm's, under facebookresearch/dino's original weights, whose names timm kept.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32, UInt8
from torch import Tensor
from torch.nn import functional

from pvbench.errors import WeightsError
from pvbench.torchvision_shim import load_torchvision
from pvbench.weights.blank import Blank
from pvbench.weights.checkpoint import read_checkpoint

SHORT_SIDE = 224
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
_CHUNK = 16
_NETWORKS = {
    (384, 16): "vit_small_patch16_224",
    (384, 8): "vit_small_patch8_224",
    (768, 16): "vit_base_patch16_224",
    (768, 8): "vit_base_patch8_224",
}
"""timm's names, by width and side of a patch."""


class Dino:
    """A DINO vision transformer, frozen."""

    def __init__(self, network: Any, device: torch.device) -> None:
        self.network = network.to(device).requires_grad_(False).eval()
        self.device = device

    @torch.no_grad()
    def __call__(self, frames: UInt8[np.ndarray, "frames height width 3"]) -> Float32[np.ndarray, "frames embedding"]:
        """Unit embeddings of RGB frames: their class tokens after the last normalisation."""
        found = []
        for start in range(0, len(frames), _CHUNK):
            tokens = self._tokens(dino_pixels(frames[start : start + _CHUNK]).to(self.device))
            found.append(functional.normalize(self.network.norm(self.network.blocks(tokens))[:, 0], dim=-1).cpu())
        return torch.cat(found).numpy()

    def _tokens(self, pixels: Float[Tensor, "n 3 height width"]) -> Float[Tensor, "n tokens embedding"]:
        patches = self.network.patch_embed.proj(pixels)
        rows, columns = patches.shape[2:]
        patches = patches.flatten(2).transpose(1, 2)
        class_token = self.network.cls_token.expand(len(pixels), -1, -1)
        square = pixels.shape[2] == pixels.shape[3]
        return torch.cat([class_token, patches], 1) + self._positions(rows, columns, square)

    def _positions(self, rows: int, columns: int, square: bool) -> Float[Tensor, "1 tokens embedding"]:
        """Where the patches are, as DINO has it for pictures of any size.

        Source: facebookresearch/dino@7c446df vision_transformer.py. The tenth of a patch beyond the scale is theirs; it
            shifts the samples a little, and public numbers have it.
        """
        own: Tensor = self.network.pos_embed
        side = round((own.shape[1] - 1) ** 0.5)
        if square and rows == side:
            return own
        grid = own[:, 1:].unflatten(1, (side, side)).permute(0, 3, 1, 2)
        scale = ((rows + 0.1) / side, (columns + 0.1) / side)
        wider = functional.interpolate(grid, scale_factor=scale, mode="bicubic")
        return torch.cat([own[:, :1], wider.flatten(2).transpose(1, 2)], 1)


def dino_pixels(frames: UInt8[np.ndarray, "frames height width 3"]) -> Float32[Tensor, "frames 3 rows columns"]:
    """RGB frames with their short side at 224 pixels, nothing cut off, with ImageNet's mean and deviation.

    Source: Vchitect/VBench@45e79ec utils.py `dino_transform`: whole levels, bilinear, without antialiasing.
    """
    pictures = torch.from_numpy(np.array(frames, order="C")).permute(0, 3, 1, 2)
    resize = load_torchvision().transforms.functional.resize
    small = resize(pictures, [SHORT_SIDE], antialias=False).float() / 255
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (MEAN, STD))
    found: Float32[Tensor, "frames 3 rows columns"] = (small - mean) / std
    return found


def load_dino(path: Path, device: torch.device) -> Dino:
    """DINO out of facebookresearch/dino's `dino_vitbase16_pretrain.pth` or another of its vision transformers.

    Which one shows in the shapes. Nothing in the file is run.

    Raises:
        WeightsError: the file is missing or damaged, holds code, or is no DINO vision transformer.
    """
    state = read_checkpoint(path, "dino_vitbase16_pretrain.pth of facebookresearch/dino")
    shape = tuple(state["patch_embed.proj.weight"].shape) if "patch_embed.proj.weight" in state else ()
    name = _NETWORKS.get((shape[0], shape[-1])) if len(shape) == 4 else None
    if name is None:
        raise WeightsError(
            f"{path} is no DINO vision transformer of width 384 or 768 with patches of 8 or 16 pixels; "
            f"expected facebookresearch/dino's dino_vitbase16_pretrain.pth"
        )
    load_torchvision()
    import timm

    with Blank():
        network = timm.create_model(name, pretrained=False, num_classes=0)
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        complaint = " ".join(str(error).split())[:300]
        raise WeightsError(
            f"{path} does not fit {name}: {complaint}; expected the backbone alone, such as dino_vitbase16_pretrain.pth"
        ) from error
    return Dino(network, device)
