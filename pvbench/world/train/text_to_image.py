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
from pvbench.world import dataset
from pvbench.world.train.autoencoder import to_images
from pvbench.world.train.captions import RARE_WORDS, build_tokenizer, random_caption, tokens
from pvbench.world.train.loop import Place, Plan, Trainer, write_card

PLAN = Plan(steps=30000, batch=32, rate=7e-4, warmup=200, average=0.9995, decay=0.4)
NO_CAPTION = 0.12
# Faces fill a tenth of the picture and are what the benchmark is about.
FACE_WEIGHT = 4.0
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


def face_weights(landmarks: np.ndarray, cells: int = 16, pixels: int = 64) -> Tensor:
    """Loss weights (n, 1, cells, cells) with mean 1 that are larger around each face.

    Args:
        landmarks: (n, 5, 2) pixels.
    """
    points = torch.from_numpy(landmarks).float() * (cells / pixels)
    middle = points.mean(dim=1)
    reach = (points[:, 1] - points[:, 0]).norm(dim=-1).clamp(min=1.0) * 1.25
    axis = torch.arange(cells).float() + 0.5
    x = (axis[None, None] - middle[:, 0, None, None]) / reach[:, None, None]
    y = (axis[None, :, None] - middle[:, 1, None, None]) / reach[:, None, None]
    weight = 1 + FACE_WEIGHT * torch.exp(-(x.square() + y.square()) / 2)
    return (weight / weight.mean(dim=(1, 2), keepdim=True))[:, None]


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
    return CLIPTextModel(config)


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

    return UNet2DConditionModel(
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


def load_vae(place: Place) -> PatchAutoencoder:
    """The trained VAE, frozen, in full precision."""
    vae = PatchAutoencoder.from_pretrained(place.out / "vae").float().to(place.device)
    return vae.requires_grad_(False).eval()


def encode_frames(vae: PatchAutoencoder, frames: np.ndarray, device: torch.device) -> Tensor:
    """Scaled latents (n, c, h, w) of uint8 frames (n, H, W, 3), kept on the CPU in half precision."""
    parts = []
    with torch.no_grad():
        for start in range(0, len(frames), 512):
            images = to_images(frames[start : start + 512]).to(device)
            mode = vae.encode(images).latent_dist.mode()  # type: ignore[union-attr]
            parts.append((mode * vae.config.scaling_factor).half().cpu())
    return torch.cat(parts)


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
    shard = dataset.load(place.data, "train-a", "photo")
    held = dataset.load(place.data, "held-out", "photo")
    latents = encode_frames(vae, shard.frames[:, 0], place.device)
    held_latents = encode_frames(vae, held.frames[:256, 0], place.device)
    tokenizer = build_tokenizer(place.out / "tokenizer", place.start and place.start / "tokenizer")
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

    def loss_on(z: Tensor, words: Tensor, noise: Tensor, t: Tensor, marks: np.ndarray) -> Tensor:
        noisy = scheduler.add_noise(z, noise, t).to(memory_format=torch.channels_last)
        found = predict(noisy, t, text(words).last_hidden_state).sample.float()
        target = scheduler.get_velocity(z, noise, t)
        error = ((found - target).square() * face_weights(marks).to(z.device)).mean(dim=(1, 2, 3))
        ratio = alphas[t] / (1 - alphas[t]).clamp(min=1e-6)
        # Min-SNR for v-prediction: nearly clean latents teach little and are many.
        weight = torch.minimum(ratio, torch.full_like(ratio, 5.0)) / (ratio + 1)
        return (error * (0.25 + weight)).mean()

    def step(_: int, rng: np.random.Generator) -> dict[str, Tensor]:
        pick = rng.integers(len(latents), size=plan.batch)
        texts = ["" if rng.random() < NO_CAPTION else random_caption(shard.labels[i], rng) for i in pick]
        z = latents[pick].float().to(place.device)
        t = torch.randint(0, 1000, (plan.batch,), device=place.device)
        words = tokens(tokenizer, texts).to(place.device)
        loss = loss_on(z, words, torch.randn_like(z), t, shard.landmarks[pick, 0])
        return {"total": loss}

    def look(number: int) -> dict[str, float]:
        rng = np.random.default_rng(5)
        words = tokens(tokenizer, [random_caption(row, rng) for row in held.labels[:256]]).to(place.device)
        generator = torch.Generator().manual_seed(3)
        total = 0.0
        with torch.no_grad():
            for i in range(0, 256, 64):
                z = held_latents[i : i + 64].float().to(place.device)
                noise = torch.randn(z.shape, generator=generator).to(place.device)
                t = torch.randint(0, 1000, (len(z),), generator=generator).to(place.device)
                total += float(loss_on(z, words[i : i + 64], noise, t, held.landmarks[i : i + 64, 0])) / 4
            drawn = sample(unet, text, words[:24], tokens(tokenizer, [""]).to(place.device), generator)
        sample_sheet(place.out / f"text_to_image-{number:06d}.png", vae, drawn)
        return {"held_out_loss": total}

    trainer = Trainer("text_to_image", {"text": text, "unet": unet}, step, plan, place, look, look_every=2000)
    quality = trainer.run()
    lengthen_rare_words(text, tokenizer)
    text.half().save_pretrained(place.out / "text_encoder")  # type: ignore[operator]
    unet.half().save_pretrained(place.out / "unet")  # type: ignore[operator]
    scheduler.save_pretrained(place.out / "scheduler")
    data = f"{len(latents)} photos of pool train-a"
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
        without, with_ = unet(torch.cat([z, z]), t, states).sample.chunk(2)
        z = scheduler.step(without + guidance * (with_ - without), t, z).prev_sample
    return z


def _millions(module: nn.Module) -> float:
    return sum(p.numel() for p in module.parameters()) / 1e6
