"""Trains the image encoder of the photo prompt: CLIP on faces and sentences about them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from pvbench.features.face import crop_faces
from pvbench.world.caption import subject_words
from workshop import dataset
from workshop.train.autoencoder import to_images
from workshop.train.captions import describe, tokens
from workshop.train.card import write_card
from workshop.train.disturb import disturb
from workshop.train.loop import Place, Plan, Trainer
from workshop.train.motion import load_sides

PLAN = Plan(steps=1500, batch=96, rate=1e-3, average=0.998, weight_decay=0.05, decay=0.5, precision="auto")
SIDE, WIDTH = 64, 128
SPREAD = 1.0  # of the face's crop, as published: hair is mostly outside


def train_image_encoder(place: Place, plan: Plan = PLAN) -> None:
    """Trains a CLIP image encoder on faces of pool train-a and sentences about them; saves `<out>/face_image_encoder`.

    Sentences say age, noun, hair, beard and glasses, in the vectors of the backbone's text encoder, which stays as it
    is.
    """
    tokenizer, text, _ = load_sides(place)
    shard, held = (dataset.load(place.data, pool, "photo") for pool in ("train-a", "held-out"))
    torch.manual_seed(61 + plan.seed)
    model = make_image_encoder().to(place.device)
    said = nn.Linear(int(text.config.hidden_size), WIDTH, bias=False).to(place.device)
    faces = faces_of(shard)
    print(f"{len(faces)} faces, {sum(p.numel() for p in model.parameters()) / 1e6:.2f} M parameters", flush=True)

    def step(_: int, rng: np.random.Generator) -> dict[str, Tensor]:
        pick = rng.choice(len(faces), size=min(plan.batch, len(faces)), replace=False)
        images = disturb(to_images(faces[pick]).to(place.device), rng, 0.4, worn=0.4)
        texts = [subject_words(describe(shard.labels[i])[0], rng, 0.9) for i in pick]
        loss = contrast(model, said, images, _sentences(text, tokenizer, texts, place.device))
        return {"total": loss, "contrast": loss.detach()}

    def look(_: int) -> dict[str, float]:
        return {"named": _named(model, said, text, tokenizer, held, place.device)}

    trainer = Trainer("face_image_encoder", {"model": model, "said": said}, step, plan, place, look, look_every=1000)
    quality = trainer.run()
    folder = place.out / "face_image_encoder"
    model.half().save_pretrained(folder)
    write_card(folder, "CLIPVisionModelWithProjection", "image encoder of the photo prompt",
               f"{len(faces)} photos of pool train-a", trainer, plan, quality)  # fmt: skip


def make_image_encoder() -> Any:
    """A small CLIP image encoder, of transformers' own class, so that diffusers' loaders take its folder."""
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    return CLIPVisionModelWithProjection(
        CLIPVisionConfig(
            hidden_size=WIDTH, intermediate_size=3 * WIDTH, projection_dim=WIDTH, num_hidden_layers=4,
            num_attention_heads=4, image_size=SIDE, patch_size=8, hidden_act="gelu",
        )
    )  # fmt: skip


def contrast(model: Any, said: nn.Module, images: Tensor, sentences: Tensor, scale: float = 20.0) -> Tensor:
    """CLIP's loss: each image is nearest to its own sentence, each sentence to its own image.

    Sentences that several people share are all right.
    """
    seen = functional.normalize(model(images).image_embeds, dim=-1)
    told = functional.normalize(said(sentences), dim=-1)
    logits = scale * seen @ told.T
    same = (sentences[:, None] - sentences[None]).abs().amax(dim=-1) < 1e-5
    target = same / same.sum(dim=1, keepdim=True)
    return (functional.cross_entropy(logits, target) + functional.cross_entropy(logits.T, target)) / 2


@torch.no_grad()
def _sentences(text: Any, tokenizer: Any, texts: list[str], device: torch.device) -> Tensor:
    found: Tensor = text(tokens(tokenizer, texts).to(device)).pooler_output
    return found


@torch.no_grad()
def _named(model: Any, said: Any, text: Any, tokenizer: Any, held: dataset.Shard, device: torch.device) -> float:
    """Share of 128 held-out faces that are nearest to a sentence like their own among all of theirs."""
    faces, rng = faces_of(held)[:128], np.random.default_rng(7)
    texts = [subject_words(describe(row)[0], rng, 1.0) for row in held.labels[: len(faces)]]
    seen = functional.normalize(model(to_images(faces).to(device)).image_embeds, dim=-1)
    told = functional.normalize(said(_sentences(text, tokenizer, texts, device)), dim=-1)
    nearest = (seen @ told.T).argmax(dim=1).tolist()
    return float(np.mean([texts[i] == texts[k] for i, k in enumerate(nearest)]))


def faces_of(shard: dataset.Shard, spread: float = SPREAD) -> NDArray[np.uint8]:
    """Aligned faces (n, SIDE, SIDE, 3) of a shard's first frames."""
    parts = []
    for start in range(0, len(shard.frames), 512):
        part = slice(start, start + 512)
        crops = crop_faces(to_images(shard.frames[part, 0]), torch.from_numpy(shard.landmarks[part, 0]), SIDE, spread)
        parts.append(((crops + 1) * 127.5).round().clamp(0, 255).byte().permute(0, 2, 3, 1).numpy())
    return np.concatenate(parts)
