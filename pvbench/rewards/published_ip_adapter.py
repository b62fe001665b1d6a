"""IP-Adapter's own adapter for faces, "plus face" for Stable Diffusion 1.5, by its published file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from pvbench.errors import WeightsError
from pvbench.features.published.insightface_faces import InsightFaces
from pvbench.rewards.published_animator import AnimatorPrompt, clip_values, load_image_encoder

ROOM = 1.5
"""Side of the square that is cut out, as a multiple of the longer side of the detector's box."""
_PARTS = ("image_proj", "ip_adapter")


class IpAdapterPrompt(AnimatorPrompt):
    """The pack that finds faces, CLIP's image encoder, and the adapter's tensors, frozen.

    The published demonstration is given a picture of a face, cut out by hand; here it is the upright square around the
    detector's box, with half as much room again.
    """

    def seen(
        self, photo: UInt8[np.ndarray, "H W 3"], points: Float[np.ndarray, "5 2"], box: Float[np.ndarray, 4]
    ) -> Float[Tensor, "3 side side"]:
        """The face as the image encoder takes it (3, side, side), grey where the photo ends."""
        middle, half = (box[:2] + box[2:]) / 2, ROOM * float(max(box[2:] - box[:2])) / 2
        corners = [round(float(value)) for value in (*(middle - half), *(middle + half))]
        return clip_values(_cut(photo, *corners), self.side)


def _cut(photo: NDArray[np.uint8], left: int, top: int, right: int, bottom: int) -> NDArray[np.uint8]:
    height, width = photo.shape[:2]
    found = np.full((bottom - top, right - left, 3), 128, np.uint8)
    x0, y0, x1, y1 = max(left, 0), max(top, 0), min(right, width), min(bottom, height)
    found[y0 - top : y1 - top, x0 - left : x1 - left] = photo[y0:y1, x0:x1]
    return found


def load_ip_adapter(faces: InsightFaces, adapter: Path, encoder: Path, device: torch.device) -> IpAdapterPrompt:
    """The adapter by its published file, safetensors or a pickle of tensors, and the folder of its image encoder.

    Raises:
        WeightsError: a file is missing, damaged, or another model's.
    """
    tensors = _tensors(adapter)
    if {key.partition(".")[0] for key in tensors} != set(_PARTS) or not any(".to_k_ip." in key for key in tensors):
        raise WeightsError(
            f"{adapter} is no IP-Adapter: expected tensors named image_proj.* and ip_adapter.*, as in "
            f"models/ip-adapter-plus-face_sd15.safetensors of h94/IP-Adapter"
        )
    return IpAdapterPrompt(faces, load_image_encoder(encoder, device), tensors, {}, device)


def _tensors(path: Path) -> dict[str, Tensor]:
    what = "expected models/ip-adapter-plus-face_sd15.safetensors of h94/IP-Adapter on huggingface.co"
    content: Any
    try:
        if path.suffix == ".safetensors":
            content = load_file(path)
        else:
            content = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path} cannot be read as IP-Adapter's: {error}; {what}") from error
    except Exception as error:
        # A pickle that is damaged or holds code can fail in any way; nothing of it was run.
        raise WeightsError(f"{path} cannot be read as IP-Adapter's: {str(error)[:200]}; {what}") from error
    found = {}
    for name, value in content.items() if isinstance(content, Mapping) else ():
        for key, tensor in value.items() if isinstance(value, Mapping) else (("", value),):
            found[f"{name}.{key}".rstrip(".")] = tensor
    return found
