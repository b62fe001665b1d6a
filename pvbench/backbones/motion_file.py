"""Motion modules in AnimateDiff's own files, such as `mm_sd_v15_v2.ckpt`, as diffusers' motion adapter.

Source: guoyww/AnimateDiff's published checkpoints; which name means which layer of diffusers' is that of its script
`convert_animatediff_motion_module_to_diffusers`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from pvbench.backbones.loading import fill, frozen
from pvbench.errors import WeightsError
from pvbench.weights.checkpoint import read_tensors, unwrapped

_RENAMED = (
    (".temporal_transformer", ""),
    (".attention_blocks.0.pos_encoder.pe", ".pos_embed.pe"),
    (".attention_blocks.0", ".attn1"),
    (".attention_blocks.1", ".attn2"),
    (".norms.0", ".norm1"),
    (".norms.1", ".norm2"),
    (".ff_norm", ".norm3"),
)
_SECOND_PLACES = ".attention_blocks.1.pos_encoder.pe"
"""Places in time stand in a block twice, with equal values; diffusers keeps them once."""
_MODULE = re.compile(r"down_blocks\.(\d+)\.motion_modules\.(\d+)\.norm\.weight")


def load_motion_file(path: Path) -> Any:
    """diffusers' MotionAdapter out of one of AnimateDiff's own files, frozen, on the CPU.

    Heads (8) and groups (32) are those of all published ones, since no tensor tells them.

    Raises:
        WeightsError: the file is missing, damaged or holds code; its tensors are not those of motion modules.
    """
    from diffusers import MotionAdapter

    state = _renamed(path)
    adapter = MotionAdapter(
        block_out_channels=_channels(state),
        motion_layers_per_block=1 + max(int(layer) for _, layer in _modules(state)),
        motion_max_seq_length=_places(state),
        use_motion_mid_block=any(name.startswith("mid_block.") for name in state),
    )
    fill(adapter, state, f"{path} does not fit MotionAdapter")
    return frozen(adapter, str(path))


def longest_motion(path: Path) -> int:
    """For how many frames the modules in a file know places in time.

    Raises:
        WeightsError: as `load_motion_file`.
    """
    return _places(_renamed(path))


def _renamed(path: Path) -> dict[str, Tensor]:
    """The tensors under diffusers' names, without those that a file may hold besides motion modules."""
    found = {}
    for key, value in unwrapped(read_tensors(path), str(path)).items():
        if ".motion_modules." in key and not key.endswith(_SECOND_PLACES):
            for theirs, ours in _RENAMED:
                key = key.replace(theirs, ours)
            found[key] = value
    if not _modules(found):
        raise WeightsError(
            f"{path} holds no motion modules; expected one of AnimateDiff's files, such as v3_sd15_mm.ckpt, or the "
            f"folder of a motion adapter"
        )
    return found


def _modules(state: Mapping[str, Tensor]) -> list[tuple[str, str]]:
    """Level and place of each module on the way down."""
    return [(found[1], found[2]) for name in state if (found := _MODULE.fullmatch(name))]


def _channels(state: Mapping[str, Tensor]) -> tuple[int, ...]:
    levels = 1 + max(int(level) for level, _ in _modules(state))
    norms = (state.get(f"down_blocks.{level}.motion_modules.0.norm.weight") for level in range(levels))
    return tuple(len(norm) for norm in norms if norm is not None)


def _places(state: Mapping[str, Tensor]) -> int:
    return next((value.shape[1] for name, value in state.items() if name.endswith(".pos_embed.pe")), 32)
