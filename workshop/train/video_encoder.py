"""Trains the video encoder: actions and scenes of rendered videos."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from pvbench.features.mini.video_networks import VideoEncoder
from pvbench.world import vocabulary
from workshop import dataset
from workshop.train.card import write_card
from workshop.train.loop import Place, Plan, Trainer
from workshop.train.networks import begin_from, save_network

PLAN = Plan(steps=5000, batch=24, rate=2e-3, average=0.998, weight_decay=1e-2, decay=0.5)


def to_videos(frames: np.ndarray) -> Tensor:
    """(n, T, H, W, 3) uint8 to (n, 3, T, H, W) in [-1, 1]."""
    return torch.from_numpy(np.ascontiguousarray(frames)).permute(0, 4, 1, 2, 3).float() / 127.5 - 1


def _varied(videos: Tensor, rng: np.random.Generator) -> Tensor:
    """Colour, contrast, softness and a small shift, the same in every frame of a video."""
    n = len(videos)

    def draw(low: float, high: float, *shape: int) -> Tensor:
        return torch.as_tensor(rng.uniform(low, high, (n, *shape)), dtype=torch.float32, device=videos.device)

    x = videos * (1 + draw(-0.2, 0.2, 3, 1, 1, 1)) + draw(-0.12, 0.12, 3, 1, 1, 1)
    soft = functional.avg_pool3d(x, (1, 3, 3), 1, (0, 1, 1), count_include_pad=False)
    x = x + (draw(0, 1, 1, 1, 1, 1) < 0.4).float() * draw(0.2, 0.9, 1, 1, 1, 1) * (soft - x)
    dy, dx = (int(v) for v in rng.integers(-3, 4, 2))
    return torch.roll(x, (dy, dx), (3, 4)) + 0.03 * torch.randn_like(x) * float(rng.random() < 0.5)


def train(place: Place, plan: Plan = PLAN) -> None:
    """Trains on pool train-b and saves `<out>/video_encoder`."""
    shard = dataset.load(place.data, "train-b", "video")
    held = dataset.load(place.data, "held-out", "video")
    torch.manual_seed(31 + plan.seed)
    classes = {name: len(vocabulary.LABELS[name]) for name in ("action", "scene")}
    model = VideoEncoder(classes).to(place.device)
    begin_from(place, model, "video_encoder")
    targets = {name: torch.from_numpy(shard.label(name).astype(np.int64)) for name in classes}

    def step(_: int, rng: np.random.Generator) -> dict[str, Tensor]:
        pick = rng.integers(len(shard.frames), size=plan.batch)
        videos = _varied(to_videos(shard.frames[pick]).to(place.device), rng)
        wanted = {name: values[pick].to(place.device) for name, values in targets.items()}
        if rng.random() < 0.5:
            videos = videos.flip(-1)
            left, right = (vocabulary.LABELS["action"].index(f"turn {side}") for side in ("left", "right"))
            action = wanted["action"]
            wanted["action"] = torch.where(action == left, right, torch.where(action == right, left, action))
        found = model(videos)
        losses = {
            name: functional.cross_entropy(found[name].float(), wanted[name], label_smoothing=0.05) for name in classes
        }
        return {"total": losses["action"] + 0.3 * losses["scene"], **{k: v.detach() for k, v in losses.items()}}

    def look(_: int) -> dict[str, float]:
        return measure(model, held, place.device)

    trainer = Trainer("video_encoder", {"model": model}, step, plan, place, look, look_every=1000)
    quality = trainer.run()
    folder = place.out / "video_encoder"
    save_network(folder, model, classes=classes, width=24)
    data = f"{len(shard.frames)} videos of pool train-b"
    write_card(folder, "VideoEncoder", "features of FVD, judge of actions", data, trainer, plan, quality)


def measure(model: VideoEncoder, held: dataset.Shard, device: torch.device) -> dict[str, float]:
    """Share of held-out videos whose action and scene are right among all."""
    right: dict[str, list[float]] = {"action": [], "scene": []}
    with torch.no_grad():
        for start in range(0, len(held.frames), 64):
            found = model(to_videos(held.frames[start : start + 64]).to(device))
            for name in right:
                truth = torch.from_numpy(held.label(name)[start : start + 64].astype(np.int64)).to(device)
                right[name] += (found[name].argmax(dim=-1) == truth).float().tolist()
    return {name: float(np.mean(values)) for name, values in right.items()}
