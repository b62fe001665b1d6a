"""What a tuning step of PersonalVideo costs at full size, by the project's own backbones, on random weights.

    python benchmarks/paper_scale.py --family wan                      # on a GPU; 81 x 480 x 832
    python benchmarks/paper_scale.py --family hunyuan                  # 61 x 544 x 960
    python benchmarks/paper_scale.py --family hunyuan --size 720p      # 129 frames, checkpoints in the host's memory
    python benchmarks/paper_scale.py --tiny                            # every family, small, on a CPU

Nothing is loaded: transformer and autoencoder are drawn at random in bfloat16 (Wan's autoencoder in float32, as it is
run), text states too, and text encoders are left out, since they leave the GPU before tuning. A step is what the method
asks of a backbone: the steps before the span without gradient, the last one with it, frames of one group decoded with
gradient, a loss on the pixels in the place of the rewards, their backward pass, that of the step, AdamW on the adapter.

Each row says seconds, peak memory of the device in GiB, and what is left afterwards; `--json FILE` keeps them. The
pieces are timed apart as well as together, so that a whole step can be compared with their sum.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

# ruff: noqa: E402  the shim comes before anything that imports torchvision
from pvbench.torchvision_shim import load_torchvision

load_torchvision()

import torch
from torch import Tensor

from pvbench.latent_backbone import LatentBackbone
from pvbench.profile import Sampling, load_profile
from pvbench.words import Words

GIB = 1024**3
ROWS: list[dict[str, Any]] = []
FAMILIES = ("animatediff", "hunyuan", "wan", "cogvideox")
HUNYUAN_SIZES = {"544p": (61, 544, 960), "720p": (129, 720, 1280)}
TINY_SIZES = {"animatediff": (8, 64, 64), "hunyuan": (29, 32, 32), "wan": (9, 32, 32), "cogvideox": (17, 32, 32)}
RANK = 16


def drawn(make: Callable[[], Any], device: torch.device, dtype: torch.dtype) -> Any:
    """A frozen network as its class draws it, made on the device and in the precision that it is used in."""
    before = torch.get_default_dtype()
    torch.manual_seed(0)
    torch.set_default_dtype(dtype)
    try:
        with device:
            model = make()
    finally:
        torch.set_default_dtype(before)
    return model.requires_grad_(False).eval()


def animatediff(sampling: Sampling, device: torch.device, tiny: bool) -> tuple[LatentBackbone, Words]:
    """Stable Diffusion 1.5 with motion modules."""
    from diffusers import AnimateDiffPipeline, AutoencoderKL, DDIMScheduler, UNet2DConditionModel, UNetMotionModel

    from pvbench.backbones.animatediff import AnimateDiffBackbone

    small: dict[str, Any] = {"block_out_channels": (32, 64), "layers_per_block": 1, "norm_num_groups": 8}
    unet_config: dict[str, Any] = (
        {**small, "cross_attention_dim": 16, "num_attention_heads": 2,
         "down_block_types": ("CrossAttnDownBlockMotion", "DownBlockMotion"),
         "up_block_types": ("UpBlockMotion", "CrossAttnUpBlockMotion"), "motion_num_attention_heads": 2,
         "use_motion_mid_block": False}
        if tiny else {"cross_attention_dim": 768, "num_attention_heads": 8, "use_motion_mid_block": False}
    )  # fmt: skip
    vae_config: dict[str, Any] = {
        "latent_channels": 4,
        "block_out_channels": (8,) * 4 if tiny else (128, 256, 512, 512),
        "down_block_types": ("DownEncoderBlock2D",) * 4,
        "up_block_types": ("UpDecoderBlock2D",) * 4,
        "layers_per_block": 1 if tiny else 2,
        "norm_num_groups": 4 if tiny else 32,
    }
    picture = UNet2DConditionModel(
        cross_attention_dim=16, block_out_channels=(8,), layers_per_block=1, norm_num_groups=4,
        down_block_types=("DownBlock2D",), up_block_types=("UpBlock2D",), attention_head_dim=2,
    )  # fmt: skip
    pipe = AnimateDiffPipeline(
        unet=drawn(lambda: UNetMotionModel(**unet_config), device, torch.float32),
        vae=drawn(lambda: AutoencoderKL(**vae_config), device, torch.float32),
        motion_adapter=None,
        text_encoder=None,
        tokenizer=None,
        scheduler=DDIMScheduler(beta_schedule="linear", clip_sample=False, steps_offset=1),
    )
    backbone = AnimateDiffBackbone(pipe, picture, sampling, device, {}, half=True)
    width = 16 if tiny else 768
    states = torch.randn(1, 77, width, device=device)
    backbone._kept[""] = Words("", {"states": states})
    return backbone, Words("a person", {"states": torch.randn(1, 77, width, device=device)})


def hunyuan(sampling: Sampling, device: torch.device, tiny: bool) -> tuple[LatentBackbone, Words]:
    """HunyuanVideo, 13 B parameters."""
    from diffusers import (
        AutoencoderKLHunyuanVideo,
        FlowMatchEulerDiscreteScheduler,
        HunyuanVideoPipeline,
        HunyuanVideoTransformer3DModel,
    )

    from pvbench.backbones.attention import drop_masks
    from pvbench.backbones.hunyuan import HunyuanBackbone

    small = {
        "num_attention_heads": 2, "attention_head_dim": 16, "num_layers": 2, "num_single_layers": 2,
        "num_refiner_layers": 1, "text_embed_dim": 16, "pooled_projection_dim": 8, "rope_axes_dim": (4, 6, 6),
    }  # fmt: skip
    small_vae = {"block_out_channels": (8, 8, 8, 8), "norm_num_groups": 4, "layers_per_block": 1}
    pipe = HunyuanVideoPipeline(
        transformer=drawn(
            lambda: HunyuanVideoTransformer3DModel(guidance_embeds=True, **(small if tiny else {})),
            device,
            torch.bfloat16,
        ),
        vae=drawn(lambda: AutoencoderKLHunyuanVideo(**(small_vae if tiny else {})), device, torch.bfloat16),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=7.0),
        text_encoder=None,
        tokenizer=None,
        text_encoder_2=None,
        tokenizer_2=None,
    )
    drop_masks(pipe.transformer)
    pipe.vae.enable_tiling()
    width, pooled = (16, 8) if tiny else (4096, 768)
    words = Words(
        "a person",
        {"states": torch.randn(1, 40, width, device=device), "pooled": torch.randn(1, pooled, device=device)},
    )
    return HunyuanBackbone(pipe, sampling, device, {}), words


def wan(sampling: Sampling, device: torch.device, tiny: bool) -> tuple[LatentBackbone, Words]:
    """Wan 2.1 with 1.3 B parameters."""
    from diffusers import AutoencoderKLWan, FlowMatchEulerDiscreteScheduler, WanPipeline, WanTransformer3DModel

    from pvbench.backbones.wan import WanBackbone

    full = {"num_attention_heads": 12, "ffn_dim": 8960, "num_layers": 30}
    small = {"num_attention_heads": 2, "attention_head_dim": 12, "text_dim": 16, "freq_dim": 16, "ffn_dim": 32,
             "num_layers": 2}  # fmt: skip
    small_vae = {"base_dim": 8, "num_res_blocks": 1}
    pipe = WanPipeline(
        transformer=drawn(lambda: WanTransformer3DModel(**(small if tiny else full)), device, torch.bfloat16),
        vae=drawn(lambda: AutoencoderKLWan(**(small_vae if tiny else {})), device, torch.float32),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
        text_encoder=None,
        tokenizer=None,
    )
    width = 16 if tiny else 4096
    states, away = (torch.randn(1, 512, width, device=device) for _ in range(2))
    return WanBackbone(pipe, sampling, device, {}, shift=3.0), Words("a person", {"states": states, "away": away})


def cogvideox(sampling: Sampling, device: torch.device, tiny: bool) -> tuple[LatentBackbone, Words]:
    """CogVideoX 1.0 with 5 B parameters."""
    from diffusers import (
        AutoencoderKLCogVideoX,
        CogVideoXDDIMScheduler,
        CogVideoXPipeline,
        CogVideoXTransformer3DModel,
    )

    from pvbench.backbones.cogvideox import CogVideoXBackbone

    full = {"num_attention_heads": 48, "num_layers": 42}
    small = {
        "num_attention_heads": 2, "attention_head_dim": 16, "in_channels": 4, "out_channels": 4, "time_embed_dim": 8,
        "text_embed_dim": 16, "num_layers": 2, "sample_width": 4, "sample_height": 4, "sample_frames": 9,
    }  # fmt: skip
    full_vae = {"block_out_channels": (128, 256, 256, 512), "scaling_factor": 0.7}
    small_vae = {"block_out_channels": (8,) * 4, "latent_channels": 4, "layers_per_block": 1, "norm_num_groups": 4}
    vae_config: dict[str, Any] = {
        "down_block_types": ("CogVideoXDownBlock3D",) * 4,
        "up_block_types": ("CogVideoXUpBlock3D",) * 4,
        **(small_vae if tiny else full_vae),
    }
    config: dict[str, Any] = {"use_rotary_positional_embeddings": True, **(small if tiny else full)}
    pipe = CogVideoXPipeline(
        tokenizer=None,
        text_encoder=None,
        transformer=drawn(lambda: CogVideoXTransformer3DModel(**config), device, torch.bfloat16),
        vae=drawn(lambda: AutoencoderKLCogVideoX(**vae_config), device, torch.bfloat16),
        scheduler=CogVideoXDDIMScheduler(
            clip_sample=False, prediction_type="v_prediction", rescale_betas_zero_snr=True,
            snr_shift_scale=1.0, timestep_spacing="trailing",
        ),
    )  # fmt: skip
    width = 16 if tiny else 4096
    states, away = (torch.randn(1, 226, width, device=device) for _ in range(2))
    return CogVideoXBackbone(pipe, sampling, device, {}), Words("a person", {"states": states, "away": away})


@contextmanager
def measured(family: str, what: str, device: torch.device) -> Iterator[None]:
    """One row: seconds, peak and remaining memory of the block."""
    on_gpu = device.type == "cuda"
    if on_gpu:
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
    begin = time.perf_counter()
    yield
    if on_gpu:
        torch.cuda.synchronize()
    row: dict[str, Any] = {"family": family, "what": what, "seconds": round(time.perf_counter() - begin, 3)}
    if on_gpu:
        row |= {"peak_gib": round(torch.cuda.max_memory_allocated() / GIB, 2),
                "left_gib": round(torch.cuda.memory_allocated() / GIB, 2)}  # fmt: skip
    ROWS.append(row)
    print(", ".join(f"{key} {value}" for key, value in row.items()), flush=True)


def prefix(backbone: LatentBackbone, words: Words, last: int) -> Tensor:
    """The latent that the last step of the span is given, without gradient."""
    with torch.no_grad():
        return backbone.denoise(backbone.noise(0), words, last - 2, last - 1)


def step(backbone: LatentBackbone, words: Words, latent: Tensor, group: tuple[int, ...], last: int) -> Tensor:
    """The loss of a step, with everything that a backward pass needs."""
    clean = backbone.clean(latent, words, last - 1, last)
    with torch.no_grad(), backbone.without_lora():
        teacher = backbone.decode(backbone.clean(latent, words, last - 1, last), group)
    return backbone.through_pixels(clean, group, lambda images: (images - teacher + 0.1).square().mean())


def benchmark(
    family: str, sampling: Sampling, device: torch.device, tiny: bool, host: bool = False
) -> list[dict[str, Any]]:
    """All rows of a family."""
    first = len(ROWS)
    place = "in the host's memory" if host else "on the device"
    size = f"{sampling.frames} x {sampling.height} x {sampling.width}, checkpoints {place}"
    make = {"animatediff": animatediff, "hunyuan": hunyuan, "wan": wan, "cogvideox": cogvideox}[family]
    with measured(family, f"{size}: weights are drawn", device):
        backbone, words = make(sampling, device, tiny)
        backbone.enable_checkpointing(host=host)  # type: ignore[attr-defined]
    parameters = backbone.add_lora(RANK, RANK, "qkv", torch.Generator().manual_seed(0))
    optimiser = torch.optim.AdamW(parameters, lr=2e-4)
    last = backbone.steps
    middle = len(backbone.frame_groups) // 2
    group = backbone.frame_groups[middle][:4]
    for repeat in ("first", "second"):
        with measured(family, f"a step without gradient, {repeat} time", device):
            latent = prefix(backbone, words, last)
    with measured(family, "the last step with gradient, alone", device):
        clean = backbone.clean(latent, words, last - 1, last)
    with measured(family, "its backward pass", device):
        clean.square().mean().backward()
    leaf = clean.detach().requires_grad_()
    with measured(family, f"{len(group)} frames decoded with gradient, and back", device):
        backbone.decode(leaf, group).square().mean().backward()
    del clean, leaf
    optimiser.zero_grad()
    with measured(family, "the untuned model's last step and frames", device), torch.no_grad(), backbone.without_lora():
        backbone.decode(backbone.clean(latent, words, last - 1, last), group)
    with measured(family, "a whole step: forward, untuned, decode, backward, AdamW", device):
        step(backbone, words, latent, group, last).backward()
        optimiser.step()
    gradients = [parameter.grad for parameter in parameters]
    moved = sum(bool(gradient is not None and torch.isfinite(gradient).all()) for gradient in gradients)
    ROWS[-1]["finite_gradients"] = f"{moved} of {len(gradients)}"
    with measured(family, "all frames decoded without gradient", device), torch.no_grad():
        backbone.decode(latent)
    return ROWS[first:]


def chosen(family: str, given: argparse.Namespace) -> Sampling:
    """The sampling that is asked for: the profile's, HunyuanVideo's of `--size`, or the tiny one."""
    own = load_profile(family).sampling
    size = HUNYUAN_SIZES[given.size] if family == "hunyuan" else (own.frames, own.height, own.width)
    if given.tiny:
        size = TINY_SIZES[family]
    frames, height, width = size
    return replace(
        own,
        frames=given.frames or frames,
        height=given.height or height,
        width=given.width or width,
        steps=4 if given.tiny else own.steps,
    )


def main(words: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """Measures the families that are asked for; the rows.

    Args:
        words: of the command line; this process's own by default.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--family", choices=FAMILIES, action="append", help="may be given several times; all by default"
    )
    parser.add_argument(
        "--size", choices=HUNYUAN_SIZES, default="544p",
        help="of HunyuanVideo: 61 x 544 x 960, or 129 x 720 x 1280 with checkpoints in the host's memory",
    )  # fmt: skip
    for name in ("frames", "height", "width"):
        parser.add_argument(f"--{name}", type=int, help="in place of the profile's or the size's")
    parser.add_argument("--host", action="store_true", help="checkpoints in the host's memory, of every family")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--tiny", action="store_true", help="small networks and videos of the same classes")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args(words)
    device = torch.device(given.device)
    found = []
    for family in given.family or FAMILIES:
        host = given.host or (family == "hunyuan" and given.size == "720p")
        found += benchmark(family, chosen(family, given), device, given.tiny, host)
        if device.type == "cuda":
            torch.cuda.empty_cache()
    if given.json:
        given.json.write_text(json.dumps({"device": str(device), "torch": torch.__version__, "rows": found}, indent=1))
    return found


if __name__ == "__main__":
    main()
