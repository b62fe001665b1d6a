"""CLIP embeddings of frames, face crops and texts, by open_clip."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from pvbench.errors import WeightsError
from pvbench.features.face import crop_faces
from pvbench.torchvision_shim import load_torchvision
from pvbench.weights import verified

FACE_SPREAD = 1.9
FACE_SIZE = 64


def fit(model: Any, images: Tensor) -> Tensor:
    """Images (n, 3, H, W) in the size that an open_clip model sees."""
    side = model.visual.image_size
    side = side if isinstance(side, int) else side[0]
    if tuple(images.shape[-2:]) == (side, side):
        return images
    return functional.interpolate(images, size=(side, side), mode="bilinear", antialias=True, align_corners=False)


class ClipModel:
    """An open_clip model with its tokenizer; frozen."""

    def __init__(self, model: Any, tokenizer: Any, context: int, device: torch.device) -> None:
        self.model, self.tokenizer, self.context, self.device = model, tokenizer, context, device

    @classmethod
    def load(cls, weights: Path, role: str, device: torch.device) -> ClipModel:
        """The mini CLIP of a role, `scoring` or `reward`.

        Raises:
            WeightsError: open_clip cannot load the folder.
        """
        folder = verified(weights, f"clip_{role}")
        load_torchvision()
        import open_clip
        from transformers import PreTrainedTokenizerFast

        try:
            model = open_clip.create_model(f"local-dir:{folder}", output_dict=True)
            tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
        except Exception as error:
            raise WeightsError(f"open_clip cannot load {folder}: {error}") from error
        model = model.float().to(device).requires_grad_(False).eval()
        return cls(model, tokenizer, int(model.context_length), device)

    @property
    def scale(self) -> float:
        """The logit scale that training ended with."""
        return float(self.model.logit_scale.exp())

    def images(self, images: Tensor) -> Tensor:
        """Normalised embeddings (n, E) of images (n, 3, H, W) in [-1, 1]; differentiable."""
        images = fit(self.model, images)
        # The models were trained with mean and standard deviation 0.5, which is the range [-1, 1].
        return functional.normalize(self.model.encode_image(images).float(), dim=-1)

    def texts(self, texts: list[str]) -> Tensor:
        """Normalised embeddings (n, E); texts are cut at the context's length."""
        found = self.tokenizer(
            texts, padding="max_length", truncation=True, max_length=self.context, return_tensors="pt"
        ).input_ids
        return functional.normalize(self.model.encode_text(found.to(self.device)).float(), dim=-1)

    def token_count(self, text: str) -> int:
        """Tokens of a text, start and end among them: where it is more than `context`, the text's end is not seen."""
        return len(self.tokenizer([text]).input_ids[0])

    @torch.no_grad()
    def frames(self, images: Tensor) -> NDArray[np.float32]:
        """Embeddings of frames, without gradient."""
        found: NDArray[np.float32] = torch.cat([self.images(part) for part in images.split(64)]).cpu().numpy()
        return found

    @torch.no_grad()
    def faces(self, images: Tensor, landmarks: NDArray[np.float32]) -> NDArray[np.float32]:
        """Embeddings of the crops around faces; NaN rows where the landmarks (T, 5, 2) are NaN."""
        have = ~np.isnan(landmarks).any(axis=(1, 2))
        out: NDArray[np.float32] | None = None
        if have.any():
            points = torch.from_numpy(landmarks[have]).to(self.device)
            crops = crop_faces(images[torch.from_numpy(have)], points, FACE_SIZE, FACE_SPREAD)
            found = self.images(crops).cpu().numpy()
            out = np.full((len(landmarks), found.shape[1]), np.nan, np.float32)
            out[have] = found
        if out is None:
            out = np.full((len(landmarks), int(self.model.text_projection.shape[-1])), np.nan, np.float32)
        return out
