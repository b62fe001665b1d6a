"""LoRAs of other trainers: read as diffusers reads them, and refused unless every tensor of theirs found its place."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from pvbench.backbones.lora import LoraSlots
from pvbench.errors import MethodError
from pvbench.weights.lora_file import refuse_other_kinds


def attach(pipe: Any, slots: Sequence[LoraSlots], tensors: Mapping[str, Tensor], name: str, scale: float = 1.0) -> None:
    """Puts a LoRA into the networks of a pipeline, under a name that none of them has yet.

    Args:
        pipe: a diffusers pipeline, whose own loader converts the keys of other trainers.
        slots: of the pipeline's networks that take adapters; the first is the denoiser's.
        tensors: as a trainer wrote them; keys without a network's name are the denoiser's.
        scale: multiplies the strength that the file says.

    Raises:
        MethodError: it is an adapter of another kind, it was made for another model, or it changes nothing.
    """
    refuse_other_kinds(tensors)
    state = {key: value.float() for key, value in _prefixed(tensors, slots).items()}
    try:
        converted = pipe.lora_state_dict(dict(state))
        with warnings.catch_warnings():
            # Several adapters are meant; peft thinks that they may be a mistake.
            warnings.filterwarnings("ignore", message="Already found a `peft_config`")
            pipe.load_lora_weights(dict(state), adapter_name=name)
    except Exception as error:
        # Converting keys of another model can fail in any way.
        _take_out(slots, name)
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        raise MethodError(f"the LoRA does not fit this backbone, it was made for another model: {reason}") from error
    try:
        _check_places(converted[0] if isinstance(converted, tuple) else converted, slots, name)
    except MethodError:
        _take_out(slots, name)
        raise
    for slot in slots:
        slot.adopt(name, scale)


def _prefixed(tensors: Mapping[str, Tensor], slots: Sequence[LoraSlots]) -> dict[str, Tensor]:
    """The tensors, the denoiser's name before each where none has a network's name or a trainer's own."""
    known = (*(slot.prefix for slot in slots), "lora_", "transformer.", "unet.", "text_encoder", "diffusion_model.")
    if any(key.startswith(known) for key in tensors):
        return dict(tensors)
    return {f"{slots[0].prefix}{key}": value for key, value in tensors.items()}


def _check_places(state: Mapping[str, Tensor], slots: Sequence[LoraSlots], name: str) -> None:
    foreign = [key for key in state if not key.startswith(tuple(slot.prefix for slot in slots))]
    if foreign:
        raise MethodError(
            f"the LoRA holds {foreign[0]!r}; keys of this backbone begin with "
            f"{' or '.join(repr(slot.prefix) for slot in slots)}: it was made for another model"
        )
    changes = False
    for slot in slots:
        wanted = [key for key in state if key.startswith(slot.prefix) and not key.endswith("alpha")]
        found = slot.values(name)
        if len(found) != len(wanted):
            raise MethodError(
                f"of {len(wanted)} tensors of the LoRA, {len(found)} have a place in this backbone, the first is "
                f"{wanted[0]!r}: it was made for another model"
            )
        changes = changes or any(bool(value.any()) for key, value in found.items() if "lora_B" in key)
    if not changes:
        raise MethodError("the LoRA changes nothing: its second matrices are zero; was it saved before it was trained?")


def _take_out(slots: Sequence[LoraSlots], name: str) -> None:
    for slot in slots:
        slot.discard(name)
