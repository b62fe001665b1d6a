"""DreamBooth with LoRA: reconstructs the reference photos on the text-to-image side, then samples videos."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from pvbench.errors import SettingError
from pvbench.features.extract import resize_photo
from pvbench.features.face import to_tensor
from pvbench.identity import Identity
from pvbench.method import Adapter, Method, Progress, Request
from pvbench.prompt import PromptSet
from pvbench.video import Video


@dataclass(frozen=True)
class DreamBoothSettings:
    """Settings of DreamBooth-LoRA.

    Attributes:
        rank, targets: of the adapter; diffusers' script adapts q, k, v and the output projection.
        steps, rate, batch: of AdamW; `batch` reference photos a step, each mirrored by chance.
        prior_weight: weight of prior preservation, 0 to leave it out; `prior_images` class pictures are drawn with the
            untuned model. diffusers' weight of 1 leaves the mini world's people as they were (docs/models.md).
        token: the rare word that becomes the person's name.
    """

    rank: int = 16
    targets: Literal["qkv", "qkvo"] = "qkvo"
    steps: int = 240
    rate: float = 3e-3
    batch: int = 4
    prior_weight: float = 0.2
    prior_images: int = 16
    token: str = "sks"

    def __post_init__(self) -> None:
        if min(self.rank, self.steps, self.batch) < 1 or self.rate <= 0:
            raise SettingError("rank, steps, batch and rate must be positive")
        if not self.prior_weight >= 0:
            raise SettingError(f"prior_weight is {self.prior_weight}; expected a weight, 0 or above")
        if self.prior_weight > 0 and self.prior_images < 1:
            raise SettingError("prior preservation needs prior_images >= 1; or set prior_weight=0")


class DreamBoothLoRA(Method):
    """The reconstructive baseline.

    Source: diffusers' train_dreambooth_lora.py, with prior preservation on, and step count and rate that suit the
    backbone.
    """

    name: ClassVar[str] = "dreambooth_lora"
    version: ClassVar[int] = 1
    summary: ClassVar[str] = "rare token, prior preservation, LoRA tuned on still images"
    tunes: ClassVar[bool] = True
    Settings: ClassVar[type] = DreamBoothSettings
    settings: DreamBoothSettings

    _priors: dict[tuple[str, int], Tensor] | None = None

    def tune(self, identity: Identity, prompts: PromptSet, *, seed: int, progress: Progress) -> Adapter:
        """A LoRA that reconstructs the identity's photos under the rare token."""
        settings, backbone = self.settings, self.backbone
        generator = torch.Generator().manual_seed(seed)
        sampling = backbone.sampling
        photos = np.stack([resize_photo(p, sampling.height, sampling.width) for p in identity.references()])
        images = to_tensor(photos, backbone.device)
        latents = backbone.encode_images(torch.cat([images, images.flip(-1)]))
        unet = backbone.image_unet
        prior = self._prior(identity.class_noun, seed) if settings.prior_weight > 0 else None
        named = backbone.encode(f"a {settings.token} {identity.class_noun}")
        plain = backbone.encode(f"a {identity.class_noun}")
        alpha = float(settings.rank)
        parameters = backbone.add_lora(unet, settings.rank, alpha, settings.targets, generator)
        optimiser = torch.optim.AdamW(parameters, lr=settings.rate, weight_decay=1e-2)
        loss = torch.zeros(())
        for step in range(settings.steps):
            pick = torch.randint(len(latents), (settings.batch,), generator=generator)
            z, words = latents[pick], named.expand(settings.batch, -1, -1)
            if prior is not None:
                other = torch.randint(len(prior), (settings.batch,), generator=generator)
                z = torch.cat([z, prior[other]])
                words = torch.cat([words, plain.expand(settings.batch, -1, -1)])
            error = self._errors(unet, z, words, generator)
            loss = error[: settings.batch].mean()
            total = loss if prior is None else loss + settings.prior_weight * error[settings.batch :].mean()
            total.backward()
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
            progress(step + 1, settings.steps, {"reconstruction": float(loss.detach())})
        tensors = backbone.lora_tensors(unet, alpha, settings.rank)
        backbone.remove_lora(unet)
        return Adapter(tensors, (0.0, 1.0), {"token": settings.token, "reconstruction": round(float(loss.detach()), 6)})

    def generate(self, identity: Identity, adapter: Adapter | None, requests: Sequence[Request]) -> Iterator[Video]:
        """One video for each request, the adapter active in every step."""
        assert adapter is not None, "a method that tunes is given its adapter"
        self.backbone.load_lora(adapter.tensors)
        for request in requests:
            text = request.prompt.render(identity.class_noun, self.settings.token)
            yield self.backbone.sample(text, request.noise_seed, adapter.span)

    def _errors(self, unet: torch.nn.Module, z: Tensor, words: Tensor, generator: torch.Generator) -> Tensor:
        scheduler = self.backbone.pipe.scheduler
        noise = torch.randn(z.shape, generator=generator).to(z.device)
        t = torch.randint(scheduler.config.num_train_timesteps, (len(z),), generator=generator).to(z.device)
        found = self.backbone.run(unet, scheduler.add_noise(z, noise, t), t, words)
        target = noise if scheduler.config.prediction_type == "epsilon" else scheduler.get_velocity(z, noise, t)
        return (found - target).square().mean(dim=(1, 2, 3))

    @torch.no_grad()
    def _prior(self, class_noun: str, seed: int) -> Tensor:
        """Latents of class pictures by the untuned text-to-image model, kept for the next identity of the class."""
        if self._priors is None:
            self._priors = {}
        if (class_noun, seed) in self._priors:
            return self._priors[class_noun, seed]
        backbone = self.backbone
        backbone.remove_lora(backbone.image_unet)
        text = backbone.encode(f"a {class_noun}")
        drawn = []
        for i in range(self.settings.prior_images):
            latent = backbone.noise(seed + 1 + i, frames=1)[:, :, 0]
            drawn.append(backbone.denoise(latent, text, unet=backbone.image_unet))
        self._priors[class_noun, seed] = torch.cat(drawn)
        return self._priors[class_noun, seed]
