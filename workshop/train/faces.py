"""Trains the face detector and the two face recognisers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from pvbench.features.face import CROP, crop_faces, embed_faces
from pvbench.features.mini.face_extractor import load_state
from pvbench.features.mini.face_networks import FaceDetector, PlainRecogniser, ResidualRecogniser
from workshop import dataset
from workshop.train.autoencoder import to_images
from workshop.train.card import write_card
from workshop.train.loop import Place, Plan, Trainer

DETECTOR_PLAN = Plan(steps=5000, batch=48, rate=2e-3, average=0.998, weight_decay=1e-3)
_BLURRED = _WIPED = 8  # of a recogniser's batch
_ATTACKED = 48  # of the scoring recogniser's batch
_ATTACK, _ATTACK_STEPS = 0.3, 2  # root mean square at most, on crops in [-1, 1]
_SCALE = 40  # of a recogniser's cosines in the softmax
_TRAITS = 80  # weight of the mean squared error of the traits
RECOGNISER_PLAN = Plan(steps=9000, batch=128, rate=2e-3, average=0.999, weight_decay=5e-3, decay=0.6)


def save_network(folder: Path, module: nn.Module, **config: object) -> None:
    """Weights in half precision and the arguments that build the network."""
    folder.mkdir(parents=True, exist_ok=True)
    state = {
        name: (value.half() if value.is_floating_point() else value).contiguous().cpu()
        for name, value in module.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    save_file(state, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")


def begin_from(place: Place, model: nn.Module, name: str) -> None:
    """Fills a network from the folder of weights that the training is to begin from, if there is one."""
    if place.start is not None:
        load_state(model, place.start / name, place.device)
        model.requires_grad_(True)


def disturb(images: Tensor, rng: np.random.Generator, strength: float = 1.0, worn: float = 1.0) -> Tensor:
    """Colour casts, grey, contrast, blur, noise and coarse pixels, each by chance and per image.

    Args:
        images: (n, 3, H, W) in [-1, 1].
        strength: of casts and contrast.
        worn: factor on the chance of grey, blur and coarse pixels, which hide what is small.
    """
    n = len(images)
    device = images.device

    def draw(low: float, high: float, *shape: int) -> Tensor:
        return torch.as_tensor(rng.uniform(low, high, (n, *shape)), dtype=torch.float32, device=device)

    def some(share: float) -> Tensor:
        return (draw(0, 1) < share).float()[:, None, None, None]

    x = (images + 1) / 2
    x = x * (1 + some(0.8) * strength * draw(-0.30, 0.30, 3, 1, 1)) + some(0.5) * strength * draw(-0.10, 0.10, 3, 1, 1)
    middle = x.mean(dim=(1, 2, 3), keepdim=True)
    x = (
        middle
        + (x - middle) * (1 + some(0.6) * strength * draw(-0.35, 0.25, 1, 1, 1))
        + strength * draw(-0.12, 0.12, 1, 1, 1)
    )
    grey = x.mean(dim=1, keepdim=True)
    x = x + some(0.35 * worn) * draw(0.4, 1.0, 1, 1, 1) * (grey - x)
    soft = functional.avg_pool2d(functional.pad(x, (1, 1, 1, 1), mode="replicate"), 3, 1)
    x = x + some(0.40 * worn) * draw(0.2, 1.0, 1, 1, 1) * (soft - x)
    coarse = functional.interpolate(
        functional.interpolate(x, scale_factor=0.625, mode="bilinear", align_corners=False),
        size=x.shape[-2:],
        mode="bilinear",
    )
    x = x + some(0.20 * worn) * (coarse - x)
    ramp = torch.linspace(-1, 1, x.shape[-1], device=device)
    x = x * (1 + some(0.4) * draw(-0.25, 0.25, 1, 1, 1) * ramp + some(0.3) * draw(-0.2, 0.2, 1, 1, 1) * ramp[:, None])
    x = x + some(0.4) * draw(0.0, 0.05, 1, 1, 1) * torch.randn_like(x)
    return (x.clamp(-0.1, 1.1) * 2 - 1).float()


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
    n, side = len(images), images.shape[-1]
    zoom = torch.as_tensor(rng.uniform(0.75, 1.45, n), dtype=torch.float32)
    angle = torch.as_tensor(np.radians(rng.normal(size=n) * 8), dtype=torch.float32)
    shift = torch.as_tensor(rng.normal(size=(n, 2)) * 0.13, dtype=torch.float32)
    mirror = torch.as_tensor(np.where(rng.random(n) < 0.5, -1.0, 1.0), dtype=torch.float32)
    c, s = torch.cos(angle) * zoom, torch.sin(angle) * zoom
    linear = torch.stack([torch.stack([c * mirror, -s], -1), torch.stack([s * mirror, c], -1)], 1)
    theta = torch.cat([linear, shift[..., None]], dim=-1).to(images.device)
    grid = functional.affine_grid(theta, list(images.shape), align_corners=False)
    moved = functional.grid_sample(images, grid, padding_mode="reflection", align_corners=False)
    inverse = torch.linalg.inv(theta[:, :, :2])
    unit = points / (side / 2) - 1
    placed = (unit - theta[:, None, :, 2]) @ inverse.transpose(1, 2)
    placed = (placed + 1) * side / 2
    swap = torch.tensor([1, 0, 2, 4, 3], device=points.device)
    flipped = (mirror < 0).to(points.device)[:, None, None]
    return moved, torch.where(flipped, placed[:, swap], placed)


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


def _crop_source(place: Place, pool: str) -> tuple[Tensor, NDArray[np.int64], Tensor]:
    """Aligned crops uint8 (n, 3, 48, 48), finer than the recogniser's, the person in each, standardised traits (n, D).

    Raises:
        PvbenchError: no portraits are there.
    """
    crops, people, traits = [], [], []
    for shard in dataset.shards(place.data, pool, "portrait"):
        images = to_images(shard.frames.reshape(-1, *shard.frames.shape[2:]))
        loose = crop_faces(images, torch.from_numpy(shard.landmarks.reshape(-1, 5, 2)), size=48)
        crops.append(((loose + 1) * 127.5).round().clamp(0, 255).byte())
        people.append(np.repeat(shard.person, shard.frames.shape[1]).astype(np.int64))
        traits.append(np.repeat(shard.traits, shard.frames.shape[1], axis=0))
    raw = torch.from_numpy(np.concatenate(traits))
    return torch.cat(crops), np.concatenate(people), (raw - raw.mean(dim=0)) / raw.std(dim=0)


def _final_crop(loose: Tensor, rng: np.random.Generator, jitter: float) -> Tensor:
    """The recogniser's crop (n, 3, 32, 32) out of 48-pixel ones, with the error that a detector's landmarks have."""
    n = len(loose)
    zoom = torch.as_tensor(1 + rng.normal(size=n) * 0.045 * jitter, dtype=torch.float32)
    angle = torch.as_tensor(np.radians(rng.normal(size=n) * 3.0 * jitter), dtype=torch.float32)
    shift = torch.as_tensor(rng.normal(size=(n, 2)) * 0.035 * jitter, dtype=torch.float32)
    mirror = torch.as_tensor(np.where(rng.random(n) < (0.5 if jitter else 0.0), -1.0, 1.0), dtype=torch.float32)
    c, s = torch.cos(angle) * zoom, torch.sin(angle) * zoom
    linear = torch.stack([torch.stack([c * mirror, -s], -1), torch.stack([s * mirror, c], -1)], 1)
    theta = torch.cat([linear, shift[..., None]], dim=-1).to(loose.device)
    grid = functional.affine_grid(theta, [n, 3, CROP, CROP], align_corners=False)
    return functional.grid_sample(loose, grid, padding_mode="border", align_corners=False)


def _strong_blur(images: Tensor, rng: np.random.Generator) -> Tensor:
    """A Gaussian blur of two to four pixels of the final crop."""
    sigma = float(rng.uniform(2.0, 4.0)) * images.shape[-1] / CROP
    reach = torch.arange(-15, 16, device=images.device, dtype=torch.float32)
    kernel = torch.exp(-(reach**2) / (2 * sigma**2))
    kernel = (kernel / kernel.sum()).expand(3, 1, -1)
    padded = functional.pad(images, (15, 15, 15, 15), mode="replicate")
    rows = functional.conv2d(padded, kernel[:, :, None], groups=3)
    return functional.conv2d(rows, kernel[..., None], groups=3)


def _wiped(images: Tensor, rng: np.random.Generator) -> Tensor:
    """Aligned crops (n, 3, H, H) whose eyes or whose nose and mouth are smeared into plain skin, with a soft edge."""
    n, side = len(images), images.shape[-1]

    def draw(low: float, high: float) -> Tensor:
        return torch.as_tensor(rng.uniform(low, high, (n, 1, 1, 1)), dtype=torch.float32, device=images.device)

    axis = (torch.arange(side, device=images.device, dtype=torch.float32) + 0.5) / side
    middle = torch.where(draw(0, 1) < 0.4, draw(0.38, 0.50), draw(0.68, 0.82))
    across = (axis[None, None, None, :] - draw(0.42, 0.58)) / draw(0.42, 0.62)
    along = (axis[None, None, :, None] - middle) / draw(0.20, 0.34)
    inside = torch.sigmoid((1 - (across.square() + along.square()).sqrt()) * draw(6, 14))
    return images + inside * (_strong_blur(images, rng) - images)


def _attacked(model: nn.Module, images: Tensor, classes: Tensor, rng: np.random.Generator) -> Tensor:
    """Crops (n, 3, H, H) painted over faintly so that the recogniser takes them for random other people.

    Each step goes along the gradient, without its finest detail, by the same distance for every picture.
    """
    goals = functional.normalize(classes[rng.integers(len(classes) - 1, size=len(images))].detach().float(), dim=-1)
    sizes = torch.as_tensor(rng.uniform(0.0, _ATTACK, (len(images), 1, 1, 1)), dtype=torch.float32).to(images.device)
    model.eval()
    for _ in range(_ATTACK_STEPS):
        images = images.detach().requires_grad_(True)
        likeness = (functional.normalize(model.features(images), dim=-1) * goals).sum()  # type: ignore[operator]
        (slope,) = torch.autograd.grad(likeness, images)
        slope = functional.avg_pool2d(functional.pad(slope, (1, 1, 1, 1), mode="replicate"), 3, 1)
        length = slope.square().mean(dim=(1, 2, 3), keepdim=True).sqrt().clamp(min=1e-12)
        images = (images + sizes / _ATTACK_STEPS * slope / length).clamp(-1.2, 1.2)
    model.train()
    return images.detach()


def train_recogniser(place: Place, role: str, plan: Plan = RECOGNISER_PLAN) -> None:
    """Trains the `reward` or the `scoring` recogniser, each on its own pool; saves `<out>/face_recogniser_<role>`."""
    pool = {"reward": "train-a", "scoring": "train-b"}[role]
    crops, people, traits = _crop_source(place, pool)
    _, labels = np.unique(people, return_inverse=True)
    held = dataset.load(place.data, "held-out", "video"), dataset.load(place.data, "held-out", "photo")
    torch.manual_seed({"reward": 11, "scoring": 23}[role] + plan.seed)
    model = (ResidualRecogniser() if role == "reward" else PlainRecogniser()).to(place.device)
    begin_from(place, model, f"face_recogniser_{role}")
    # One class more than people: faces blurred beyond recognition, and those that lack eyes or mouth, are nobody, so
    # that leaving features out earns no likeness.
    nobody = int(labels.max()) + 1
    classes = nn.Linear(128, nobody + 1, bias=False).to(place.device)
    reader = nn.Linear(128, traits.shape[1]).to(place.device)
    by_person = [np.flatnonzero(labels == k) for k in range(int(labels.max()) + 1)]
    print(
        f"{len(crops)} crops of {len(by_person)} people, {sum(p.numel() for p in model.parameters()) / 1e6:.2f} M",
        flush=True,
    )

    def step(_: int, rng: np.random.Generator) -> dict[str, Tensor]:
        # Two pictures a person, so that rare people count as much as frequent ones.
        who = rng.integers(len(by_person), size=plan.batch // 2)
        pick = np.concatenate([rng.choice(by_person[k], size=2) for k in who])
        target = torch.from_numpy(labels[pick]).to(place.device)
        loose = crops[pick].to(place.device).float() / 127.5 - 1
        target[: _BLURRED + _WIPED] = nobody
        loose[:_BLURRED] = _strong_blur(loose[:_BLURRED], rng)
        loose[_BLURRED : _BLURRED + _WIPED] = _wiped(loose[_BLURRED : _BLURRED + _WIPED], rng)
        images = disturb(_final_crop(loose, rng, 1.0), rng)
        if role == "scoring":
            # The judge learns not to be talked into likeness by what pleases a network like it.
            images[-_ATTACKED:] = _attacked(model, images[-_ATTACKED:], classes.weight, rng)
        found = model.features(images)
        cosine = functional.normalize(found, dim=-1) @ functional.normalize(classes.weight.float(), dim=-1).T
        margin = 0.30 * min(1.0, trainer.share / 0.3)
        cosine = cosine - margin * functional.one_hot(target, cosine.shape[1])
        named = functional.cross_entropy(_SCALE * cosine, target)
        # The renderer knows what a face is made of, and a picture of anybody teaches it, where a class teaches of its
        # own people alone. Nobody's pictures have no traits.
        somebody = target != nobody
        wanted = traits[pick].to(place.device)
        unread = (reader(found[somebody]) - wanted[somebody]).square().mean()
        return {"total": named + _TRAITS * unread, "named": named.detach(), "traits": unread.detach()}

    def look(_: int) -> dict[str, float]:
        return measure_recogniser(model, held, place.device)

    name = f"face_recogniser_{role}"
    modules = {"model": model, "classes": classes, "reader": reader}
    trainer = Trainer(name, modules, step, plan, place, look, look_every=1500)
    quality = trainer.run()
    folder = place.out / name
    save_network(folder, model, network=type(model).__name__)
    data = f"{len(crops)} face crops of {len(by_person)} people of pool {pool}"
    write_card(folder, type(model).__name__, f"face recogniser, {role}", data, trainer, plan, quality)


def measure_recogniser(
    model: nn.Module, held: tuple[dataset.Shard, dataset.Shard], device: torch.device
) -> dict[str, float]:
    """Verification over pairs of different videos or photos of held-out people: ROC AUC, mean cosines."""
    found, people, shots = [], [], []
    for k, shard in enumerate(held):
        times = [0, shard.frames.shape[1] - 1] if shard.frames.shape[1] > 1 else [0]
        for t in times:
            crops = crop_faces(to_images(shard.frames[:, t]), torch.from_numpy(shard.landmarks[:, t])).to(device)
            with torch.no_grad():
                found.append(torch.cat([embed_faces(model, part) for part in crops.split(128)]).cpu())
            people.append(shard.person)
            shots.append(np.arange(len(shard.person)) + 100000 * k)
    e, who, shot = torch.cat(found), np.concatenate(people), np.concatenate(shots)
    cosine = (e @ e.T).numpy()
    upper = np.triu(np.ones_like(cosine, bool), 1) & (shot[:, None] != shot[None])
    same = who[:, None] == who[None]
    true, false = cosine[upper & same], cosine[upper & ~same]
    return {"auc": auc(true, false), "same": float(true.mean()), "different": float(false.mean())}


def auc(positive: NDArray[np.floating], negative: NDArray[np.floating]) -> float:
    """Area under the ROC curve: the chance that a positive score exceeds a negative one."""
    order = np.argsort(np.concatenate([positive, negative]), kind="stable")
    ranks = np.empty(len(order))
    ranks[order] = np.arange(1, len(order) + 1)
    n = len(positive)
    return float((ranks[:n].sum() - n * (n + 1) / 2) / (n * len(negative)))
