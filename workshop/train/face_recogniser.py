"""Trains the two face recognisers."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from pvbench.features.face import CROP, crop_faces, embed_faces
from pvbench.features.mini.face_networks import PlainRecogniser, ResidualRecogniser
from workshop import dataset
from workshop.train.autoencoder import to_images
from workshop.train.card import write_card
from workshop.train.disturb import disturb
from workshop.train.loop import Place, Plan, Trainer
from workshop.train.networks import begin_from, save_network

_BLURRED = _WIPED = 8  # of a recogniser's batch
_ATTACKED = 48  # of the scoring recogniser's batch
_ATTACK, _ATTACK_STEPS = 0.3, 2  # root mean square at most, on crops in [-1, 1]
_SCALE = 40  # of a recogniser's cosines in the softmax
_TRAITS = 80  # weight of the mean squared error of the traits
RECOGNISER_PLAN = Plan(steps=9000, batch=128, rate=2e-3, average=0.999, weight_decay=5e-3, decay=0.6)


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


def strong_blur(images: Tensor, rng: np.random.Generator, spread: float = 1.0) -> Tensor:
    """A Gaussian blur of two to four pixels of the final tight crop.

    Args:
        spread: of the crops; that of the tight ones is 1.
    """
    sigma = float(rng.uniform(2.0, 4.0)) * images.shape[-1] / CROP / spread
    reach = torch.arange(-15, 16, device=images.device, dtype=torch.float32)
    kernel = torch.exp(-(reach**2) / (2 * sigma**2))
    kernel = (kernel / kernel.sum()).expand(3, 1, -1)
    padded = functional.pad(images, (15, 15, 15, 15), mode="replicate")
    rows = functional.conv2d(padded, kernel[:, :, None], groups=3)
    return functional.conv2d(rows, kernel[..., None], groups=3)


def wiped(images: Tensor, rng: np.random.Generator, spread: float = 1.0) -> Tensor:
    """Aligned crops (n, 3, H, H) whose eyes or whose nose and mouth are smeared into plain skin, with a soft edge.

    Args:
        spread: of the crops; that of the tight ones is 1.
    """
    n, side = len(images), images.shape[-1]

    def draw(low: float, high: float) -> Tensor:
        return torch.as_tensor(rng.uniform(low, high, (n, 1, 1, 1)), dtype=torch.float32, device=images.device)

    axis = ((torch.arange(side, device=images.device, dtype=torch.float32) + 0.5) / side - 0.5) * spread + 0.5
    middle = torch.where(draw(0, 1) < 0.4, draw(0.38, 0.50), draw(0.68, 0.82))
    across = (axis[None, None, None, :] - draw(0.42, 0.58)) / draw(0.42, 0.62)
    along = (axis[None, None, :, None] - middle) / draw(0.20, 0.34)
    inside = torch.sigmoid((1 - (across.square() + along.square()).sqrt()) * draw(6, 14))
    return images + inside * (strong_blur(images, rng, spread) - images)


def attacked(model: nn.Module, images: Tensor, classes: Tensor, rng: np.random.Generator) -> Tensor:
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
        loose[:_BLURRED] = strong_blur(loose[:_BLURRED], rng)
        loose[_BLURRED : _BLURRED + _WIPED] = wiped(loose[_BLURRED : _BLURRED + _WIPED], rng)
        images = disturb(_final_crop(loose, rng, 1.0), rng)
        if role == "scoring":
            # The judge learns not to be talked into likeness by what pleases a network like it.
            images[-_ATTACKED:] = attacked(model, images[-_ATTACKED:], classes.weight, rng)
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
