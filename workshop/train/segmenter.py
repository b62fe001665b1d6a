"""Trains the segmenter of person and head."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from pvbench.features.mini.segmenter_network import PARTS, Segmenter
from workshop import dataset
from workshop.train.autoencoder import to_images
from workshop.train.card import write_card
from workshop.train.disturb import disturb, placed
from workshop.train.loop import Place, Plan, Trainer
from workshop.train.networks import begin_from, save_network

SEGMENTER_PLAN = Plan(steps=1600, batch=32, rate=3e-3, average=0.995, weight_decay=1e-3, precision="float32")
_MEASURED = 512


def train_segmenter(place: Place, plan: Plan = SEGMENTER_PLAN) -> None:
    """Trains on portraits of pool train-a, photos and videos alike; saves `<out>/segmenter`."""
    frames, parts = _pictures(dataset.load(place.data, "train-a", "portrait"))
    held = _pictures(dataset.load(place.data, "held-out", "portrait"))
    torch.manual_seed(plan.seed)
    model = Segmenter().to(place.device)
    begin_from(place, model, "segmenter")

    def step(_: int, rng: np.random.Generator) -> dict[str, Tensor]:
        pick = rng.integers(len(frames), size=plan.batch)
        images, truth = moved(to_images(frames[pick]), torch.from_numpy(parts[pick]), rng)
        images = disturb(images.to(place.device), rng, 0.7)
        loss = functional.cross_entropy(model(images), truth.to(place.device))
        return {"total": loss, "entropy": loss.detach()}

    def look(_: int) -> dict[str, float]:
        return measure_segmenter(model, *held, place.device)

    trainer = Trainer("segmenter", {"segmenter": model}, step, plan, place, look, look_every=500)
    quality = trainer.run()
    folder = place.out / "segmenter"
    save_network(folder, model, widths=(16, 24, 32, 48))
    data = f"{len(frames)} pictures of pool train-a"
    write_card(folder, "Segmenter", "tells person and head from the background", data, trainer, plan, quality)


def _pictures(shard: dataset.Shard) -> tuple[np.ndarray, np.ndarray]:
    """Frames uint8 (n, H, W, 3) and what they show, int64 (n, H, W)."""
    return (
        shard.frames.reshape(-1, *shard.frames.shape[2:]),
        shard.parts.reshape(-1, *shard.parts.shape[2:]).astype(np.int64),
    )


def moved(images: Tensor, parts: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Random zoom, turn, shift and mirror of images (n, 3, H, W), and of what their pixels show (n, H, W)."""
    theta, _ = placed(len(images), rng, (0.7, 1.5), 0.12)
    grid = functional.affine_grid(theta, list(images.shape), align_corners=False)
    both = torch.cat([images, functional.one_hot(parts, len(PARTS)).permute(0, 3, 1, 2).float()], dim=1)
    found = functional.grid_sample(both, grid, padding_mode="reflection", align_corners=False)
    return found[:, :3], found[:, 3:].argmax(dim=1)


def measure_segmenter(
    model: Segmenter, frames: np.ndarray, parts: np.ndarray, device: torch.device
) -> dict[str, float]:
    """Intersection over union of person and head, over all pixels of the first pictures of held-out people."""
    truth = torch.from_numpy(parts[:_MEASURED])
    with torch.no_grad():
        found = torch.cat(
            [model(part).argmax(dim=1).cpu() for part in to_images(frames[:_MEASURED]).to(device).split(64)]
        )
    masks = {"person": (found > 0, truth > 0), "head": (found == 2, truth == 2)}
    return {name: float((ours & theirs).sum() / (ours | theirs).sum()) for name, (ours, theirs) in masks.items()}
