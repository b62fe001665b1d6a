"""ID-Animator's published checkpoint, brought into the form of IP-Adapter and of a LoRA when it is loaded."""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from pvbench.errors import WeightsError
from pvbench.features.published.insightface_faces import InsightFaces, alignment, warp_affine
from pvbench.reward import PhotoPrompt
from pvbench.rewards.face_adapter import encoded, image_encoder
from pvbench.weights.checkpoint import unwrapped

LAYERS = tuple(
    f"{block}.attentions.{number}.transformer_blocks.0.attn2"
    for block, count in (
        *((f"down_blocks.{level}", 2) for level in range(3)),
        *((f"up_blocks.{level}", 3) for level in range(1, 4)),
        ("mid_block", 1),
    )
    for number in range(count)
)
"""The cross-attention layers of Stable Diffusion 1.5, in the order in which IP-Adapter and ID-Animator count them."""
_CROP = 112
_MEAN, _DEVIATION = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
"""Of the colours that OpenAI's CLIP was trained on."""
_NAMED = re.compile(r"(\d+)\.to_(?:(k|v)_face|(q|k|v|out)_lora\.(down|up))\.weight")


def converted(
    checkpoint: Mapping[str, Any], layers: Sequence[str] = LAYERS
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """A checkpoint's tensors under the names that diffusers' loaders of IP-Adapters and of LoRAs read.

    Keys and values for the face stay as they are. The LoRA beside them has no alpha, which is a scale of 1.

    Args:
        checkpoint: `image_proj` and `face_adapter`, or a `state_dict` of `image_proj_model.` and `adapter_modules.`.
        layers: cross-attention layers in the order of counting; the n-th has the number 2n + 1 in the checkpoint.

    Raises:
        WeightsError: it is another model's.
    """
    projection, modules = _parts(checkpoint)
    numbers = {2 * n + 1: layer for n, layer in enumerate(layers)}
    tensors = {f"image_proj.{key}": value for key, value in projection.items()}
    lora: dict[str, Tensor] = {}
    strange = []
    for key, value in modules.items():
        found = _NAMED.fullmatch(key)
        number = int(found[1]) if found else -1
        if not found or number not in numbers:
            strange.append(key)
        elif found[2]:
            tensors[f"ip_adapter.{number}.to_{found[2]}_ip.weight"] = value
        else:
            place = "to_out.0" if found[3] == "out" else f"to_{found[3]}"
            side = "lora_A" if found[4] == "down" else "lora_B"
            lora[f"unet.{numbers[number]}.{place}.{side}.weight"] = value
    expected = (2 * len(layers), 8 * len(layers))
    if strange or not projection or (len(tensors) - len(projection), len(lora)) != expected:
        raise WeightsError(
            f"the checkpoint has {len(tensors) - len(projection)} keys and values, {len(lora)} tensors of a LoRA and "
            f"{len(strange)} that have no place ({', '.join(strange[:2]) or 'none'}); ID-Animator's for Stable "
            f"Diffusion 1.5 has {expected[0]}, {expected[1]} and none"
        )
    return tensors, lora


def _parts(checkpoint: Mapping[str, Any]) -> tuple[Mapping[str, Tensor], Mapping[str, Tensor]]:
    if "state_dict" not in checkpoint:
        return checkpoint.get("image_proj", {}), checkpoint.get("face_adapter", {})
    state = unwrapped(checkpoint["state_dict"], "the checkpoint")

    def below(prefix: str) -> dict[str, Tensor]:
        return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}

    return below("image_proj_model."), below("adapter_modules.")


class AnimatorPrompt(PhotoPrompt):
    """The pack that finds faces, CLIP's image encoder, and the checkpoint's tensors, frozen.

    Source: ID-Animator@4f5a277 infer.py and faceadapter/face_adapter.py. Where its script takes the detector's first
    face, a photo here must show exactly one.

    Args:
        encoder: transformers' `CLIPVisionModelWithProjection`; the published one is ViT-H/14.
    """

    def __init__(
        self,
        faces: InsightFaces,
        encoder: Any,
        tensors: Mapping[str, Tensor],
        lora: Mapping[str, Tensor],
        device: torch.device,
    ) -> None:
        self.faces, self.encoder, self.tensors, self.lora, self.device = faces, encoder, tensors, lora, device
        self.side = int(encoder.config.image_size)

    def states(
        self, photos: Sequence[NDArray[np.uint8]], height: int, width: int
    ) -> Float[Tensor, "photos length width"]:
        """The last but one hidden state of each photo's face: (photos, 257, 1280).

        Raises:
            FaceError: a photo shows no face, or more than one.
        """
        found = self.faces.reference([np.ascontiguousarray(photo) for photo in photos])
        crops = [self.seen(*each) for each in zip(photos, found.landmarks, found.box, strict=True)]
        return encoded(self.encoder, torch.stack(crops).to(self.device))

    def empty(self) -> Float[Tensor, "1 length width"]:
        """What the encoder makes of zeros, which stand for a picture of mean colour."""
        return encoded(self.encoder, torch.zeros(1, 3, self.side, self.side, device=self.device))

    def seen(
        self, photo: UInt8[np.ndarray, "H W 3"], points: Float[np.ndarray, "5 2"], box: Float[np.ndarray, 4]
    ) -> Float[Tensor, "3 side side"]:
        """The face as the image encoder takes it (3, side, side): aligned at 112 pixels and enlarged.

        Args:
            points: five landmarks; `box`: the detector's.
        """
        return clip_values(warp_affine(np.ascontiguousarray(photo), alignment(points, _CROP), _CROP), self.side)


def clip_values(picture: UInt8[np.ndarray, "H W 3"], side: int) -> Float[Tensor, "3 {side} {side}"]:
    """A picture as CLIP's image encoder takes it (3, side, side)."""
    resized = Image.fromarray(picture).resize((side, side))
    values = (np.asarray(resized, np.float32) / 255 - np.array(_MEAN, np.float32)) / np.array(_DEVIATION, np.float32)
    return torch.from_numpy(values).permute(2, 0, 1)


def load_animator(
    faces: InsightFaces, checkpoint: Path, encoder: Path, device: torch.device, layers: Sequence[str] = LAYERS
) -> AnimatorPrompt:
    """The adapter by its published checkpoint and the folder of its image encoder, in transformers' layout.

    Only tensors are read of the checkpoint, which is a pickle.

    Raises:
        WeightsError: a file is missing, damaged, or another model's.
    """
    what = "expected animator.ckpt of ID-Animator/ID-Animator on huggingface.co"
    try:
        content = torch.load(checkpoint, map_location="cpu", weights_only=True)
        if not isinstance(content, Mapping):
            raise WeightsError(f"it holds a {type(content).__name__}")
        tensors, lora = converted(content, layers)
    except (OSError, RuntimeError, EOFError, ValueError, AttributeError, pickle.UnpicklingError, WeightsError) as error:
        raise WeightsError(f"{checkpoint} cannot be read as ID-Animator's: {error}; {what}") from error
    return AnimatorPrompt(faces, load_image_encoder(encoder, device), tensors, lora, device)


def load_image_encoder(folder: Path, device: torch.device) -> Any:
    """CLIP's image encoder, frozen, out of a folder in transformers' layout.

    Raises:
        WeightsError: the folder holds none.
    """
    try:
        return image_encoder(folder, device)
    except (OSError, ValueError, RuntimeError) as error:
        raise WeightsError(
            f"{folder} does not load as CLIP's image encoder: {error}; expected the folder image_encoder of "
            f"h94/IP-Adapter on huggingface.co, or ID-Animator's own"
        ) from error
