"""Trains the face detector."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from pvbench.features.mini.face_networks import FaceDetector
from workshop import dataset
from workshop.train.autoencoder import to_images
from workshop.train.card import write_card
from workshop.train.disturb import disturb, placed
from workshop.train.loop import Place, Plan, Trainer
from workshop.train.networks import begin_from, save_network

DETECTOR_PLAN = Plan(steps=5000, batch=48, rate=2e-3, average=0.998, weight_decay=1e-3)


def train_detector(place: Place, plan: Plan = DETECTOR_PLAN) -> None:
    """Trains on photos and videos of both training pools; saves `<out>/face_detector`."""
    frames, marks = _frames(place, ("train-a", "train-b"))
    held = dataset.load(place.data, "held-out", "video")
    torch.manual_seed(plan.seed)
    model = FaceDetector().to(place.device)
    begin_from(place, model, "face_detector")
    scenes = to_images(empty_scenes(40, 17))

    def step(_: int, rng: np.random.Generator) -> dict[str, Tensor]:
        pick = rng.integers(len(frames), size=plan.batch)
        images = to_images(frames[pick]).to(place.device)
        points = torch.from_numpy(marks[pick]).to(place.device)
        images, points = _moved(images, points, rng)
        pair, pair_points = _two_faces(images[:12], points[:12], rng)
        empty = _without_face(images[12:20], points[12:20], rng)
        some = rng.integers(len(scenes), size=4)
        empty[:4] = (scenes[some] if rng.random() < 0.5 else scenes[some].flip(-1)).to(place.device)
        images = torch.cat([images[20:], pair, empty])
        boxes: list[Tensor] = [p[None] for p in points[20:]] + list(pair_points) + [points[:0]] * len(empty)
        images = disturb(images, rng, 0.7)
        logits, found = model(images)
        rows = logits.shape[1]
        target = torch.zeros_like(logits)
        weight = torch.ones_like(logits)
        regression = logits.new_zeros(())
        amount = 0
        for i, faces in enumerate(boxes):
            for face in faces:
                middle = face.mean(dim=0) / 4
                x, y = (int(v) for v in middle.clamp(0, rows - 1))
                for dy in (-1, 0, 1):
                    for dx in (-1, 0, 1):
                        if 0 <= y + dy < rows and 0 <= x + dx < rows:
                            weight[i, y + dy, x + dx] = 0.0
                            size = (face[1] - face[0]).norm().clamp(min=3.0)
                            regression = regression + (found[i, y + dy, x + dx] - face).abs().mean() / size
                            amount += 1
                target[i, y, x], weight[i, y, x] = 1.0, 30.0
        score = functional.binary_cross_entropy_with_logits(logits, target, weight)
        regression = regression / max(amount, 1)
        return {"total": 10 * score + 3 * regression, "score": score.detach(), "landmarks": regression.detach()}

    def look(_: int) -> dict[str, float]:
        return measure_detector(model, held, place.device)

    trainer = Trainer("face_detector", {"detector": model}, step, plan, place, look, look_every=1000)
    quality = trainer.run()
    folder = place.out / "face_detector"
    save_network(folder, model, width=24)
    data = f"{len(frames)} frames of pools train-a and train-b"
    write_card(folder, "FaceDetector", "finds faces and five landmarks", data, trainer, plan, quality)


def _frames(place: Place, pools: tuple[str, ...]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    frames, marks = [], []
    for pool in pools:
        for kind in dataset.DOMAINS:
            shard = dataset.load(place.data, pool, kind)
            frames.append(shard.frames.reshape(-1, *shard.frames.shape[2:])[:: 3 if kind == "video" else 1])
            marks.append(shard.landmarks.reshape(-1, 5, 2)[:: 3 if kind == "video" else 1])
    return np.concatenate(frames), np.concatenate(marks)


def _moved(images: Tensor, points: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Random zoom, turn, shift and mirror of each image with its landmarks."""
    side = images.shape[-1]
    theta, mirror = placed(len(images), rng, (0.75, 1.45), 0.13)
    theta = theta.to(images.device)
    grid = functional.affine_grid(theta, list(images.shape), align_corners=False)
    moved = functional.grid_sample(images, grid, padding_mode="reflection", align_corners=False)
    inverse = torch.linalg.inv(theta[:, :, :2])
    unit = points / (side / 2) - 1
    moved_points = (unit - theta[:, None, :, 2]) @ inverse.transpose(1, 2)
    moved_points = (moved_points + 1) * side / 2
    swap = torch.tensor([1, 0, 2, 4, 3], device=points.device)
    flipped = (mirror < 0).to(points.device)[:, None, None]
    return moved, torch.where(flipped, moved_points[:, swap], moved_points)


def _two_faces(images: Tensor, points: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Pictures (n / 2) with two half-wide people side by side, and their landmarks (n / 2, 2, 5, 2)."""
    half = len(images) // 2
    side = images.shape[-1]
    left, right = (
        images[:half, :, :, side // 4 : side // 4 + side // 2],
        images[half : 2 * half, :, :, side // 4 : side // 4 + side // 2],
    )
    shift = torch.tensor([side / 4, 0.0], device=points.device)
    move = torch.tensor([side / 2, 0.0], device=points.device)
    return torch.cat([left, right], dim=-1), torch.stack(
        [points[:half] - shift, points[half : 2 * half] - shift + move], dim=1
    )


def _without_face(images: Tensor, points: Tensor, rng: np.random.Generator) -> Tensor:
    """The images with each face painted over by a far patch of the same image, or heavily blurred."""
    out = images.clone()
    for i, face in enumerate(points):
        low = (face.min(dim=0).values - 6).clamp(min=0).int().tolist()
        high = (face.max(dim=0).values + 6).clamp(max=images.shape[-1]).int().tolist()
        h, w = max(high[1] - low[1], 4), max(high[0] - low[0], 4)
        y = int(rng.integers(0, max(images.shape[-2] - h, 1)))
        x = int(rng.choice([0, max(images.shape[-1] - w, 0)]))
        patch = images[i, :, y : y + h, x : x + w]
        place = out[i, :, low[1] : low[1] + patch.shape[1], low[0] : low[0] + patch.shape[2]]
        place.copy_(patch[:, : place.shape[1], : place.shape[2]])
    return out


def measure_detector(model: FaceDetector, held: dataset.Shard, device: torch.device) -> dict[str, float]:
    """Share of faces found up to 40 degrees of yaw, false alarms on backdrops, landmark error in eye distances."""
    frames = held.frames[:, ::4].reshape(-1, *held.frames.shape[2:])
    marks = torch.from_numpy(held.landmarks[:, ::4].reshape(-1, 5, 2))
    yaw = held.yaw[:, ::4].reshape(-1)
    images = to_images(frames).to(device)
    found = [d for part in images.split(128) for d in model.detect(part)]
    hits, errors = [], []
    for detections, truth, angle in zip(found, marks, yaw, strict=True):
        if abs(angle) > 40:
            continue
        eyes = (truth[1] - truth[0]).norm().clamp(min=4.0)
        hit = len(detections.scores) == 1
        hits.append(hit)
        if hit:
            errors.append(float((detections.landmarks[0].cpu() - truth).norm(dim=-1).mean() / eyes))
    return {
        "found": float(np.mean(hits)),
        "landmark_error": float(np.mean(errors)) if errors else 1.0,
        "false_alarms": false_alarms(model, device),
    }


def empty_scenes(each: int, seed: int) -> NDArray[np.uint8]:
    """Backdrops (n, 64, 64, 3) without a person, `each` of every scene."""
    from PIL import Image

    from pvbench.world.scene import SCENES, paint_scene

    pictures = []
    for name in SCENES:
        for i in range(each):
            backdrop = paint_scene(name, np.random.default_rng([seed, i])).backdrop
            picture = Image.fromarray((backdrop * 255).astype(np.uint8)).resize((64, 64), Image.Resampling.BOX)
            pictures.append(np.asarray(picture))
    return np.stack(pictures)


def false_alarms(model: FaceDetector, device: torch.device, each: int = 20) -> float:
    """Share of empty backdrops, none of which were seen in training, in which the detector sees a face."""
    images = to_images(empty_scenes(each, 9)).to(device)
    return float(np.mean([len(d.scores) > 0 for part in images.split(120) for d in model.detect(part)]))
