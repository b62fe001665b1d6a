"""Trains the reader of styles, which tells photos and videos from cartoons and sketches."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from pvbench.backbones.patch_autoencoder import PatchAutoencoder
from pvbench.features.mini.style_network import StyleReader
from pvbench.world.style_reader import KINDS
from pvbench.world.vocabulary import STYLES
from workshop import dataset
from workshop.train.autoencoder import to_images
from workshop.train.card import write_card
from workshop.train.disturb import disturb
from workshop.train.loop import Place, Plan, Trainer
from workshop.train.networks import save_network
from workshop.train.text_to_image import load_vae

PLAN = Plan(steps=2000, batch=64, rate=3e-3, average=0.99, weight_decay=1e-3, precision="float32")
_DECODED = 0.5  # share of a batch that goes through the autoencoder, whose pictures are what is judged later
_MEASURED = 256


def train_style_reader(place: Place, plan: Plan = PLAN) -> None:
    """Trains on photos, videos, cartoons and sketches of pool `train-b`; saves `<out>/style_reader`.

    Styles are taught to the backbone on pool `train-a`. Half of a batch is seen through the autoencoder, so that its
    blur is not a sign of a style.
    """
    frames = _pictures(place, "train-b")
    held = {name: found[:_MEASURED] for name, found in _pictures(place, "held-out").items()}
    vae = load_vae(place)
    torch.manual_seed(41 + plan.seed)
    model = StyleReader(len(KINDS)).to(place.device)

    def step(_: int, rng: np.random.Generator) -> dict[str, Tensor]:
        kind = rng.integers(len(KINDS), size=plan.batch)
        picked = [frames[KINDS[k]] for k in kind]
        images = to_images(np.stack([found[rng.integers(len(found))] for found in picked])).to(place.device)
        images[: int(_DECODED * plan.batch)] = decoded(vae, images[: int(_DECODED * plan.batch)])
        mirror = torch.as_tensor(rng.random(plan.batch) < 0.5, device=place.device)[:, None, None, None]
        images = disturb(torch.where(mirror, images.flip(-1), images), rng, 0.3, worn=0.2)
        loss = functional.cross_entropy(model(images), torch.from_numpy(kind).to(place.device))
        return {"total": loss, "entropy": loss.detach()}

    def look(_: int) -> dict[str, float]:
        return measure_style_reader(model, held, vae, place.device)

    trainer = Trainer("style_reader", {"model": model}, step, plan, place, look, look_every=400)
    quality = trainer.run()
    folder = place.out / "style_reader"
    save_network(folder, model, kinds=len(KINDS))
    data = f"{sum(map(len, frames.values()))} pictures of pool train-b"
    write_card(folder, "StyleReader", "tells photos, cartoons and sketches", data, trainer, plan, quality)


def _pictures(place: Place, pool: str) -> dict[str, np.ndarray]:
    """Pictures uint8 (n, H, W, 3) of each kind; those of videos are photos, one frame of each."""
    photos = dataset.load(place.data, pool, "photo").frames[:, 0]
    videos = dataset.load(place.data, pool, "video").frames
    moments = videos[np.arange(len(videos)), np.arange(len(videos)) % videos.shape[1]]
    # By turns, so that the first so many have both.
    both = min(len(photos), len(moments))
    plain = np.stack([photos[:both], moments[:both]], axis=1).reshape(-1, *photos.shape[1:])
    found = {"photo": np.concatenate([plain, photos[both:], moments[both:]])}
    return found | {style: dataset.load(place.data, pool, style).frames[:, 0] for style in STYLES}


@torch.no_grad()
def decoded(vae: PatchAutoencoder, images: Tensor) -> Tensor:
    """Pictures (n, 3, H, W) in [-1, 1] as the autoencoder gives them back."""
    found: Tensor = vae.decode(vae.encode(images).latent_dist.mean).sample.clamp(-1, 1)  # type: ignore[union-attr]
    return found


@torch.no_grad()
def measure_style_reader(
    model: StyleReader, held: dict[str, np.ndarray], vae: PatchAutoencoder, device: torch.device
) -> dict[str, float]:
    """Share of held-out pictures that are told right, by what they are, as they are and through the autoencoder."""
    right = {}
    for place, kind in enumerate(KINDS):
        plain = to_images(held[kind]).to(device)
        for name, images in ((kind, plain), (f"{kind}_decoded", decoded(vae, plain))):
            told = torch.cat([model(part).argmax(dim=-1) for part in images.split(64)])
            right[name] = float((told == place).float().mean())
    return right
