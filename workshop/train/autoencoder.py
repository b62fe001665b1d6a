"""Trains the mini VAE on photos and video frames."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from pvbench.backbones.patch_autoencoder import PatchAutoencoder
from workshop import dataset
from workshop.train.card import write_card
from workshop.train.loop import Place, Plan, Trainer

PLAN = Plan(steps=9000, batch=32, rate=1.5e-3, average=0.999, weight_decay=0.0)
# Latents are scaled by their standard deviation to this power: full whitening would make noise as loud as faces.
_KEEP = 0.3


def start_from_components(model: PatchAutoencoder, images: Tensor) -> None:
    """Sets the linear maps to the principal components of the images' patches.

    Args:
        images: (n, 3, H, W) in [-1, 1].
    """
    patches = functional.pixel_unshuffle(images, model.config.patch).permute(0, 2, 3, 1).reshape(-1, 48).double()
    mean = patches.mean(dim=0)
    covariance = (patches - mean).T @ (patches - mean) / len(patches)
    values, vectors = torch.linalg.eigh(covariance)
    order = torch.argsort(values, descending=True)[: model.config.latent_channels]
    basis, spread = vectors[:, order], values[order].sqrt()
    scale = spread ** (1 - _KEEP) * (spread**_KEEP).mean()
    down = (basis / scale).T
    enter, leave = model.encoder.linear, model.decoder.linear
    assert enter.bias is not None and leave.bias is not None
    with torch.no_grad():
        enter.weight.copy_(down[:, :, None, None].float())
        enter.bias.copy_(-(down @ mean).float())
        leave.weight.copy_((basis * scale)[:, :, None, None].float())
        leave.bias.copy_(mean.float())


def to_images(frames: NDArray[np.uint8]) -> Tensor:
    """(n, H, W, 3) uint8 to (n, 3, H, W) in [-1, 1]."""
    return torch.from_numpy(np.ascontiguousarray(frames)).permute(0, 3, 1, 2).float() / 127.5 - 1


def psnr(model: PatchAutoencoder, images: Tensor) -> float:
    """Mean peak signal-to-noise ratio of reconstructions in dB; images in [-1, 1]."""
    with torch.no_grad():
        found = torch.cat([model(part).clamp(-1, 1) for part in images.split(64)])
    error = ((found - images) / 2).square().flatten(1).mean(dim=1)
    return float((-10 * torch.log10(error)).mean())


def train(place: Place, plan: Plan = PLAN) -> None:
    """Trains, measures on held-out people and saves to `<out>/vae`."""
    photos = dataset.load(place.data, "train-a", "photo").frames[:, 0]
    videos = dataset.load(place.data, "train-a", "video").frames
    frames = videos.reshape(-1, *videos.shape[2:])
    held = to_images(dataset.load(place.data, "held-out", "video").frames[:, ::4].reshape(-1, *frames.shape[1:])[:256])
    torch.manual_seed(plan.seed)
    model = PatchAutoencoder().to(place.device)
    pick = np.random.default_rng(plan.seed).integers(len(photos), size=600)
    if place.start is None:
        start_from_components(model, to_images(np.concatenate([photos[pick], frames[pick % len(frames)]])))
    else:
        model = PatchAutoencoder.from_pretrained(place.start / "vae").float().to(place.device)
    held = held.to(place.device)
    print(f"before training: {psnr(model, held):.2f} dB", flush=True)

    def step(_: int, rng: np.random.Generator) -> dict[str, Tensor]:
        half = plan.batch // 2
        batch = np.concatenate(
            [photos[rng.integers(len(photos), size=half)], frames[rng.integers(len(frames), size=plan.batch - half)]]
        )
        images = to_images(batch).to(place.device)
        if rng.random() < 0.5:
            images = images.flip(-1)
        latents = model.encode(images).latent_dist.mode()
        # The decoder learns to live with latents that a denoiser left slightly off.
        noisy = latents + 0.04 * torch.randn_like(latents) * latents.detach().std()
        found = model.decode(noisy).sample.float()
        loss = functional.mse_loss(found, images)
        sharp = (found - images).abs().mean()
        size = (latents.float().mean(dim=(0, 2, 3)).square() + (latents.float().std(dim=(0, 2, 3)) - 1).square()).mean()
        return {"total": loss + 0.05 * sharp + 1e-3 * size, "mse": loss.detach(), "size": size.detach()}

    trainer = Trainer(
        "vae", {"vae": model}, step, plan, place, look=lambda _: {"psnr_db": psnr(model, held)}, look_every=1000
    )
    quality = trainer.run()
    with torch.no_grad():
        sample = to_images(photos[pick]).to(place.device)
        spread = model.encode(sample).latent_dist.mode().std()
    model.register_to_config(scaling_factor=float(1 / spread))
    folder = place.out / "vae"
    model.half().save_pretrained(folder)
    write_card(
        folder,
        "PatchAutoencoder",
        "VAE of the mini backbone",
        "photos and video frames of pool train-a",
        trainer,
        plan,
        quality,
    )
