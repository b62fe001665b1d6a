"""Checkpoints of torch: tensors by name and nothing else."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from pvbench.errors import WeightsError
from pvbench.weights.torchscript import is_archive


def read_checkpoint(path: Path, expected: str) -> dict[str, Tensor]:
    """The tensors of a checkpoint by name, without the prefix of a data-parallel training. Nothing in it is run.

    Args:
        expected: the file that should be there, in the words of messages.

    Raises:
        WeightsError: the file is missing or damaged, or holds code or anything but named tensors.
    """
    if not path.is_file():
        raise WeightsError(f"{path} is not there; put {expected} in its place")
    if is_archive(path):
        raise WeightsError(f"{path} is a TorchScript archive, which is a program; put {expected} in its place")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise WeightsError(
            f"{path} holds more than tensors, or is damaged; nothing of it was run; fetch {expected} again"
        ) from error
    except Exception as error:
        # A damaged file can fail in any way.
        raise WeightsError(
            f"{path} is damaged ({type(error).__name__}: {str(error)[:200]}); fetch {expected} again"
        ) from error
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise WeightsError(f"{path} holds a {type(state).__name__}, expected the tensors of {expected} by name")
    return unwrapped(state, str(path))


def unwrapped(state: Mapping[Any, Tensor], what: str) -> dict[str, Tensor]:
    """Tensors by their names without the prefix of a data-parallel training.

    Args:
        what: whose they are, in the words of messages.

    Raises:
        WeightsError: one is there with the prefix and without it, and nothing says which is meant.
    """
    found: dict[str, Tensor] = {}
    for name, value in state.items():
        key = str(name).removeprefix("module.")
        if key in found:
            raise WeightsError(f"{what} holds both {key!r} and 'module.{key}': save one of the two alone")
        found[key] = value
    return found


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a single file by name; of a pickle nothing is run.

    Raises:
        WeightsError: the file is missing, damaged, or holds code.
    """
    if not path.is_file():
        raise WeightsError(f"{path} is not there; check the path")
    if path.suffix != ".safetensors":
        return _inner(_read_nested(path))
    try:
        found: dict[str, Tensor] = load_file(path)
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path} cannot be read as safetensors ({error}); fetch it again") from error
    return found


def _read_nested(path: Path) -> dict[str, Any]:
    """What a pickle holds, tensors and plain values.

    Raises:
        WeightsError: the file is damaged or holds code.
    """
    if is_archive(path):
        raise WeightsError(f"{path} is a TorchScript archive, which is a program; take the checkpoint as .safetensors")
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise WeightsError(
            f"{path} holds code beside its tensors, or is damaged; nothing of it was run: take the checkpoint as "
            f".safetensors"
        ) from error
    except Exception as error:
        # A damaged file can fail in any way.
        raise WeightsError(f"{path} is damaged ({type(error).__name__}); fetch it again") from error
    if not isinstance(found, dict):
        raise WeightsError(f"{path} holds a {type(found).__name__}; expected tensors by name")
    return found


def _inner(state: dict[str, Any]) -> dict[str, Tensor]:
    """The tensors of a checkpoint that a trainer wrote: they may lie under a name such as `module`, beside counters."""
    for name in ("state_dict", "module"):
        if isinstance(state.get(name), dict):
            return _inner(state[name])
    return {name: value for name, value in state.items() if isinstance(value, Tensor)}
