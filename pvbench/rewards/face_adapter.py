"""An adapter that takes photos of a face as a prompt: its image encoder, its tensors, and how a face is cut out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor

from pvbench.errors import WeightsError
from pvbench.features.face import crop_faces
from pvbench.features.mini.face_networks import FaceDetector
from pvbench.pixels import photo_tensor
from pvbench.reward import PhotoPrompt
from pvbench.rewards.photos import only_faces

ADAPTER, LORA, CONFIG = "ip-adapter.safetensors", "pytorch_lora_weights.safetensors", "config.json"
"""The files of an adapter's folder; the first two are what diffusers' loaders read."""


class FaceAdapter(PhotoPrompt):
    """Detector, image encoder and tensors, frozen.

    Source: ID-Animator@0170eed: the last but one hidden state of a CLIP image encoder, of an aligned face.

    Args:
        encoder: transformers' `CLIPVisionModelWithProjection`.
        spread: of the face's crop; 1 is the tight crop of recognisers, as published.
    """

    def __init__(
        self,
        detector: FaceDetector,
        encoder: Any,
        tensors: Mapping[str, Tensor],
        lora: Mapping[str, Tensor],
        spread: float,
        device: torch.device,
    ) -> None:
        self.detector, self.encoder, self.tensors, self.lora = detector, encoder, tensors, lora
        self.spread, self.device = spread, device

    def states(
        self, photos: Sequence[NDArray[np.uint8]], height: int, width: int
    ) -> Float[Tensor, "photos length width"]:
        """What the encoder makes of each photo's face: (photos, length, width).

        Raises:
            FaceError: a photo shows no face, or more than one.
        """
        images = photo_tensor(photos, height, width, self.device)
        side = int(self.encoder.config.image_size)
        return encoded(self.encoder, crop_faces(images, only_faces(self.detector, images), side, self.spread))

    def empty(self) -> Float[Tensor, "1 length width"]:
        """What the encoder makes of a black picture."""
        side = int(self.encoder.config.image_size)
        return encoded(self.encoder, torch.zeros(1, 3, side, side, device=self.device))


@torch.no_grad()
def encoded(encoder: Any, images: Float[Tensor, "n 3 side side"]) -> Float[Tensor, "n length width"]:
    """The last but one hidden state (n, length, width) of images (n, 3, side, side)."""
    found: Tensor = encoder(images, output_hidden_states=True).hidden_states[-2]
    return found


def load_face_adapter(detector: FaceDetector, encoder: Path, adapter: Path, device: torch.device) -> FaceAdapter:
    """The adapter out of the folder of its image encoder, in transformers' layout, and that of its tensors.

    Raises:
        WeightsError: a file is missing or cannot be read.
    """
    try:
        network = image_encoder(encoder, device)
        config = json.loads((adapter / CONFIG).read_text())
        tensors, lora = (load_file(adapter / name) for name in (ADAPTER, LORA))
    except (OSError, ValueError, RuntimeError) as error:
        raise WeightsError(f"{encoder} and {adapter} do not load as a face adapter: {error}") from error
    return FaceAdapter(detector, network, tensors, lora, float(config["spread"]), device)


def image_encoder(folder: Path, device: torch.device) -> Any:
    """A CLIP image encoder in transformers' layout, frozen."""
    from pvbench.torchvision_shim import load_torchvision

    load_torchvision()
    from transformers import CLIPVisionModelWithProjection

    return CLIPVisionModelWithProjection.from_pretrained(folder).float().to(device).requires_grad_(False).eval()
