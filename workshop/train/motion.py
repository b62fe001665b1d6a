"""Trains domain adapter and motion modules on videos, the text-to-image side frozen, as AnimateDiff does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pvbench.backbones.attention import choose_attention, see_all_frames
from pvbench.backbones.noise import video_noise
from workshop import dataset
from workshop.train.captions import random_caption, tokens
from workshop.train.card import write_card
from workshop.train.loop import Place, Plan, Trainer, generator_on
from workshop.train.samples import encode
from workshop.train.text_to_image import load_vae, make_scheduler, sample_sheet

PLAN = Plan(steps=8000, batch=4, rate=2e-3, warmup=200, average=0.998, decay=0.3, optimiser="muon")
# About 5 minutes of an H200.
GPU_PLAN = Plan(
    steps=1800, batch=48, rate=1.5e-3, warmup=60, average=0.998, decay=0.5, optimiser="muon", muon_kernels=True,
    precision="bfloat16",
)  # fmt: skip
DOMAIN_RANK = 16
# The modules learn with what sampling does: up to so many positions, frames see each other in spatial attention.
JOINT_ATTENTION = 64
SHARED_NOISE = 0.5
# Motion is decided under much noise, where the modules are needed most: below 1, that is drawn more often.
_EARLY = 0.8
# Error in what changes between frames counts this much more than error in their mean. Every weight has the same
# minimum; this one spends more of a short training on motion, of which the text-to-image side knows nothing.
_CHANGE = 3.0
# A blink moves one cell in a hundred. What changes is weighted by how much the place moves in the whole video, up to
# this many times a place that rests, so that small movements of the face are learnt beside turns of the head.
_MOVING = 8.0


def moving_weights(latents: Tensor) -> Tensor:
    """Loss weights (n, 1, 1, h, w) with mean 1 that are larger where a video moves, the same for all its frames.

    Weights that differed between frames would draw the prediction towards the frames that move most.

    Args:
        latents: (n, c, T, h, w).
    """
    change = (latents - latents.mean(2, keepdim=True)).square().mean(dim=(1, 2), keepdim=True)
    weight = 1 + (change / change.mean(dim=(3, 4), keepdim=True).clamp(min=1e-6)).clamp(max=_MOVING - 1)
    return weight / weight.mean(dim=(3, 4), keepdim=True)


def make_motion_adapter() -> Any:
    """AnimateDiff's motion modules for the mini UNet."""
    from diffusers import MotionAdapter

    return MotionAdapter(
        block_out_channels=(80, 128, 128),
        motion_layers_per_block=1,
        motion_mid_block_layers_per_block=1,
        motion_num_attention_heads=4,
        motion_norm_num_groups=16,
        motion_max_seq_length=16,
        use_motion_mid_block=True,
    )


def load_sides(place: Place) -> tuple[Any, Any, Any]:
    """Tokenizer, text encoder and text-to-image UNet as trained, frozen, in full precision."""
    from diffusers import UNet2DConditionModel
    from transformers import CLIPTextModel, PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast.from_pretrained(place.finished("tokenizer"))
    text = CLIPTextModel.from_pretrained(place.finished("text_encoder")).float().to(place.device)
    unet = UNet2DConditionModel.from_pretrained(place.finished("unet")).float().to(place.device)
    return tokenizer, text.requires_grad_(False).eval(), unet.requires_grad_(False).eval()


def add_domain_adapter(unet: nn.Module, rank: int = DOMAIN_RANK) -> None:
    """Low-rank residuals on the spatial attention, which learn how videos look."""
    from peft import LoraConfig

    target = r".*\.attentions\..*\.attn[12]\.to_(q|k|v|out\.0)$"
    unet.add_adapter(LoraConfig(r=rank, lora_alpha=rank, target_modules=target), adapter_name="domain")  # type: ignore[operator]


def make_model(unet2d: Any, place: Place) -> Any:
    """The UNet with motion modules and domain adapter, which alone are trained, and attention as sampling has it."""
    from diffusers import MotionAdapter, UNetMotionModel
    from peft import set_peft_model_state_dict
    from safetensors.torch import load_file

    motion = make_motion_adapter()
    if place.start is not None:
        motion = MotionAdapter.from_pretrained(place.start / "motion_adapter").float()
    unet = UNetMotionModel.from_unet2d(unet2d, motion).to(place.device)
    unet.requires_grad_(False)
    add_domain_adapter(unet)
    if place.start is not None:
        state = load_file(place.start / "domain_adapter" / "pytorch_lora_weights.safetensors")
        plain = {name.removeprefix("unet."): value.float() for name, value in state.items()}
        set_peft_model_state_dict(unet, plain, adapter_name="domain")
    for name, parameter in unet.named_parameters():
        parameter.requires_grad_("motion_modules" in name or "lora_" in name)
    choose_attention(unet, place.device)
    see_all_frames(unet, JOINT_ATTENTION)
    return unet


def train(place: Place, plan: Plan = PLAN) -> None:
    """Trains and saves `<out>/motion_adapter` and `<out>/domain_adapter`."""
    vae = load_vae(place)
    tokenizer, text, unet2d = load_sides(place)
    samples = encode(vae, tokenizer, dataset.load(place.data, "train-a", "video"), place, plan.seed)
    shown = dataset.load(place.data, "held-out", "video", 128)
    held = encode(vae, tokenizer, shown, place, plan.seed)
    times = shown.frames.shape[1]
    torch.manual_seed(plan.seed)
    unet = make_model(unet2d, place)
    predict = torch.compile(unet) if place.compiled else unet
    scheduler = make_scheduler()
    alphas = scheduler.alphas_cumprod.to(place.device)
    trained = sum(p.numel() for p in unet.parameters() if p.requires_grad) / 1e6
    print(f"{len(samples)} videos, {trained:.2f} M trained parameters", flush=True)

    def loss_on(videos: tuple[Tensor, Tensor, Tensor], generator: torch.Generator) -> Tensor:
        z, near, words = videos
        with torch.no_grad():
            states = text(words).last_hidden_state.repeat_interleave(times, 0)
        level = torch.rand(len(z), generator=generator, device=generator.device).pow(_EARLY)
        t = (level * 1000).long().clamp(max=999).to(z.device)
        noise = video_noise(tuple(z.shape), SHARED_NOISE, generator).to(z.device)
        noisy = scheduler.add_noise(z, noise, t)
        found = predict(noisy.to(unet.dtype), t, states.to(unet.dtype)).sample.float()
        error = found - scheduler.get_velocity(z, noise, t)
        mean = error.mean(2, keepdim=True)
        error = (mean.square() + _CHANGE * moving_weights(z) * (error - mean).square()) * near
        error = error.mean(dim=(1, 2, 3, 4))
        ratio = alphas[t] / (1 - alphas[t]).clamp(min=1e-6)
        weight = torch.minimum(ratio, torch.full_like(ratio, 5.0)) / (ratio + 1)
        result: Tensor = (error * (0.6 + weight)).mean()
        return result

    def step(_: int, rng: np.random.Generator) -> dict[str, Tensor]:
        generator = generator_on(place.device, rng)
        return {"total": loss_on(samples.draw(plan.batch, generator), generator)}

    def look(number: int) -> dict[str, float]:
        # Drawn on the CPU, so that every device measures the same.
        generator = torch.Generator().manual_seed(3)
        rng = np.random.default_rng(5)
        texts = [random_caption(row, rng) for row in shown.labels[:6]]
        with torch.no_grad():
            drawn = sample(unet, text, tokenizer, texts, times, generator, place.device)
            total = sum(float(loss_on(part, generator)) * len(part[0]) for part in held.split(16))
        sample_sheet(place.out / f"motion-{number:06d}.png", vae, drawn.transpose(1, 2).flatten(0, 1), columns=times)
        (place.out / f"motion-{number:06d}.txt").write_text("\n".join(texts) + "\n")
        change = (drawn[:, :, 1:] - drawn[:, :, :-1]).abs().mean()
        return {"held_out_loss": total / len(held), "latent_change": float(change)}

    trainer = Trainer("motion", {"unet": unet}, step, plan, place, look, look_every=1000)
    quality = trainer.run()
    save(unet, place.out, len(samples), trainer, plan, quality)


def save(unet: Any, out: Path, videos: int, trainer: Trainer, plan: Plan, quality: Any) -> None:
    """Motion modules in `MotionAdapter` format, the domain adapter as a diffusers LoRA."""
    from diffusers import AnimateDiffPipeline
    from peft.utils import get_peft_model_state_dict

    lora = {k: v.half().contiguous().cpu() for k, v in get_peft_model_state_dict(unet, adapter_name="domain").items()}
    AnimateDiffPipeline.save_lora_weights(out / "domain_adapter", unet_lora_layers=lora, safe_serialization=True)
    motion = make_motion_adapter()
    state = {k: v for k, v in unet.state_dict().items() if "motion_modules" in k}
    motion.load_state_dict(state, strict=False)
    missing = set(motion.state_dict()) - set(state)
    if any("pos_embed" not in name for name in missing):
        raise RuntimeError(f"motion modules are not saved whole: {sorted(missing)[:3]}")
    motion.half().save_pretrained(out / "motion_adapter")
    data = f"{videos} videos of pool train-a"
    write_card(
        out / "motion_adapter",
        "MotionAdapter",
        "motion modules of the mini backbone",
        data,
        trainer,
        plan,
        quality,
        shared_noise=SHARED_NOISE,
        joint_attention=JOINT_ATTENTION,
    )
    write_card(
        out / "domain_adapter",
        "LoRA",
        "video look of the mini backbone",
        data,
        trainer,
        plan,
        quality,
        rank=DOMAIN_RANK,
        joint_attention=JOINT_ATTENTION,
    )


def sample(
    unet: Any,
    text: Any,
    tokenizer: Any,
    texts: list[str],
    times: int,
    generator: torch.Generator,
    device: torch.device,
    steps: int = 12,
    guidance: float = 3.0,
) -> Tensor:
    """Latents (n, c, T, h, w) drawn with classifier-free guidance."""
    scheduler = make_scheduler()
    scheduler.set_timesteps(steps, device=device)
    n = len(texts)
    z = video_noise((n, 12, times, 16, 16), SHARED_NOISE, generator).to(device)
    words = tokens(tokenizer, [""] * n + texts).to(device)
    states = text(words).last_hidden_state.repeat_interleave(times, 0).to(unet.dtype)
    for t in scheduler.timesteps:
        without, with_ = unet(torch.cat([z, z]).to(unet.dtype), t, states).sample.float().chunk(2)
        z = scheduler.step(without + guidance * (with_ - without), t, z).prev_sample
    return z
