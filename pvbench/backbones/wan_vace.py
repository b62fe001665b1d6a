"""VACE of Wan 2.1: the same transformer with a second stream, which reads photos of a subject."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional

from pvbench.backbones.wan import WanBackbone
from pvbench.errors import MethodError
from pvbench.latent_backbone import Side
from pvbench.words import Words


class WanVaceBackbone(WanBackbone):
    """A model of the family that was trained to fill in videos, and to show the subject of photos.

    All of a video is to be filled in here. Each photo is a latent of its own before the first one of the video, on
    white where its shape is another; it is denoised with the video and left out of it. Without photos the model is one
    of text-to-video.

    Source: Jiang et al., "VACE", 2025; diffusers' `WanVACEPipeline` prepares photos, masks and what is to be filled in.
    """

    _nothing: dict[int, Tensor] | None = None

    def beside(self, latent: Float[Tensor, "n c t h w"], words: Words) -> Mapping[str, Any]:
        """What the second stream reads: what is to be filled in, where, and the photos; and its weight."""
        model = self.pipe.transformer
        control = words.image["control"] if "control" in words.image else self._without(latent.shape[2])
        scale = float(words.image["scale"]) if "scale" in words.image else 1.0
        return {
            "control_hidden_states": control.to(model.dtype).expand(len(latent), -1, -1, -1, -1),
            "control_hidden_states_scale": torch.full(
                (len(model.config.vace_layers),), scale, device=latent.device, dtype=model.dtype
            ),
        }

    def _without(self, times: int) -> Tensor:
        """What the second stream reads where there is no photo, of so many latents; the same for every text."""
        if self._nothing is None:
            self._nothing = {}
        if times not in self._nothing:
            self._nothing[times] = self._control((times - 1) * self.compression[0] + 1, [])
        return self._nothing[times]

    @torch.no_grad()
    def _control(self, frames: int, photos: Sequence[Image.Image]) -> Float[Tensor, "1 c t h w"]:
        """Latents of an empty video and of the photos before it, and the mask of what is to be filled in."""
        s, pipe = self.sampling, self.pipe
        video, mask, pictures = pipe.preprocess_conditions(
            None, None, [list(photos)] if photos else None, 1, s.height, s.width, frames, torch.float32, self.device
        )
        latents = pipe.prepare_video_latents(video, mask, pictures, None, self.device)
        # The pipeline's own masks have room for as many photos as the video has latents.
        places = pipe.prepare_masks(mask, [[]]).to(latents)
        places = functional.pad(places, (0, 0, 0, 0, len(pictures[0]), 0))
        found: Tensor = torch.cat([latents, places], dim=1)
        return found

    def with_subject(
        self, words: Words, photos: Sequence[NDArray[np.uint8]], noise_seed: int, scale: float = 1.0
    ) -> Words:
        """The words with photos of a subject beside them.

        Raises:
            MethodError: there are no photos.
        """
        if not len(photos):
            raise MethodError("no photos of the subject are given: expected at least one")
        control = self._control(self.sampling.frames, [Image.fromarray(photo) for photo in photos])
        channels, _, height, width = self.latent_shape()
        # Other numbers than those of the video's noise, which has the same seed.
        generator = torch.Generator().manual_seed((noise_seed + 1) % (1 << 62))
        noise = torch.randn(1, channels, len(photos), height, width, generator=generator).to(self.device)
        return replace(words, image={"control": control, "noise": noise, "scale": torch.tensor(scale)})

    def denoise(
        self,
        latent: Float[Tensor, "n c t h w"],
        words: Words,
        first: int = 0,
        last: int | None = None,
        side: Side = "video",
    ) -> Float[Tensor, "n c t h w"]:
        """The latent after steps `first` up to, not including, `last`; with photos all of the steps.

        Raises:
            MethodError: photos stand beside the words, and not all steps are to be taken.
        """
        noise = words.image.get("noise")
        if noise is None:
            return super().denoise(latent, words, first, last, side)
        if first or last not in (None, self.steps) or side != "video":
            raise MethodError("photos of a subject are denoised with the whole video: take all steps at once")
        together = torch.cat([noise.expand(len(latent), -1, -1, -1, -1), latent], dim=2)
        return super().denoise(together, words, first, last, side)[:, :, noise.shape[2] :]
