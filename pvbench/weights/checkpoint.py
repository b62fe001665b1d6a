"""Checkpoints of torch: tensors by name and nothing else."""

from __future__ import annotations

import pickle
from pathlib import Path

import torch
from torch import Tensor

from pvbench.errors import WeightsError


def read_checkpoint(path: Path, expected: str) -> dict[str, Tensor]:
    """The tensors of a checkpoint by name, without the prefix of a data-parallel training. Nothing in it is run.

    Args:
        expected: the file that should be there, in the words of messages.

    Raises:
        WeightsError: the file is missing or damaged, or holds code or anything but named tensors.
    """
    if not path.is_file():
        raise WeightsError(f"{path} is not there; put {expected} in its place")
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
    return {str(name).removeprefix("module."): value for name, value in state.items()}
