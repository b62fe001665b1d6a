"""How a UNet computes its attention."""

from __future__ import annotations

from typing import Any

import torch


def choose_attention(unet: Any, device: torch.device) -> None:
    """On a CPU, attention of a mini UNet as two matrix products with a softmax between; elsewhere as diffusers has it.

    On a CPU torch's fused kernel is made for long sequences. For the mini UNets' (256 positions, 8 frames) its backward
    pass alone took a third of a training step: with plain products a step of the motion modules took 0.85 s instead of
    1.25 s, a forward pass 0.35 s instead of 0.42 s (one thread, bfloat16; `benchmarks/` has the ratio). The
    matrix of weights is held whole, so this is for short sequences only.
    """
    from diffusers.models.attention_processor import AttnProcessor

    if device.type == "cpu":
        unet.set_attn_processor(AttnProcessor())
