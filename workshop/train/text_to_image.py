"""Trains the mini text encoder and text-to-image UNet on photos."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from pvbench.backbones.attention import choose_attention
from pvbench.backbones.patch_autoencoder import PatchAutoencoder
from workshop import dataset
from workshop.train.captions import RARE_WORDS, build_tokenizer
from workshop.train.card import write_card
from workshop.train.loop import Place, Plan, Trainer, generator_on
from workshop.train.samples import encode

PLAN = Plan(steps=30000, batch=32, rate=7e-4, warmup=200, average=0.9995, decay=0.4)
# About 3 minutes of an H200.
GPU_PLAN = Plan(
    steps=1400, batch=1024, rate=1e-3, warmup=60, average=0.998, decay=0.5, optimiser="muon", muon_kernels=True,
    precision="bfloat16",
)  # fmt: skip
_SCHEDULE = {
    "num_train_timesteps": 1000,
    # Stable Diffusion's betas. A cosine schedule leaves 15 % of noise power at t = 249, where an adapter of the last
    # quarter of steps begins: too little for it to change a face. Here 35 % are left.
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "prediction_type": "v_prediction",
    "clip_sample": False,
    # Pure noise at the first step: dark and bright scenes both stay reachable.
    "rescale_betas_zero_snr": True,
    "timestep_spacing": "trailing",
    "set_alpha_to_one": True,
}


def make_scheduler() -> Any:
    """The noise schedule of the mini backbone."""
    from diffusers import DDIMScheduler

    return DDIMScheduler(**_SCHEDULE)


def make_text_encoder(tokenizer: Any) -> nn.Module:
    """A small CLIP text model."""
    from transformers import CLIPTextConfig, CLIPTextModel

    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=128,
        intermediate_size=384,
        num_hidden_layers=3,
        num_attention_heads=4,
        max_position_embeddings=tokenizer.model_max_length,
        projection_dim=128,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        hidden_act="gelu",
    )
    found: nn.Module = CLIPTextModel(config)
    return found


def lengthen_rare_words(text: nn.Module, tokenizer: Any) -> None:
    """Makes the embeddings of words that no caption holds as long as the mean word's.

    They keep their first small random values, under which "a sks man" is nearly "a man". The rare words of a large
    vocabulary have been seen now and then and are as long as others.
    """
    with torch.no_grad():
        table = text.get_input_embeddings().weight  # type: ignore[operator]
        rare = [tokenizer(word).input_ids[1] for word in RARE_WORDS]
        others = torch.ones(len(table), dtype=torch.bool)
        others[rare] = False
        lengths = table.norm(dim=1)
        trained = lengths[others][lengths[others] > 2 * lengths[rare].mean()]
        # In a training that went on from finished weights they are long already.
        if len(trained):
            table[rare] *= (trained.mean() / lengths[rare])[:, None]


def make_unet() -> nn.Module:
    """The text-to-image UNet, attention at every level: the adapters live in attention."""
    from diffusers import UNet2DConditionModel

    found: nn.Module = UNet2DConditionModel(
        sample_size=16,
        in_channels=12,
        out_channels=12,
        block_out_channels=(80, 128, 128),
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        mid_block_type="UNetMidBlock2DCrossAttn",
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=128,
        attention_head_dim=(2, 4, 4),
        norm_num_groups=16,
    )
    return found


def load_vae(place: Place) -> PatchAutoencoder:
    """The trained VAE, frozen, in full precision."""
    vae = PatchAutoencoder.from_pretrained(place.finished("vae")).float().to(place.device)
    found: PatchAutoencoder = vae.requires_grad_(False).eval()
    return found


def sample_sheet(path: Path, vae: PatchAutoencoder, latents: Tensor, columns: int = 8, scale: int = 2) -> None:
    """Writes decoded latents (n, c, h, w) as one picture."""
    with torch.no_grad():
        images = vae.decode(latents.float() / vae.config.scaling_factor).sample.clamp(-1, 1)  # type: ignore[union-attr]
    array = ((images + 1) * 127.5).round().byte().permute(0, 2, 3, 1).cpu().numpy()
    rows = [np.concatenate(list(array[i : i + columns]), axis=1) for i in range(0, len(array) - columns + 1, columns)]
    sheet = Image.fromarray(np.concatenate(rows))
    sheet.resize((sheet.width * scale, sheet.height * scale), Image.Resampling.NEAREST).save(path)


def train(place: Place, plan: Plan = PLAN) -> None:
    """Trains and saves `<out>/tokenizer`, `<out>/text_encoder`, `<out>/unet`, `<out>/scheduler`."""
    vae = load_vae(place)
    tokenizer = build_tokenizer(place.out / "tokenizer", place.start and place.start / "tokenizer")
    samples = encode(vae, tokenizer, dataset.load(place.data, "train-a", "photo"), place, plan.seed)
    held = encode(vae, tokenizer, dataset.load(place.data, "held-out", "photo", 256), place, plan.seed)
    torch.manual_seed(plan.seed)
    text, unet = make_text_encoder(tokenizer).to(place.device), make_unet().to(place.device)
    if place.start is not None:
        from diffusers import UNet2DConditionModel
        from transformers import CLIPTextModel

        text = CLIPTextModel.from_pretrained(place.start / "text_encoder").float().to(place.device)
        unet = UNet2DConditionModel.from_pretrained(place.start / "unet").float().to(place.device)
    unet.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    choose_attention(unet, place.device)
    predict = torch.compile(unet) if place.compiled else unet
    scheduler = make_scheduler()
    alphas = scheduler.alphas_cumprod.to(place.device)
    print(f"text encoder {_millions(text):.2f} M, UNet {_millions(unet):.2f} M parameters", flush=True)

    def loss_on(photos: tuple[Tensor, Tensor, Tensor], generator: torch.Generator) -> Tensor:
        latents, near, words = photos
        z = latents[:, :, 0]
        noise = torch.randn(z.shape, generator=generator, device=generator.device).to(z.device)
        t = torch.randint(0, 1000, (len(z),), generator=generator, device=generator.device).to(z.device)
        noisy = scheduler.add_noise(z, noise, t).to(_dtype(unet), memory_format=torch.channels_last)
        found = predict(noisy, t, text(words).last_hidden_state).sample.float()
        target = scheduler.get_velocity(z, noise, t)
        error = ((found - target).square() * near[:, :, 0]).mean(dim=(1, 2, 3))
        ratio = alphas[t] / (1 - alphas[t]).clamp(min=1e-6)
        # Min-SNR for v-prediction: nearly clean latents teach little and are many.
        weight = torch.minimum(ratio, torch.full_like(ratio, 5.0)) / (ratio + 1)
        result: Tensor = (error * (0.25 + weight)).mean()
        return result

    def step(_: int, rng: np.random.Generator) -> dict[str, Tensor]:
        generator = generator_on(place.device, rng)
        return {"total": loss_on(samples.draw(plan.batch, generator), generator)}

    def look(number: int) -> dict[str, float]:
        # Drawn on the CPU, so that every device measures the same.
        generator = torch.Generator().manual_seed(3)
        with torch.no_grad():
            total = sum(float(loss_on(part, generator)) * len(part[0]) for part in held.split(64))
            drawn = sample(unet, text, held.words[:24, 0].long(), held.no_words.long()[None], generator)
        sample_sheet(place.out / f"text_to_image-{number:06d}.png", vae, drawn)
        return {"held_out_loss": total / len(held)}

    trainer = Trainer("text_to_image", {"text": text, "unet": unet}, step, plan, place, look, look_every=2000)
    quality = trainer.run()
    lengthen_rare_words(text, tokenizer)
    text.half().save_pretrained(place.out / "text_encoder")  # type: ignore[operator]
    unet.half().save_pretrained(place.out / "unet")  # type: ignore[operator]
    scheduler.save_pretrained(place.out / "scheduler")
    data = f"{len(samples)} photos of pool train-a"
    for name, part in (("text_encoder", text), ("unet", unet)):
        role = "text-to-image side of the mini backbone"
        write_card(place.out / name, type(part).__name__, role, data, trainer, plan, quality)


def sample(
    unet: nn.Module,
    text: nn.Module,
    words: Tensor,
    empty: Tensor,
    generator: torch.Generator,
    steps: int = 12,
    guidance: float = 3.0,
) -> Tensor:
    """Latents drawn with classifier-free guidance."""
    scheduler = make_scheduler()
    scheduler.set_timesteps(steps, device=words.device)
    n = len(words)
    z = torch.randn(n, 12, 16, 16, generator=generator).to(words.device)
    states = text(torch.cat([empty.expand(n, -1), words])).last_hidden_state
    for t in scheduler.timesteps:
        without, with_ = unet(torch.cat([z, z]).to(_dtype(unet)), t, states).sample.float().chunk(2)
        z = scheduler.step(without + guidance * (with_ - without), t, z).prev_sample
    return z


def _dtype(module: nn.Module) -> torch.dtype:
    return next(module.parameters()).dtype


def _millions(module: nn.Module) -> float:
    return sum(p.numel() for p in module.parameters()) / 1e6
