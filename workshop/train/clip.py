"""Trains two open_clip models: the scoring CLIP and the reward's, which is then tuned on preferences as HPSv2 is."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from pvbench.features.mini.clip_networks import ClipModel, fit
from pvbench.world import vocabulary
from pvbench.world.action import FACE_ACTIONS
from pvbench.world.judge import sentence_embeddings, sentences
from pvbench.world.person import BEARD_ODDS
from workshop import dataset
from workshop.train.autoencoder import to_images
from workshop.train.captions import MAX_TOKENS, build_tokenizer, random_caption, tokens
from workshop.train.card import write_card
from workshop.train.disturb import disturb
from workshop.train.loop import Place, Plan, Trainer

PLAN = Plan(steps=5000, batch=96, rate=1.5e-3, average=0.998, weight_decay=0.05, decay=0.6, warmup=200)
_TEXT = {"context_length": MAX_TOKENS, "width": 128, "heads": 4, "layers": 3}
_VISION: dict[str, dict[str, Any]] = {
    # Different depth and width on different people. Both see frames at one and a half their size: the stem halves
    # pictures twice, and a mouth has to survive that. A transformer with 8-pixel patches costs three times as much.
    "scoring": {"image_size": 96, "layers": [1, 1, 1, 1], "width": 20},
    "reward": {"image_size": 96, "layers": [2, 2, 2, 1], "width": 16},
}
_MEAN = (0.5, 0.5, 0.5)
_TAUGHT: dict[str, dict[str, float]] = {
    # Weights of sentences that differ in one label alone, and of its classes; those of a role sum to 1. Looks are a few
    # pixels of a frame, as expressions are, and beards and glasses take longest. The reward's CLIP is not taught them:
    # a method that pleases it gains nothing in CLIP-I.
    "scoring": {
        "scene": 0.05, "colour": 0.06, "expression": 0.14, "hair": 0.16, "hair_colour": 0.1, "beard": 0.26,
        "glasses": 0.23,
    },
    "reward": {"scene": 0.15, "colour": 0.2, "expression": 0.65},
}  # fmt: skip
_FINE = ("expression", "hair", "hair_colour", "beard", "glasses")
_WORN = {"scoring": 0.15, "reward": 0.25}  # factor on what hides small things in a picture: grey, blur, coarse pixels
_BARE = 0.4  # share of a batch without a beard, where beards are taught; the four kinds of beard share the rest


def make_config(role: str, vocabulary: int) -> dict[str, Any]:
    """open_clip's configuration of the model."""
    return {"embed_dim": 128, "vision_cfg": _VISION[role], "text_cfg": {**_TEXT, "vocab_size": vocabulary}}


def make_model(role: str, vocabulary: int, folder: Path) -> nn.Module:
    """A fresh open_clip model of that role."""
    import open_clip

    folder.mkdir(parents=True, exist_ok=True)
    name = f"pvbench-mini-{role}"
    (folder / f"{name}.json").write_text(json.dumps(make_config(role, vocabulary), indent=2) + "\n")
    open_clip.add_model_config(folder / f"{name}.json")
    found: nn.Module = open_clip.create_model(name, output_dict=True)
    return found


def train(place: Place, role: str, plan: Plan = PLAN) -> None:
    """Trains one CLIP; saves `<out>/clip_<role>` in open_clip's local-folder format."""
    pool = {"scoring": "train-b", "reward": "train-a"}[role]
    shards = [dataset.load(place.data, pool, kind) for kind in dataset.DOMAINS]
    held = dataset.load(place.data, "held-out", "photo"), dataset.load(place.data, "held-out", "video")
    folder = place.out / f"clip_{role}"
    tokenizer = build_tokenizer(folder, place.start and place.start / f"clip_{role}")
    torch.manual_seed({"scoring": 41, "reward": 53}[role] + plan.seed)
    model = make_model(role, len(tokenizer), folder).to(place.device)
    if place.start is not None:
        state = load_file(place.start / f"clip_{role}" / "open_clip_model.safetensors")
        model.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in state.items()})
    print(f"{sum(p.numel() for p in model.parameters()) / 1e6:.2f} M parameters", flush=True)
    # Used in training alone. As long as pictures hold no expression, sentences gain nothing by telling them apart, and
    # the other way round: both stayed where they began for thousands of steps. A class to aim at and faces seen from
    # close by (`_nearer`) together end that; the class without them had changed nothing in 300 steps.
    taught = _TAUGHT[role]
    heads = nn.ModuleDict({name: nn.Linear(128, len(vocabulary.LABELS[name])) for name in _FINE if name in taught})
    heads.to(place.device)
    odds = [_odds(shard, taught) for shard in shards]

    def batch(rng: np.random.Generator) -> tuple[Tensor, list[np.ndarray], Tensor]:
        half = plan.batch // 2
        frames, labels, marks = [], [], []
        for shard, chance in zip(shards, odds, strict=True):
            pick = rng.choice(len(shard.frames), size=half, p=chance)
            time = rng.integers(shard.frames.shape[1], size=half)
            frames.append(shard.frames[pick, time])
            labels += list(shard.labels[pick])
            marks.append(shard.landmarks[pick, time])
        return to_images(np.concatenate(frames)), labels, torch.from_numpy(np.concatenate(marks))

    def step(_: int, rng: np.random.Generator) -> dict[str, Tensor]:
        images, labels, marks = batch(rng)
        nearest = 1 + 2.5 * min(1.0, max(0.0, 1.25 * (0.8 - trainer.share)))
        zoom = np.where(rng.random(len(images)) < 0.5, 1.0, 1 + rng.uniform(0.6, 1.0, len(images)) * (nearest - 1))
        images = _nearer(images, marks, zoom).to(place.device)
        images = disturb(images, rng, 0.35, worn=_WORN[role])
        words = tokens(tokenizer, [random_caption(row, rng) for row in labels]).to(place.device)
        found = model(fit(model, images), words)
        scale = found["logit_scale"].clamp(max=100)
        # From close by a caption's scene and clothes are out of sight.
        whole = zoom < 1.6
        logits = scale * found["image_features"][whole].float() @ found["text_features"][whole].float().T
        numbers = torch.arange(len(logits), device=place.device)
        loss = (functional.cross_entropy(logits, numbers) + functional.cross_entropy(logits.T, numbers)) / 2
        # Scene and clothes tell most captions of a batch apart; an expression needs sentences that differ in it alone.
        fine = _attributes(model, found, labels, tokenizer, taught, rng)
        share = 1 / sum(taught[name] for name in heads)
        seen = 10 * found["image_features"].float()
        named = [share * taught[name] * _label_loss(head(seen).float(), labels, name) for name, head in heads.items()]
        face = torch.stack(named).sum()
        losses = {
            "total": loss + fine + face,
            "contrast": loss.detach(),
            "attribute": fine.detach(),
            "face": face.detach(),
        }
        if role == "reward" and trainer.share > 0.6:
            extra = _preference(model, images, found, labels, tokenizer, rng)
            losses |= {"total": losses["total"] + 0.5 * extra, "preference": extra.detach()}
        return losses

    def look(_: int) -> dict[str, float]:
        return measure(model, tokenizer, held, place.device, tuple(taught))

    trainer = Trainer(f"clip_{role}", {"model": model, "heads": heads}, step, plan, place, look, look_every=500)
    quality = trainer.run()
    state = {
        k: v.half().contiguous().cpu() if v.is_floating_point() else v.cpu() for k, v in model.state_dict().items()
    }
    save_file(state, folder / "open_clip_model.safetensors")
    preprocess = {"mean": list(_MEAN), "std": list(_MEAN), "interpolation": "bicubic", "resize_mode": "squash"}
    config = {"model_cfg": make_config(role, len(tokenizer)), "preprocess_cfg": preprocess}
    (folder / "open_clip_config.json").write_text(json.dumps(config, indent=2) + "\n")
    (folder / f"pvbench-mini-{role}.json").unlink()
    data = f"photos and videos of pool {pool}"
    write_card(folder, "CLIP", f"text-image match, {role}", data, trainer, plan, quality)


def _beard_shares() -> np.ndarray:
    """How often people of the world wear each kind of beard, women among them."""
    men = np.array(BEARD_ODDS)
    shares: np.ndarray = men / 2
    shares[0] += 0.5
    return shares


def _drawn_shares() -> np.ndarray:
    """How often each kind of beard is drawn in training."""
    kinds = len(vocabulary.LABELS["beard"]) - 1
    return np.array([_BARE] + [(1 - _BARE) / kinds] * kinds)


def _odds(shard: dataset.Shard, taught: Mapping[str, float]) -> np.ndarray:
    """The chance (n,) of each sample of a shard: beards are drawn more often than they are worn, where they are taught.

    Of the photos and videos 4 % have a moustache: drawn as they come, hardly one of them was ever named.
    """
    if "beard" not in taught:
        return np.full(len(shard.frames), 1 / len(shard.frames))
    kind = shard.label("beard").astype(np.int64)
    counts = np.bincount(kind, minlength=len(vocabulary.LABELS["beard"]))
    chance = (_drawn_shares() / np.maximum(counts, 1))[kind]
    found: np.ndarray = chance / chance.sum()
    return found


def _more_often(name: str) -> Tensor:
    """By how much the logits of a label's values are raised while they are drawn oftener than they are met.

    What is learnt then names them as often as they are met (Menon et al. 2021, logit adjustment).
    """
    if name != "beard":
        return torch.zeros(len(vocabulary.LABELS[name]))
    return torch.as_tensor(np.log(_drawn_shares() / _beard_shares()), dtype=torch.float32)


def _nearer(images: Tensor, landmarks: Tensor, zoom: np.ndarray) -> Tensor:
    """Images zoomed in on their faces, which stay where they are.

    An expression is a few pixels of a frame: it is learnt from close by first and then recognised from afar.

    Args:
        images: (n, 3, H, H).
        landmarks: (n, 5, 2) pixels.
        zoom: (n,), at least 1.
    """
    side = images.shape[-1]
    share = torch.as_tensor(1 / zoom, dtype=torch.float32)
    theta = torch.zeros(len(images), 2, 3)
    theta[:, 0, 0] = theta[:, 1, 1] = share
    theta[:, :, 2] = (landmarks.mean(dim=1) / (side / 2) - 1) * (1 - share)[:, None]
    grid = functional.affine_grid(theta, list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, padding_mode="reflection", align_corners=False)


def _face_at_rest(labels: np.ndarray) -> np.ndarray:
    """Which rows (n,) of labels (n, len(LABELS)) show their expression: no action moves the face."""
    moving = [vocabulary.LABELS["action"].index(action) for action in FACE_ACTIONS]
    shown: np.ndarray = ~np.isin(labels[:, list(vocabulary.LABELS).index("action")], moving)
    return shown


def _shown(labels: Sequence[np.ndarray], name: str) -> np.ndarray:
    """Which rows show their value of a label: a cap hides hair, and an action can move the face."""
    rows = np.stack(labels)
    if name == "expression":
        return np.flatnonzero(_face_at_rest(rows))
    if name in ("hair", "hair_colour"):
        return np.flatnonzero(rows[:, list(vocabulary.LABELS).index("cap")] == vocabulary.LABELS["cap"].index(""))
    return np.arange(len(rows))


def _label_loss(logits: Tensor, labels: Sequence[np.ndarray], name: str) -> Tensor:
    """Cross entropy of a label's value over the pictures that show it.

    Args:
        logits: (n, values of the label), of n pictures.
        labels: of the n pictures, each (len(LABELS),).
    """
    use, column = _shown(labels, name), list(vocabulary.LABELS).index(name)
    target = torch.tensor([int(labels[i][column]) for i in use], device=logits.device)
    return functional.cross_entropy(logits[use] + _more_often(name).to(logits.device), target)


def _attributes(
    model: Any,
    found: Mapping[str, Tensor],
    labels: Sequence[np.ndarray],
    tokenizer: Any,
    taught: Mapping[str, float],
    rng: np.random.Generator,
) -> Tensor:
    """Cross entropy over sentences that name every value of one label, summed over labels by their weights."""
    noun = str(rng.choice(["a person", "a man", "a woman"]))
    texts = {name: [text.replace("a person", noun) for text in sentences(name)] for name in taught}
    image = found["image_features"].float()
    words = tokens(tokenizer, [text for some in texts.values() for text in some]).to(image.device)
    said = functional.normalize(model.encode_text(words).float(), dim=-1).split([len(some) for some in texts.values()])
    scale = found["logit_scale"].clamp(max=100)
    losses = [
        weight * _label_loss(scale * image @ text.T, labels, name)
        for (name, weight), text in zip(taught.items(), said, strict=True)
    ]
    return torch.stack(losses).sum()


def _preference(
    model: Any,
    images: Tensor,
    found: dict[str, Tensor],
    labels: list[np.ndarray],
    tokenizer: Any,
    rng: np.random.Generator,
) -> Tensor:
    """People prefer the clean picture and the right sentence: a ranking loss over damaged pictures and wrong words."""
    count = 24
    clean = images[:count]
    worn = clean
    for _ in range(int(rng.integers(1, 4))):
        worn = functional.avg_pool2d(functional.pad(worn, (1, 1, 1, 1), mode="replicate"), 3, 1)
    if rng.random() < 0.5:
        worn = worn + float(rng.uniform(0.05, 0.25)) * torch.randn_like(worn)
    if rng.random() < 0.4:
        worn = worn + float(rng.uniform(0.3, 1)) * (worn.mean(dim=1, keepdim=True) - worn)
    bad = functional.normalize(model.encode_image(fit(model, worn)).float(), dim=-1)
    text = found["text_features"][:count].float()
    scale = found["logit_scale"].clamp(max=100)
    better = (found["image_features"][:count].float() * text).sum(dim=-1)
    ranking = -functional.logsigmoid(scale * (better - (bad * text).sum(dim=-1))).mean()
    wrong = [_wrong_labels(row, rng) for row in labels[:count]]
    words = tokens(tokenizer, [random_caption(row, rng) for row in wrong]).to(images.device)
    other = functional.normalize(model.encode_text(words).float(), dim=-1)
    image = found["image_features"][:count].float()
    return ranking - functional.logsigmoid(scale * (better - (image * other).sum(dim=-1))).mean()


def _wrong_labels(row: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The labels with one of scene, colour, clothes or expression changed."""
    row = row.copy()
    name = str(rng.choice(["scene", "colour", "clothes", "expression"]))
    column = list(vocabulary.LABELS).index(name)
    others = [k for k in range(len(vocabulary.LABELS[name])) if k != row[column]]
    row[column] = rng.choice(others)
    return row


def classify(network: ClipModel, images: Tensor, name: str) -> Tensor:
    """Most fitting value of a label for each image (n,), averaged over both class nouns."""
    text = torch.from_numpy(sentence_embeddings(network, name)).to(images.device)
    with torch.no_grad():
        seen = torch.cat([network.images(part) for part in images.split(128)])
    return (seen @ text.T).argmax(dim=-1)


def measure(
    model: Any, tokenizer: Any, held: Sequence[dataset.Shard], device: torch.device, names: Sequence[str]
) -> dict[str, float]:
    """Share right on held-out people, of each label that is named: of photos and single frames, and of whole videos.

    A whole video, `<label>_of_videos`, is named by the mean cosine of its frames, as CLIP-T has it.
    """
    network = ClipModel(model, tokenizer, MAX_TOKENS, device)
    frames: dict[str, list[bool]] = {name: [] for name in names}
    videos: dict[str, list[bool]] = {name: [] for name in names}
    for shard in held:
        seen = _embeddings(network, shard.frames[:384], device)
        labels = shard.labels[:384]
        for name in names:
            use = _shown(list(labels), name)
            truth = labels[use, list(vocabulary.LABELS).index(name)]
            cosines = seen[use] @ sentence_embeddings(network, name).T
            frames[name] += list(cosines[:, cosines.shape[1] // 2].argmax(axis=-1) == truth)
            if shard.frames.shape[1] > 1:
                videos[name] += list(cosines.mean(axis=1).argmax(axis=-1) == truth)
    found = {name: float(np.mean(right)) for name, right in frames.items()}
    return found | {f"{name}_of_videos": float(np.mean(right)) for name, right in videos.items() if right}


def _embeddings(network: ClipModel, videos: np.ndarray, device: torch.device) -> np.ndarray:
    """Of every frame (n, T, d) of videos (n, T, H, W, 3)."""
    flat = to_images(videos.reshape(-1, *videos.shape[2:]))
    with torch.no_grad():
        found = torch.cat([network.images(some.to(device)).cpu() for some in flat.split(128)])
    return found.reshape(*videos.shape[:2], -1).numpy()


def shorter(plan: Plan, steps: int) -> Plan:
    """The plan with another number of steps."""
    return replace(plan, steps=steps)
