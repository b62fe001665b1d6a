"""What the denoisers are trained on: photos or videos and their captions, encoded once and held on the device."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pvbench.backbones.patch_autoencoder import PatchAutoencoder
from workshop.dataset import Shard
from workshop.train.autoencoder import to_images
from workshop.train.captions import random_caption, tokens
from workshop.train.loop import Place

Array = NDArray[Any]

NO_CAPTION = 0.12
# Faces fill a tenth of the picture and are what the benchmark is about.
FACE_WEIGHT = 4.0
# Drawn for each sample beforehand: writing and reading a sentence takes a processor a quarter of a millisecond, which
# at a thousand a step would keep a GPU waiting.
CAPTIONS = 6
_CHUNK = 512
_WORTH_A_PROCESS = 8  # chunks: their captions take longer than a process to start


@dataclass(frozen=True)
class Samples:
    """Photos or videos, all on one device.

    Attributes:
        latents: float16 (n, c, T, h, w), scaled; T is 1 for photos.
        faces: float16 (n, 1, T, h, w), `face_weights`.
        words: int16 (n, k, MAX_TOKENS), tokens of k captions of each sample.
        no_words: int16 (MAX_TOKENS,), tokens of the empty caption.
    """

    latents: Tensor
    faces: Tensor
    words: Tensor
    no_words: Tensor

    def __len__(self) -> int:
        return len(self.latents)

    def draw(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Latents, face weights and tokens (count, MAX_TOKENS) of random samples, each with one of its captions.

        A share of `NO_CAPTION` has the empty one, for classifier-free guidance. The generator draws on the samples'
        device, and nothing waits for the numbers that it draws.
        """
        device = self.latents.device
        pick = torch.randint(len(self), (count,), generator=generator, device=device)
        which = torch.randint(self.words.shape[1], (count,), generator=generator, device=device)
        silent = torch.rand(count, 1, generator=generator, device=device) < NO_CAPTION
        words = torch.where(silent, self.no_words, self.words[pick, which])
        return self.latents[pick].float(), self.faces[pick].float(), words.long()

    def split(self, size: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Latents, face weights and tokens of first captions, of all samples in turn, at most `size` at a time."""
        for i in range(0, len(self), size):
            part = slice(i, i + size)
            yield self.latents[part].float(), self.faces[part].float(), self.words[part, 0].long()


def encode(vae: PatchAutoencoder, tokenizer: Any, shard: Shard, place: Place, seed: int, ending: str = "") -> Samples:
    """The samples of a shard on the place's device.

    Args:
        seed: draws the captions, the same ones whatever `place.threads`.
        ending: words at the end of every caption.
    """

    def by_sample(rows: Tensor) -> Tensor:
        found: Tensor = rows.unflatten(0, (-1, shard.frames.shape[1])).transpose(1, 2).contiguous()
        return found

    frames = shard.frames.reshape(-1, *shard.frames.shape[2:])
    faces = [face_weights(part).half().to(place.device) for part in _chunks(shard.landmarks.reshape(-1, 5, 2))]
    return Samples(
        by_sample(encode_frames(vae, frames, place.device)),
        by_sample(torch.cat(faces)),
        draw_words(tokenizer, shard.labels, seed, place.threads, ending).to(place.device),
        tokens(tokenizer, [""])[0].to(place.device, torch.int16),
    )


def encode_frames(vae: PatchAutoencoder, frames: NDArray[np.uint8], device: torch.device) -> Tensor:
    """Scaled latents (n, c, h, w) of uint8 frames (n, H, W, 3), on the device in half precision."""
    parts = []
    with torch.no_grad():
        for part in _chunks(frames):
            mode = vae.encode(to_images(part).to(device)).latent_dist.mode()  # type: ignore[union-attr]
            parts.append((mode * vae.config.scaling_factor).half())
    return torch.cat(parts)


def face_weights(landmarks: np.ndarray, cells: int = 16, pixels: int = 64) -> Tensor:
    """Loss weights (n, 1, cells, cells) with mean 1 that are larger around each face.

    Args:
        landmarks: (n, 5, 2) pixels.
    """
    points = torch.from_numpy(landmarks).float() * (cells / pixels)
    middle = points.mean(dim=1)
    reach = (points[:, 1] - points[:, 0]).norm(dim=-1).clamp(min=1.0) * 1.25
    axis = torch.arange(cells).float() + 0.5
    x = (axis[None, None] - middle[:, 0, None, None]) / reach[:, None, None]
    y = (axis[None, :, None] - middle[:, 1, None, None]) / reach[:, None, None]
    weight = 1 + FACE_WEIGHT * torch.exp(-(x.square() + y.square()) / 2)
    return (weight / weight.mean(dim=(1, 2), keepdim=True))[:, None]


def draw_words(tokenizer: Any, labels: NDArray[np.int8], seed: int, workers: int, ending: str = "") -> Tensor:
    """Tokens, int16 (n, CAPTIONS, MAX_TOKENS), of random captions, drawn in up to that many processes."""
    jobs = [(tokenizer, rows, [seed, number], ending) for number, rows in enumerate(_chunks(labels))]
    workers = min(workers, len(jobs) // _WORTH_A_PROCESS)
    if workers <= 1:
        return torch.from_numpy(np.concatenate([_words(job) for job in jobs]))
    with multiprocessing.get_context("spawn").Pool(workers) as processes:
        return torch.from_numpy(np.concatenate(processes.map(_words, jobs)))


def _words(job: tuple[Any, NDArray[np.int8], list[int], str]) -> NDArray[np.int16]:
    tokenizer, rows, seed, ending = job
    rng = np.random.default_rng(seed)
    texts = [f"{random_caption(row, rng)} {ending}".rstrip() for row in rows for _ in range(CAPTIONS)]
    return tokens(tokenizer, texts).view(len(rows), CAPTIONS, -1).numpy().astype(np.int16)


def _chunks(rows: Array) -> Iterator[Array]:
    for start in range(0, len(rows), _CHUNK):
        yield rows[start : start + _CHUNK]
