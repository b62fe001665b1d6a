"""How a UNet computes its attention."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn


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


def see_all_frames(unet: Any, positions: int) -> None:
    """Lets the frames of a video see each other in spatial self-attention, on levels of at most `positions` positions.

    There, the positions of all frames are attended to as those of one long picture, by the weights that are there;
    finer levels, where this would cost most, keep to the frame. So a head that moves keeps its hair and skin, which
    motion modules, that compare a place with itself over time, must otherwise carry along. A single frame gives what
    it gave before.

    Source: cross-frame attention without training, as Text2Video-Zero (Khachatryan et al., 2023) has it with the first
        frame and on every level; here with all frames, where they are coarse.

    Args:
        unet: a `UNetMotionModel`; its processors as they are now compute the attention.
        positions: 0 changes nothing.
    """
    if positions == 0:
        return
    shape = _Shape()

    def note_frames(_: nn.Module, given: tuple[Any, ...], named: Mapping[str, Any]) -> None:
        shape.frames = (given[0] if given else named["sample"]).shape[2]

    unet.register_forward_pre_hook(note_frames, with_kwargs=True)
    spatial = (name for name in unet.attn_processors if ".attentions." in name and ".attn1." in name)
    joint = {name: _JointAttention(unet.attn_processors[name], positions, shape) for name in spatial}
    unet.set_attn_processor({**unet.attn_processors, **joint})


class _Shape:
    """What processors must know of the video that goes through."""

    frames = 1


class _JointAttention:
    """A diffusers processor of self-attention over the positions of all frames at once."""

    def __init__(self, own: Any, positions: int, shape: _Shape) -> None:
        self.own, self.positions, self.shape = own, positions, shape

    def __call__(self, attention: nn.Module, hidden_states: Tensor, *rest: Any, **more: Any) -> Tensor:
        if hidden_states.shape[1] > self.positions:
            found: Tensor = self.own(attention, hidden_states, *rest, **more)
            return found
        joined = hidden_states.unflatten(0, (-1, self.shape.frames)).flatten(1, 2)
        found = self.own(attention, joined, *rest, **more)
        return found.reshape(hidden_states.shape)


def drop_masks(transformer: Any) -> None:
    """Attention of a HunyuanVideo transformer without a mask, for texts that are cut to their own length.

    diffusers builds a mask of all words of the text; where none is padded it masks nothing, but no fast kernel takes a
    mask: with one, a forward pass of the 13 B model took 4.4 s in place of 2.9 s (61 x 544 x 960, one H200). The token
    refiner keeps its own.

    Args:
        transformer: a `HunyuanVideoTransformer3DModel`, whose texts are never padded from now on.
    """
    blocks = ("transformer_blocks.", "single_transformer_blocks.")
    own = transformer.attn_processors
    transformer.set_attn_processor(
        {name: _WithoutMask(one) if name.startswith(blocks) else one for name, one in own.items()}
    )


class _WithoutMask:
    """A diffusers processor that is given no mask."""

    def __init__(self, own: Any) -> None:
        self.own = own

    def __call__(
        self,
        attention: nn.Module,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        image_rotary_emb: Any = None,
    ) -> Any:
        return self.own(attention, hidden_states, encoder_hidden_states, None, image_rotary_emb)
