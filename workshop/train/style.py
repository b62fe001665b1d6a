"""Trains the LoRA of a style on photos that are drawn in it, beside the frozen text-to-image UNet."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from pvbench.backbones.attention import choose_attention
from pvbench.world.vocabulary import STYLES
from workshop import dataset
from workshop.train.adapters import add_lora, denoising_loss, save_lora
from workshop.train.card import write_card
from workshop.train.loop import Place, Plan, Trainer, generator_on
from workshop.train.motion import load_sides
from workshop.train.samples import encode
from workshop.train.text_to_image import load_vae, make_scheduler, sample, sample_sheet

PLAN = Plan(steps=2500, batch=16, rate=2e-3, average=0.995, decay=0.5, precision="auto")
# Not run yet.
GPU_PLAN = replace(PLAN, steps=1000, batch=256, precision="mixed")
RANK = 16
LORA = "pytorch_lora_weights.safetensors"
_HELD_OUT = 128


def train(style: str, place: Place, plan: Plan = PLAN) -> None:
    """Trains on all photos of pool `train-a` in the style; saves `<out>/style_<style>`.

    Captions end in the style's words. Nobody of the benchmark is in them. The card measures the loss on held-out people
    with the LoRA and without it, and a sheet beside the log shows twelve captions drawn without it, then with it.

    Args:
        style: one of `pvbench.world.vocabulary.STYLES`.
    """
    name, words = f"style_{style}", STYLES[style]
    tokenizer, text, unet = load_sides(place)
    choose_attention(unet, place.device)
    vae = load_vae(place)
    data = encode(vae, tokenizer, dataset.load(place.data, "train-a", style), place, plan.seed, words)
    held = encode(vae, tokenizer, dataset.load(place.data, "held-out", style, _HELD_OUT), place, plan.seed, words)
    scheduler = make_scheduler()
    torch.manual_seed(71 + plan.seed)
    add_lora(unet, RANK, "[12]")

    def loss_on(photos: tuple[Tensor, Tensor, Tensor], generator: torch.Generator) -> Tensor:
        return denoising_loss(unet, text, scheduler, *photos, generator, lambda latent: latent[:, :, 0])

    def step(_: int, rng: np.random.Generator) -> dict[str, Tensor]:
        generator = generator_on(place.device, rng)
        return {"total": loss_on(data.draw(plan.batch, generator), generator)}

    @torch.no_grad()
    def look(number: int) -> dict[str, float]:
        found, drawn = {}, []
        for measured, change in (("held_out_loss", unet.enable_adapters), ("loss_without", unet.disable_adapters)):
            change()
            # Drawn on the CPU, and anew: both see the same noise.
            generator = torch.Generator().manual_seed(3)
            total = sum(float(loss_on(part, generator)) * len(part[0]) for part in held.split(32))
            found[measured] = total / len(held)
            generator = torch.Generator().manual_seed(4)
            drawn.append(sample(unet, text, held.words[:12, 0].long(), held.no_words.long()[None], generator))
        unet.enable_adapters()
        sample_sheet(place.out / f"{name}-{number:06d}.png", vae, torch.cat(drawn[::-1]), columns=12)
        return found

    trainer = Trainer(name, {"unet": unet}, step, plan, place, look, look_every=500)
    quality = trainer.run()
    folder = place.out / name
    folder.mkdir(parents=True, exist_ok=True)
    save_lora(unet, folder / LORA)
    told = f"{len(data)} photos of pool train-a, drawn as a {style}"
    write_card(folder, "LoRA", f"style: {words}", told, trainer, plan, quality, rank=RANK, words=words)
