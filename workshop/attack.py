"""Pictures of others, tuned on the reward until it takes them for the person: what tuning on it alone comes to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from pvbench.backbones.patch_autoencoder import PatchAutoencoder
from pvbench.errors import WeightsError
from pvbench.features.face import crop_faces, embed_faces
from pvbench.features.mini.face_extractor import load_detector, load_recogniser
from pvbench.pixels import to_tensor
from pvbench.rewards.identity import FaceReward
from pvbench.weights import verified
from workshop.judges import Image

_SATURATED = 0.95  # cosine under the reward's recogniser
_STEPS = (80, 320)  # how many are tried in turn


@dataclass(frozen=True)
class Attack:
    """Tunes others' pictures on the reward until it saturates.

    Attributes:
        reward: the reward of methods, on the coach's networks.
        vae: decodes the latents that are tuned.
        least: the cosine under the reward's recogniser with which pictures show something.
    """

    reward: FaceReward
    vae: PatchAutoencoder
    least: float = _SATURATED

    @classmethod
    def load(cls, weights: Path, device: str = "cpu", least: float = _SATURATED) -> Attack:
        """The reward and the autoencoder of a folder of mini weights."""
        from pvbench.machine.devices import torch_device

        place = torch_device(device)
        reward = FaceReward(load_detector(weights, place), load_recogniser(weights, "reward", place), place)
        vae = PatchAutoencoder.from_pretrained(verified(weights, "vae")).float().to(place)
        vae.requires_grad_(False).eval()
        return cls(reward, vae, least)

    def __call__(self, references: Sequence[Image], others: list[Image]) -> list[tuple[str, list[Image]]]:
        """The others' pictures after it; none where a face is unseen.

        Raises:
            WeightsError: the reward was not satisfied, so that the pictures show nothing.
        """
        pictures = to_tensor(np.stack(others), self.reward.device)
        if not all(len(seen.scores) for seen in self.reward.detector.detect(pictures)):
            return []
        size = len(references[0])
        crops = self.reward.reference(references, size, size).crops
        with torch.no_grad():
            wanted = functional.normalize(embed_faces(self.reward.recogniser, crops).mean(dim=0), dim=-1)
        for steps in _STEPS:
            fooled, reached = tuned_on_reward(self.reward, self.vae, pictures, wanted.expand(len(pictures), -1), steps)
            if reached >= _SATURATED:
                break
        if reached < self.least:
            raise WeightsError(
                f"pictures tuned on the reward reach {reached:.2f} with it; expected {self.least} or more"
            )
        frames = ((fooled + 1) * 127.5).round().byte().permute(0, 2, 3, 1).cpu().numpy()
        return [("another person, tuned on the reward", list(frames))]


def tuned_on_reward(
    reward: FaceReward, vae: PatchAutoencoder, images: Tensor, wanted: Tensor, steps: int = 80, rate: float = 0.05
) -> tuple[Tensor, float]:
    """Pictures (n, 3, H, W) changed until the reward's recogniser takes them for the people `wanted` (n, D).

    What tuning on the reward alone comes to: Adam on the latents, nothing that keeps the picture. Returns the
    pictures and the mean cosine they reach under the reward's recogniser.
    """
    points = torch.stack([found.landmarks[0] for found in reward.detector.detect(images)])
    with torch.no_grad():
        latents = vae.encode(images).latent_dist.mode()  # type: ignore[union-attr]
    latents = latents.clone().requires_grad_(True)
    optimiser = torch.optim.Adam([latents], lr=rate)
    for _ in range(steps):
        decoded = vae.decode(latents).sample  # type: ignore[union-attr]
        cosine = (embed_faces(reward.recogniser, crop_faces(decoded, points)) * wanted).sum(dim=-1)
        (-cosine.sum()).backward()
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
    with torch.no_grad():
        images = vae.decode(latents).sample.clamp(-1, 1)  # type: ignore[union-attr]
        cosine = (embed_faces(reward.recogniser, crop_faces(images, points)) * wanted).sum(dim=-1)
    return images, float(cosine.mean())
