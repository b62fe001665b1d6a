"""What the trainings of adapters share: the loss of the frozen denoiser, and the LoRA that trains beside them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from pvbench.backbones.noise import video_noise
from workshop.train.motion import SHARED_NOISE


def denoising_loss(
    unet: Any,
    text: Any,
    scheduler: Any,
    latents: Tensor,
    weights: Tensor,
    words: Tensor,
    generator: torch.Generator,
    shaped: Callable[[Tensor], Tensor],
) -> Tensor:
    """The loss that the backbone was trained with, of the velocity, weighted by place and by noise level.

    Args:
        latents: (n, c, T, h, w), noiseless.
        weights: of each place (n, 1, T, h, w).
        words: tokens (n, length).
        generator: draws noise and time steps.
        shaped: what the UNet takes of latents: all of them, or the one frame of a picture.
    """
    device, times = latents.device, latents.shape[2]
    alphas = scheduler.alphas_cumprod.to(device)
    with torch.no_grad():
        told = text(words).last_hidden_state.repeat_interleave(times, 0)
    noise = video_noise(tuple(latents.shape), SHARED_NOISE if times > 1 else 0.0, generator).to(device)
    t = torch.randint(0, 1000, (len(latents),), generator=generator, device=generator.device).to(device)
    found = unet(shaped(scheduler.add_noise(latents, noise, t)), t, told).sample.float()
    error = (found - shaped(scheduler.get_velocity(latents, noise, t))).square() * shaped(weights)
    ratio = alphas[t] / (1 - alphas[t]).clamp(min=1e-6)
    weight = torch.minimum(ratio, torch.full_like(ratio, 5.0)) / (ratio + 1)
    result: Tensor = (error.flatten(1).mean(dim=1) * (0.25 + weight)).mean()
    return result


def add_lora(unet: Any, rank: int, attention: str = "2") -> None:
    """A LoRA on queries, keys, values and outputs of the spatial attention, which trains with what is added.

    Args:
        attention: `2` for that to the text, `[12]` for that to the picture itself, too.
    """
    from peft import LoraConfig

    target = rf".*\.attentions\..*\.attn{attention}\.to_(q|k|v|out\.0)$"
    unet.add_adapter(LoraConfig(r=rank, lora_alpha=rank, target_modules=target), adapter_name="face")
    for name, parameter in unet.named_parameters():
        parameter.requires_grad_("lora_" in name)


def take_lora(unet: Any, path: Path) -> None:
    """Fills the LoRA that `add_lora` put on from a file of an earlier stage."""
    from peft import set_peft_model_state_dict

    lora = {name.removeprefix("unet."): value.float() for name, value in load_file(path).items()}
    set_peft_model_state_dict(unet, lora, adapter_name="face")


def save_lora(unet: Any, path: Path) -> None:
    """Saves that LoRA under diffusers' keys, in half precision."""
    from peft.utils import get_peft_model_state_dict

    lora = get_peft_model_state_dict(unet, adapter_name="face").items()
    save_file({f"unet.{key}": value.half().contiguous().cpu() for key, value in lora}, path)
