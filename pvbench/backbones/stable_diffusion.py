"""Stable Diffusion 1.5 and models tuned from it: out of a folder in diffusers' layout, or out of a single file."""

from __future__ import annotations

# ruff: noqa: E402  the shim comes before anything that imports torchvision
from pvbench.torchvision_shim import load_torchvision

load_torchvision()

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel

from pvbench.backbones.loading import fill, fingerprints, frozen, load_model
from pvbench.backbones.tokenizers import load_clip_tokenizer
from pvbench.errors import WeightsError
from pvbench.weights.checkpoint import read_tensors

_UNET, _TEXT = "model.diffusion_model.", "cond_stage_model.transformer."
_VAES = ("first_stage_model.", "vae.")


@dataclass(frozen=True)
class StableDiffusion:
    """The parts of a text-to-image model, frozen, in float32, on the CPU."""

    unet: UNet2DConditionModel
    vae: AutoencoderKL
    text_encoder: CLIPTextModel
    tokenizer: Any


def load_stable_diffusion(base: Path, layout: Path) -> StableDiffusion:
    """The model in a folder, or in a single file.

    Args:
        layout: a folder in diffusers' layout, whose tokenizer is read, and for a single file its configurations too.

    Raises:
        WeightsError: a file is missing, damaged, holds code or belongs to another model.
    """
    if base.is_file():
        unet, vae, text = _from_file(base, layout)
    else:
        unet = load_model(UNet2DConditionModel, base / "unet")
        vae = load_model(AutoencoderKL, base / "vae")
        text = load_model(CLIPTextModel, base / "text_encoder")
    tokenizer = load_clip_tokenizer(layout / "tokenizer", text.config.vocab_size, text.config.max_position_embeddings)
    return StableDiffusion(unet, vae, text, tokenizer)


def _from_file(path: Path, layout: Path) -> tuple[Any, Any, Any]:
    """UNet, autoencoder and text encoder out of a file in the layout of the model's authors (LDM)."""
    state = read_tensors(path)
    if not any(key.startswith(_UNET) for key in state):
        raise WeightsError(
            f"{path} holds no {_UNET}*; expected a whole checkpoint of Stable Diffusion 1.5, not of a part or of an "
            f"adapter: a LoRA goes into the line domain, or to the method lora"
        )
    vae = next((prefix for prefix in _VAES if any(key.startswith(prefix) for key in state)), _VAES[0])
    return (
        _converted(UNet2DConditionModel, state, _UNET, layout, "unet", path),
        _converted(AutoencoderKL, state, vae, layout, "vae", path),
        _text_encoder(state, layout, path),
    )


def _converted(cls: Any, state: Mapping[str, Tensor], prefix: str, layout: Path, part: str, path: Path) -> Any:
    """A part that diffusers renames; it does not say what it left over, or drew at random in its place."""
    own = {key: value for key, value in state.items() if key.startswith(prefix)}
    try:
        model = cls.from_single_file(
            dict(own), config=str(layout), subfolder=part, local_files_only=True, dtype=torch.float32
        )
    except Exception as error:
        # Converting tensors of another model can fail in any way.
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:300]
        raise WeightsError(f"{path}: its {part} is not that of {layout / part}: {reason}") from error
    frozen(model, str(path))
    given, found = fingerprints(own.values()), fingerprints(model.state_dict().values())
    if given != found:
        raise WeightsError(
            f"{path}: of its {part}, {len(given)} tensors, not all have a place in {layout / part}, which has "
            f"{len(found)}; the file is damaged or of another model: fetch it again, or name its own layout"
        )
    return model


def _text_encoder(state: Mapping[str, Tensor], layout: Path, path: Path) -> Any:
    config = CLIPTextConfig.from_pretrained(str(layout / "text_encoder"), local_files_only=True)
    model = CLIPTextModel(config)
    own = {
        key.removeprefix(_TEXT).removeprefix("text_model."): value
        for key, value in state.items()
        # Position ids count up, and are not weights.
        if key.startswith(_TEXT) and not key.endswith("position_ids")
    }
    fill(model, own, f"{path}: its text encoder is not that of {layout / 'text_encoder'}")
    return frozen(model, str(path))
