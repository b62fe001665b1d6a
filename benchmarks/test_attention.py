"""A step through the text-to-video UNet and back, with torch's fused attention and with plain matrix products."""

from __future__ import annotations

import pytest
import torch


@pytest.mark.parametrize("kind", ["plain", "fused"])
def test_attention_forwards_and_backwards(benchmark, backbone, kind):
    from diffusers.models.attention_processor import AttnProcessor, AttnProcessor2_0

    unet = backbone.pipe.unet
    kept = unet.attn_processors
    unet.set_attn_processor(AttnProcessor() if kind == "plain" else AttnProcessor2_0())
    latent = backbone.noise(1).requires_grad_(True)
    states = backbone.encode("a man on a beach").tensors["states"].repeat_interleave(latent.shape[2], 0)

    def step() -> None:
        found = backbone.run(latent, torch.tensor(500), states, "video")
        torch.autograd.grad(found.square().mean(), latent)

    try:
        benchmark.pedantic(step, rounds=5, warmup_rounds=1)
    finally:
        unet.set_attn_processor(kept)
