"""Trains the two networks of whole heads: the recogniser, and the reader of looks."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from pvbench.features.face import embed_faces
from pvbench.features.mini.head_networks import HeadRecogniser, LookReader, crop_heads
from pvbench.features.mini.part import HEAD_SPREAD
from pvbench.world.head import LOOKS
from pvbench.world.vocabulary import LABELS
from workshop import dataset
from workshop.train.autoencoder import to_images
from workshop.train.card import write_card
from workshop.train.disturb import disturb
from workshop.train.face_recogniser import attacked, auc, strong_blur, wiped
from workshop.train.loop import Place, Plan, Trainer
from workshop.train.networks import begin_from, save_network

HEAD_PLAN = Plan(steps=2500, batch=96, rate=2e-3, average=0.998, weight_decay=5e-3, decay=0.6, precision="float32")
LOOK_PLAN = Plan(steps=2000, batch=96, rate=2e-3, average=0.995, weight_decay=5e-3, decay=0.6, precision="float32")
_BLURRED, _WIPED, _ATTACKED = 3, 9, 16  # pictures of a batch
_SCALE, _MARGIN = 40, 0.3
_LANDMARK_ERROR = 0.5  # pixels, standard deviation; the detector's
_MEASURED = 64  # groups of held-out people


def _pictures(shard: dataset.Shard) -> tuple[NDArray[np.uint8], Tensor]:
    """Frames uint8 (n, T, H, W, 3) and landmarks (n, T, 5, 2)."""
    return shard.frames, torch.from_numpy(shard.landmarks)


def _crops(frames: NDArray[np.uint8], landmarks: Tensor, rng: np.random.Generator) -> Tensor:
    """Heads (n, 3, side, side) as a detector's landmarks would cut them out, every second one mirrored."""
    error = torch.as_tensor(rng.normal(size=landmarks.shape) * _LANDMARK_ERROR, dtype=torch.float32)
    heads = crop_heads(to_images(frames), landmarks + error)
    mirror = torch.as_tensor(rng.random(len(heads)) < 0.5)
    return torch.where(mirror[:, None, None, None], heads.flip(-1), heads)


def train_head_recogniser(place: Place, plan: Plan = HEAD_PLAN) -> None:
    """Trains on doubles of pool train-b, each of whom is somebody else; saves `<out>/head_recogniser`.

    It knows no traits and sees another crop than the face recognisers, so that it errs in other ways than they do.
    """
    frames, landmarks = _pictures(dataset.load(place.data, "train-b", "double"))
    held = dataset.load(place.data, "held-out", "double")
    torch.manual_seed(31 + plan.seed)
    model = HeadRecogniser().to(place.device)
    begin_from(place, model, "head_recogniser")
    people, times = frames.shape[:2]
    classes = nn.Linear(128, people + 1, bias=False).to(place.device)
    members = np.arange(people).reshape(-1, dataset.DOUBLES)
    per_step = plan.batch // (2 * dataset.DOUBLES)
    print(f"{people * times} heads of {people} people", flush=True)

    def step(_: int, rng: np.random.Generator) -> dict[str, Tensor]:
        group = rng.choice(len(members), size=min(per_step, len(members)), replace=False)
        who = np.repeat(members[group].ravel(), 2)
        when = rng.integers(times, size=len(who))
        target = torch.from_numpy(who).to(place.device)
        images = _crops(frames[who, when], landmarks[who, when], rng).to(place.device)
        # Whoever lacks eyes or mouth, or is a blur, is nobody.
        spoilt = rng.permutation(len(who))[: _BLURRED + _WIPED]
        images[spoilt[:_BLURRED]] = strong_blur(images[spoilt[:_BLURRED]], rng, HEAD_SPREAD)
        images[spoilt[_BLURRED:]] = wiped(images[spoilt[_BLURRED:]], rng, HEAD_SPREAD)
        target[torch.from_numpy(spoilt)] = people
        images = disturb(images, rng, 0.27, worn=0.3)
        images[-_ATTACKED:] = attacked(model, images[-_ATTACKED:], classes.weight, rng)
        found = functional.normalize(model.features(images), dim=-1)
        cosine = found @ functional.normalize(classes.weight.float(), dim=-1).T
        margin = _MARGIN * min(1.0, trainer.share / 0.3)
        cosine = cosine - margin * functional.one_hot(target, cosine.shape[1])
        loss = functional.cross_entropy(_SCALE * cosine, target)
        return {"total": loss, "named": loss.detach()}

    def look(_: int) -> dict[str, float]:
        return measure_head_recogniser(model, held, place.device)

    trainer = Trainer("head_recogniser", {"model": model, "classes": classes}, step, plan, place, look, look_every=1000)
    quality = trainer.run()
    folder = place.out / "head_recogniser"
    save_network(folder, model)
    data = f"{people * times} heads of {people} doubles of pool train-b"
    write_card(folder, "HeadRecogniser", "recogniser of whole heads", data, trainer, plan, quality)


def measure_head_recogniser(model: HeadRecogniser, held: dataset.Shard, device: torch.device) -> dict[str, float]:
    """How often a picture is nearer to another of the same person than one of each kind of double; mean cosines."""
    count = _MEASURED * dataset.DOUBLES
    frames, landmarks = held.frames[:count], torch.from_numpy(held.landmarks[:count])
    with torch.no_grad():
        heads = crop_heads(to_images(frames.reshape(-1, *frames.shape[2:])), landmarks.flatten(0, 1))
        found = torch.cat([embed_faces(model, part.to(device)).cpu() for part in heads.split(128)])
    e = found.unflatten(0, (-1, dataset.DOUBLES, frames.shape[1])).numpy()
    own = np.einsum("gtd,gud->gtu", e[:, 0], e[:, 0])
    same = own[:, ~np.eye(own.shape[-1], dtype=bool)].ravel()
    kinds = {name: e[:, k] for k, name in ((1, "other_look"), (2, "look_alike"), (3, "other_skin"))}
    kinds["stranger"] = np.roll(e[:, 0], 1, axis=0)
    scores = {name: np.einsum("gtd,gud->gtu", e[:, 0], other).ravel() for name, other in kinds.items()}
    aucs = {f"auc_{name}": auc(same, values) for name, values in scores.items()}
    return {**aucs, "same": float(same.mean()), **{name: float(values.mean()) for name, values in scores.items()}}


def train_look_reader(place: Place, plan: Plan = LOOK_PLAN) -> None:
    """Trains on doubles of pool train-b; saves `<out>/look_reader`."""
    shard = dataset.load(place.data, "train-b", "double")
    held = dataset.load(place.data, "held-out", "double")
    frames, landmarks = _pictures(shard)
    truth = {name: torch.from_numpy(shard.label(name).astype(np.int64)) for name in LOOKS}
    torch.manual_seed(37 + plan.seed)
    values = {name: len(LABELS[name]) for name in LOOKS}
    model = LookReader(values).to(place.device)
    begin_from(place, model, "look_reader")

    def step(_: int, rng: np.random.Generator) -> dict[str, Tensor]:
        who = rng.integers(len(frames), size=plan.batch)
        when = rng.integers(frames.shape[1], size=plan.batch)
        images = disturb(_crops(frames[who, when], landmarks[who, when], rng).to(place.device), rng, 0.5, worn=0.5)
        logits = model(images)
        losses = {
            name: functional.cross_entropy(logits[name].float(), truth[name][who].to(place.device)) for name in LOOKS
        }
        return {"total": sum(losses.values(), torch.zeros(())), **{n: loss.detach() for n, loss in losses.items()}}

    def look(_: int) -> dict[str, float]:
        return measure_look_reader(model, held, place.device)

    trainer = Trainer("look_reader", {"model": model}, step, plan, place, look, look_every=1000)
    quality = trainer.run()
    folder = place.out / "look_reader"
    save_network(folder, model, values=values)
    data = f"{frames.shape[0] * frames.shape[1]} heads of pool train-b"
    write_card(folder, "LookReader", "tells hair, beard and glasses", data, trainer, plan, quality)


def measure_look_reader(model: LookReader, held: dataset.Shard, device: torch.device) -> dict[str, float]:
    """Share of held-out people's pictures of which each label is told right, each picture by itself."""
    count = _MEASURED * dataset.DOUBLES
    frames, landmarks = held.frames[:count], torch.from_numpy(held.landmarks[:count])
    heads = crop_heads(to_images(frames.reshape(-1, *frames.shape[2:])), landmarks.flatten(0, 1))
    with torch.no_grad():
        parts = [model(part.to(device)) for part in heads.split(128)]
    right = {}
    for name in LOOKS:
        told = torch.cat([part[name].argmax(dim=-1).cpu() for part in parts]).numpy()
        right[name] = float((told == np.repeat(held.label(name)[:count], frames.shape[1])).mean())
    return right
