"""Random adapters for photos as prompts, in the published forms, for the tiny AnimateDiff, and what loads them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tiny_models import tiny_motion, tiny_unet

from pvbench.backbones.image_prompt import cross_attention
from pvbench.features.face import TEMPLATE, Faces
from pvbench.features.published.insightface_faces import InsightFaces
from pvbench.profile import Profile
from pvbench.rewards.published import IdAnimatorLoader, IpAdapterFaceLoader

RANK, WIDTH, QUERIES = 3, 32, 4


def matrix(*shape, seed):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) / shape[-1] ** 0.5


def layers_of(unet):
    return [name.removesuffix(".processor") for name in cross_attention(unet)]


def published(unet):
    """A random checkpoint of ID-Animator's form: `module.` before its names, odd numbers of layers, no alpha."""
    text = unet.config.cross_attention_dim
    state = {f"module.image_proj_model.{key}": value for key, value in resampler(text).items()}
    for n, name in enumerate(layers_of(unet)):
        inner = unet.get_submodule(name).to_q.in_features
        one = {
            "to_k_face": matrix(inner, text, seed=10 * n),
            "to_v_face": 3 * matrix(inner, text, seed=10 * n + 1),
        }
        for i, (part, width) in enumerate({"q": inner, "k": text, "v": text, "out": inner}.items()):
            one[f"to_{part}_lora.down"] = matrix(RANK, width, seed=100 * n + i)
            one[f"to_{part}_lora.up"] = matrix(inner, RANK, seed=100 * n + i + 50)
        state |= {f"module.adapter_modules.{2 * n + 1}.{key}.weight": value for key, value in one.items()}
    return {"state_dict": state}


def published_ip_adapter(unet):
    """A random adapter of IP-Adapter's form."""
    text = unet.config.cross_attention_dim
    tensors = {f"image_proj.{key}": value for key, value in resampler(text).items()}
    for n, name in enumerate(layers_of(unet)):
        inner = unet.get_submodule(name).to_q.in_features
        for part, seed in (("k", 5), ("v", 6)):
            tensors[f"ip_adapter.{2 * n + 1}.to_{part}_ip.weight"] = matrix(inner, text, seed=10 * n + seed)
    return tensors


def resampler(out):
    """IP-Adapter Plus' projection, of two heads."""
    hidden, head, seed = out, 64, iter(range(1000, 2000))

    def norm(name, width):
        return {f"{name}.weight": torch.ones(width), f"{name}.bias": torch.zeros(width)}

    state = {"latents": matrix(1, QUERIES, hidden, seed=next(seed))}
    for name, shape in {"proj_in": (hidden, WIDTH), "proj_out": (out, hidden)}.items():
        state |= {f"{name}.weight": matrix(*shape, seed=next(seed)), f"{name}.bias": torch.zeros(shape[0])}
    state |= norm("norm_out", out)
    for i in range(4):
        for name, shape in {
            "0.to_q": (2 * head, hidden),
            "0.to_kv": (4 * head, hidden),
            "0.to_out": (hidden, 2 * head),
            "1.1": (4 * hidden, hidden),
            "1.3": (hidden, 4 * hidden),
        }.items():
            state[f"layers.{i}.{name}.weight"] = matrix(*shape, seed=next(seed))
        for name in ("0.norm1", "0.norm2", "1.0"):
            state |= norm(f"layers.{i}.{name}", hidden)
    return state


def write_image_encoder(folder):
    """A tiny image encoder in transformers' layout."""
    from pvbench.torchvision_shim import load_torchvision

    load_torchvision()
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    torch.manual_seed(0)
    config = CLIPVisionConfig(
        hidden_size=WIDTH, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2, image_size=32,
        patch_size=16, projection_dim=16,
    )  # fmt: skip
    CLIPVisionModelWithProjection(config).save_pretrained(folder)


def tiny_video_unet():
    from diffusers import UNetMotionModel

    return UNetMotionModel.from_unet2d(tiny_unet(), tiny_motion(), load_weights=False)


def write_adapters(folder):
    """`animator.ckpt`, `ip.safetensors` and `image_encoder` for the tiny AnimateDiff."""
    from safetensors.torch import save_file

    folder.mkdir()
    unet = tiny_video_unet()
    torch.save(published(unet), folder / "animator.ckpt")
    save_file(published_ip_adapter(unet), folder / "ip.safetensors")
    write_image_encoder(folder / "image_encoder")


class SameFace(InsightFaces):
    """Marks the same five points, and the box around them, on every photo."""

    def __init__(self) -> None:
        pass

    def reference(self, images: Any) -> Faces:
        points = np.array([np.array(TEMPLATE) + 20 for _ in images], np.float32)
        boxes = np.concatenate([points.min(axis=1), points.max(axis=1)], axis=1)
        return Faces(points, np.ones(len(images), np.float32), np.zeros((len(images), 1), np.float32), boxes)


class _WithoutPack:
    """What a profile names, without a pack that finds faces."""

    line: str

    @classmethod
    def signature(cls, profile: Profile) -> Mapping[str, Any]:
        return {"version": 1, "files": [path.name for path in cls._files(profile)]}

    @classmethod
    def _files(cls, profile: Profile) -> tuple[Path, Path, Path]:
        adapter, encoder = (Path(str(profile.rewards[line])) for line in (cls.line, "image_encoder"))
        return adapter, encoder, adapter


class TinyAnimatorLoader(_WithoutPack, IdAnimatorLoader):
    name = "tiny_animator"
    summary = "a random adapter of ID-Animator's form"

    @classmethod
    def load(cls, profile: Profile, device: str) -> Any:
        from pvbench.rewards.published_animator import load_animator

        adapter, encoder, _ = cls._files(profile)
        return load_animator(SameFace(), adapter, encoder, torch.device(device), layers_of(tiny_video_unet()))


class TinyIpAdapterLoader(_WithoutPack, IpAdapterFaceLoader):
    name = "tiny_ip_adapter"
    summary = "a random adapter of IP-Adapter's form"

    @classmethod
    def load(cls, profile: Profile, device: str) -> Any:
        from pvbench.rewards.published_ip_adapter import load_ip_adapter

        adapter, encoder, _ = cls._files(profile)
        return load_ip_adapter(SameFace(), adapter, encoder, torch.device(device))
