"""HunyuanVideo's transformer in its authors' own file, `mp_rank_00_model_states.pt`, as diffusers' network.

Source: Tencent/HunyuanVideo's checkpoint; which name means which layer of diffusers' is that of diffusers'
`convert_hunyuan_video_transformer_to_diffusers`, which knows the published width alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pvbench.backbones.loading import frozen, refuse_misfits
from pvbench.errors import WeightsError, first_line
from pvbench.weights.checkpoint import read_tensors, unwrapped
from pvbench.weights.layout import read_json

_MODULATION = "final_layer.adaLN_modulation.1"
"""Its rows are a shift and then a scale; diffusers has the scale first."""
_TIME, _REFINED = "time_text_embed", "context_embedder.time_text_embed"
_OUTSIDE: Mapping[str, str] = {
    "img_in.proj": "x_embedder.proj",
    "time_in.mlp.0": f"{_TIME}.timestep_embedder.linear_1",
    "time_in.mlp.2": f"{_TIME}.timestep_embedder.linear_2",
    "guidance_in.mlp.0": f"{_TIME}.guidance_embedder.linear_1",
    "guidance_in.mlp.2": f"{_TIME}.guidance_embedder.linear_2",
    "vector_in.in_layer": f"{_TIME}.text_embedder.linear_1",
    "vector_in.out_layer": f"{_TIME}.text_embedder.linear_2",
    "txt_in.input_embedder": "context_embedder.proj_in",
    "txt_in.t_embedder.mlp.0": f"{_REFINED}.timestep_embedder.linear_1",
    "txt_in.t_embedder.mlp.2": f"{_REFINED}.timestep_embedder.linear_2",
    "txt_in.c_embedder.linear_1": f"{_REFINED}.text_embedder.linear_1",
    "txt_in.c_embedder.linear_2": f"{_REFINED}.text_embedder.linear_2",
    _MODULATION: "norm_out.linear",
    "final_layer.linear": "proj_out",
}
"""Layers outside of blocks."""
_BLOCK = re.compile(r"(double_blocks|single_blocks|txt_in\.individual_token_refiner\.blocks)\.(\d+)\.(.+)")
_BLOCKS: Mapping[str, str] = {
    "double_blocks": "transformer_blocks",
    "single_blocks": "single_transformer_blocks",
    "txt_in.individual_token_refiner.blocks": "context_embedder.token_refiner.refiner_blocks",
}
_QKV = ("attn.to_q", "attn.to_k", "attn.to_v")
_INSIDE: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "double_blocks": {
        "img_mod.linear": ("norm1.linear",),
        "img_attn_qkv": _QKV,
        "img_attn_q_norm": ("attn.norm_q",),
        "img_attn_k_norm": ("attn.norm_k",),
        "img_attn_proj": ("attn.to_out.0",),
        "img_mlp.fc1": ("ff.net.0.proj",),
        "img_mlp.fc2": ("ff.net.2",),
        "txt_mod.linear": ("norm1_context.linear",),
        "txt_attn_qkv": ("attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj"),
        "txt_attn_q_norm": ("attn.norm_added_q",),
        "txt_attn_k_norm": ("attn.norm_added_k",),
        "txt_attn_proj": ("attn.to_add_out",),
        "txt_mlp.fc1": ("ff_context.net.0.proj",),
        "txt_mlp.fc2": ("ff_context.net.2",),
    },
    "single_blocks": {
        "modulation.linear": ("norm.linear",),
        "linear1": (*_QKV, "proj_mlp"),
        "linear2": ("proj_out",),
        "q_norm": ("attn.norm_q",),
        "k_norm": ("attn.norm_k",),
    },
    "txt_in.individual_token_refiner.blocks": {
        "norm1": ("norm1",),
        "norm2": ("norm2",),
        "self_attn_qkv": _QKV,
        "self_attn_proj": ("attn.to_out.0",),
        "mlp.fc1": ("ff.net.0.proj",),
        "mlp.fc2": ("ff.net.2",),
        "adaLN_modulation.1": ("norm_out.linear",),
    },
}
"""Layers of a block; the rows of one are those of several of diffusers', one after the other."""


def load_transformer_file(path: Path, folder: Path, dtype: torch.dtype) -> Any:
    """diffusers' HunyuanVideoTransformer3DModel out of its authors' file, frozen, on the CPU.

    Args:
        path: a pickle, of which nothing is run, or safetensors with the same names.
        folder: of the transformer in diffusers' layout, of which the configuration alone is read.

    Raises:
        WeightsError: the file is missing, damaged, holds code or numbers of eight bits; its tensors are not those of
            this transformer, or the configuration is none.
    """
    from diffusers import HunyuanVideoTransformer3DModel

    try:
        # No memory is taken, and nothing drawn, for numbers that are replaced.
        with torch.device("meta"):
            model = HunyuanVideoTransformer3DModel.from_config(read_json(folder / "config.json"))
    except (TypeError, ValueError, KeyError, RuntimeError) as error:
        raise WeightsError(
            f"{folder / 'config.json'} is not the configuration of HunyuanVideo's transformer: {first_line(error)}"
        ) from error
    own = model.state_dict()
    given = unwrapped(read_tensors(path), str(path))
    if not any(_BLOCK.match(key) for key in given):
        raise WeightsError(
            f"{path} holds no double_blocks.*; expected HunyuanVideo's transformer in its authors' names, such as "
            f"mp_rank_00_model_states.pt; a folder in diffusers' layout goes into the line base"
        )
    small = sorted(key for key, value in given.items() if value.element_size() < 2)
    if small:
        raise WeightsError(
            f"{path}: {small[0]} is {given[small[0]].dtype}, whose scale lies elsewhere; take the file in bfloat16"
        )
    state = dict(_renamed(given, own))
    refuse_misfits(own, state, f"{path} does not fit the transformer of {folder}")
    model.load_state_dict({key: value.to(dtype) for key, value in state.items()}, assign=True)
    return frozen(model, str(path))


def _renamed(given: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """The tensors under diffusers' names; one that has no place keeps its own name, and is no layer's by it."""
    for key, value in given.items():
        layer, _, kind = key.rpartition(".")
        names = [f"{name}.{kind}" for name in _layers(layer)]
        rows = [own[name].shape[0] for name in names if name in own]
        if not names or value.ndim == 0 or len(rows) < len(names):
            yield f"{key} (in diffusers' names)" if key in own else key, value
        elif layer == _MODULATION:
            yield names[0], value.roll(len(value) // 2, 0)
        elif len(names) == 1:
            yield names[0], value
        elif sum(rows) == len(value):
            yield from zip(names, value.split(rows), strict=True)
        else:
            yield key, value


def _layers(layer: str) -> tuple[str, ...]:
    """Names of diffusers' layers that one of the file is; none where it is not known."""
    found = _BLOCK.fullmatch(layer)
    if found is None:
        return (_OUTSIDE[layer],) if layer in _OUTSIDE else ()
    return tuple(f"{_BLOCKS[found[1]]}.{found[2]}.{inner}" for inner in _INSIDE[found[1]].get(found[3], ()))
