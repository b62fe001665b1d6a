"""Blocks of a vision transformer for inference on a CPU, with weights laid out for its matrix products.

oneDNN multiplies by weights that it may lay out once, here a tenth faster than by those that lie as torch has them, and
applies the nonlinearity on the way.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

Nonlinearity = Literal["none", "swish", "gelu"]
_PLAIN = {"none": lambda x: x, "swish": functional.silu, "gelu": functional.gelu}


def can_pack() -> bool:
    """Whether torch was built with oneDNN and has its operators, which it does not promise to keep."""
    return torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")


class PackedLinear:
    """x W^T + b, and a nonlinearity; without gradients. Plainly computed where `can_pack` says no."""

    def __init__(
        self, weight: Float[Tensor, "outputs inputs"], bias: Float[Tensor, " outputs"], then: Nonlinearity = "none"
    ) -> None:
        self._bias, self._then = bias.detach().contiguous(), then
        self._packed = can_pack() and weight.device.type == "cpu"
        weight = weight.detach().contiguous()
        self._weight = torch.ops.mkldnn._reorder_linear_weight(weight, None) if self._packed else weight

    def __call__(self, x: Float[Tensor, "*batch inputs"]) -> Float[Tensor, "*batch outputs"]:
        """The layer's output."""
        if not self._packed:
            result: Float[Tensor, "*batch outputs"] = _PLAIN[self._then](functional.linear(x, self._weight, self._bias))
            return result
        algorithm = "none" if self._then == "gelu" else ""  # by the error function, not by a tanh
        found: Tensor = torch.ops.mkldnn._linear_pointwise(x, self._weight, self._bias, self._then, [], algorithm)
        return found


class PackedBlock(nn.Module):
    """What an open_clip `ResidualAttentionBlock` gives, of all tokens or of the first one alone."""

    def __init__(self, block: Any, *, first_alone: bool) -> None:
        super().__init__()
        self.first_alone, self.heads = first_alone, block.attn.num_heads
        self.ln_1, self.ls_1, self.ln_2, self.ls_2 = block.ln_1, block.ls_1, block.ln_2, block.ls_2
        width = block.attn.embed_dim
        weight, bias = block.attn.in_proj_weight, block.attn.in_proj_bias
        self._query = PackedLinear(weight[:width], bias[:width])
        self._key_and_value = PackedLinear(weight[width:], bias[width:])
        self._out = PackedLinear(block.attn.out_proj.weight, block.attn.out_proj.bias)
        up, down = block.mlp.c_fc, block.mlp.c_proj
        if isinstance(block.mlp.gelu, nn.GELU):
            self._up, self._down = PackedLinear(up.weight, up.bias, "gelu"), PackedLinear(down.weight, down.bias)
        else:
            # QuickGELU, x * sigmoid(1.702 x), is a 1.702th of the swish of 1.702 x.
            self._up = PackedLinear(up.weight * 1.702, up.bias * 1.702, "swish")
            self._down = PackedLinear(down.weight / 1.702, down.bias)

    def forward(self, tokens: Float[Tensor, "n tokens width"], **nothing: None) -> Float[Tensor, "n _ width"]:
        """The tokens after this block."""
        normed = self.ln_1(tokens)
        seen, asking = (tokens[:, :1], normed[:, :1]) if self.first_alone else (tokens, normed)
        query, (key, value) = self._query(asking), self._key_and_value(normed).chunk(2, dim=-1)
        query, key, value = (x.unflatten(-1, (self.heads, -1)).transpose(1, 2) for x in (query, key, value))
        mixed = functional.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
        found = seen + self.ls_1(self._out(mixed))
        result: Float[Tensor, "n _ width"] = found + self.ls_2(self._down(self._up(self.ln_2(found))))
        return result


def packable(block: Any) -> bool:
    """Whether a block is one that `PackedBlock` knows, on a CPU."""
    from open_clip.transformer import QuickGELU, ResidualAttentionBlock

    return (
        type(block) is ResidualAttentionBlock
        and block.attn.in_proj_weight is not None
        and block.attn.batch_first
        and block.attn.in_proj_weight.device.type == "cpu"
        and (
            isinstance(block.mlp.gelu, QuickGELU)
            or (isinstance(block.mlp.gelu, nn.GELU) and block.mlp.gelu.approximate == "none")
        )
    )
