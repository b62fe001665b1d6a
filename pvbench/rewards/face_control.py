"""What a face control reads of a photo: the head by itself, the recogniser's vector and an image encoder's states."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from pvbench.errors import FaceError, WeightsError
from pvbench.features.face import CROP, crop_faces
from pvbench.features.mini.face_networks import FaceDetector
from pvbench.pixels import photo_tensor
from pvbench.reward import FaceControl, FaceSeen, PersonSegmenter
from pvbench.rewards.face_adapter import image_encoder
from pvbench.rewards.photos import only_faces

CONTROL, LORA, CONFIG = "face_control.safetensors", "pytorch_lora_weights.safetensors", "config.json"
"""The files of a control's folder; diffusers' `load_lora_weights` reads the second."""
_HEAD_PIXELS = 16
"""A head of fewer is none."""


class FaceReader:
    """Detector, segmenter, recogniser and image encoder of a control, frozen.

    As published the head is aligned, its background painted white, its hair kept and its colour kept in the picture;
    the image encoder sees it in grey, and the recogniser's vector is taken as the network gives it.

    Source: Yuan et al., "ConsisID", 2024; ConsisID@60429e4. What is read there at one crop is read here at two, since
    the image encoder was trained on tighter ones.

    Args:
        encoder: transformers' `CLIPVisionModelWithProjection`.
        spread: of the head's crop; that of the encoder is 1.
        depths: which of the encoder's hidden states are read.
    """

    def __init__(
        self,
        segmenter: PersonSegmenter,
        recogniser: nn.Module,
        encoder: Any,
        spread: float,
        depths: tuple[int, ...] = (2, 3, 4),
    ) -> None:
        self.segmenter, self.recogniser, self.encoder = segmenter, recogniser, encoder
        self.spread, self.depths = spread, depths

    @torch.no_grad()
    def heads(
        self, images: Float[Tensor, "n 3 H W"], landmarks: Float[Tensor, "n 5 2"], height: int, width: int
    ) -> Float[Tensor, "n 3 {height} {width}"]:
        """Aligned heads on white (n, 3, height, width), in colour and with hair.

        Args:
            images: (n, 3, H, W) in [-1, 1].
            landmarks: (n, 5, 2) pixels.
        """
        side = min(height, width)
        found = crop_faces(self._alone(images), landmarks, side, self.spread)
        if (height, width) != (side, side):
            found = functional.interpolate(found, size=(height, width), mode="bilinear", align_corners=False)
        return found.clamp(-1, 1)

    def _alone(self, images: Float[Tensor, "n 3 H W"]) -> Float[Tensor, "n 3 H W"]:
        share = self.segmenter.head(images)
        return images * share + (1 - share)

    @torch.no_grad()
    def local(
        self, images: Float[Tensor, "n 3 H W"], landmarks: Float[Tensor, "n 5 2"]
    ) -> tuple[Float[Tensor, "n d"], tuple[Float[Tensor, "n length width"], ...]]:
        """The face's vectors (n, d) and the encoder's hidden states (n, length, width)."""
        side = int(self.encoder.config.image_size)
        grey = crop_faces(self._alone(images), landmarks, side).mean(dim=1, keepdim=True).expand(-1, 3, -1, -1)
        seen = self.encoder(grey, output_hidden_states=True)
        whose = self.recogniser(crop_faces(images, landmarks, CROP))
        identity = torch.cat([whose, functional.normalize(seen.image_embeds, dim=-1)], dim=-1)
        return identity, tuple(seen.hidden_states[depth] for depth in self.depths)


class NetworkFaceControl(FaceControl):
    """A reader and what was trained to read it."""

    def __init__(
        self,
        detector: FaceDetector,
        reader: FaceReader,
        tensors: Mapping[str, Tensor],
        lora: Mapping[str, Tensor],
        device: torch.device,
    ) -> None:
        self.detector, self.reader, self.device = detector, reader, device
        self.tensors, self.lora = tensors, lora

    def see(self, photo: NDArray[np.uint8], height: int, width: int) -> FaceSeen:
        """The head on white, the face's vector and the encoder's states.

        Raises:
            FaceError: the photo shows no face or head, or more than one face.
        """
        images = photo_tensor([photo], height, width, self.device)
        landmarks = only_faces(self.detector, images)
        if int((self.reader.segmenter.head(images) > 0.5).sum()) < _HEAD_PIXELS:
            raise FaceError(
                "reference photo 1 shows no head that the segmenter finds; expected one person, whose whole head is "
                "seen: replace the photo"
            )
        identity, states = self.reader.local(images, landmarks)
        return FaceSeen(self.reader.heads(images, landmarks, height, width), identity, states)


def load_face_control(
    detector: FaceDetector,
    segmenter: PersonSegmenter,
    recogniser: nn.Module,
    encoder: Path,
    control: Path,
    device: torch.device,
) -> NetworkFaceControl:
    """The control out of the folder of its image encoder, in transformers' layout, and that of its tensors.

    Raises:
        WeightsError: a file is missing or cannot be read.
    """
    try:
        config = json.loads((control / CONFIG).read_text())
        tensors, lora = (load_file(control / name) for name in (CONTROL, LORA))
        reader = FaceReader(segmenter, recogniser, image_encoder(encoder, device), float(config["spread"]))
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise WeightsError(f"{encoder} and {control} do not load as a face control: {error}") from error
    return NetworkFaceControl(detector, reader, tensors, lora, device)
