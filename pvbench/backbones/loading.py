"""Networks out of published folders: loaded from this machine only, and refused unless every tensor has its place."""

from __future__ import annotations

# ruff: noqa: E402  the shim comes before anything that imports torchvision
from pvbench.torchvision_shim import load_torchvision

load_torchvision()

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from pvbench.errors import WeightsError, first_line
from pvbench.weights.checkpoint import read_checkpoint
from pvbench.weights.layout import ModelFiles, model_files, read_json


def load_model(cls: Any, folder: Path, dtype: torch.dtype = torch.float32) -> Any:
    """A frozen network of a class of diffusers or transformers, out of a folder of their layout, on the CPU.

    Args:
        cls: has `from_pretrained`, which by itself only warns of tensors that are missing or too many.

    Raises:
        WeightsError: a file is missing, damaged or holds code; a tensor is missing, too many, of another shape or not
            finite.
    """
    files = model_files(folder)
    if len(files.weights) > 1:
        _check_shards(files)
    if not files.safe:
        # Only says what is wrong with a pickle, in words.
        read_checkpoint(files.weights[0], "a checkpoint of tensors, better as safetensors,")
    try:
        model, found = cls.from_pretrained(
            str(folder),
            local_files_only=True,
            output_loading_info=True,
            variant=files.variant,
            use_safetensors=files.safe,
            dtype=dtype,
        )
    except (OSError, ValueError, RuntimeError, KeyError, TypeError, SafetensorError) as error:
        raise WeightsError(f"{folder} does not load as {cls.__name__}: {first_line(error)}") from error
    wrong = {what: sorted(map(str, found[f"{what}_keys"])) for what in ("missing", "unexpected", "mismatched")}
    refuse_keys(wrong, f"{folder} does not fit {cls.__name__}")
    return frozen(model, str(folder))


def _check_shards(files: ModelFiles) -> None:
    """Refuses shards that hold other tensors than their index says; the libraries look at the index alone."""
    index = next(path for path in files.others if ".index." in path.name)
    listed = read_json(index)["weight_map"]
    found: set[tuple[str, str]] = set()
    for path in files.weights:
        try:
            with safe_open(path, framework="pt") as shard:
                found |= {(key, path.name) for key in shard.keys()}  # noqa: SIM118 - it is not a mapping
        except (SafetensorError, OSError) as error:
            raise WeightsError(f"{path} cannot be read as safetensors ({error}); fetch it again") from error
    wanted = {(str(key), str(name)) for key, name in listed.items()}
    wrong = {"missing": sorted(key for key, _ in wanted - found), "unexpected": sorted(k for k, _ in found - wanted)}
    refuse_keys(wrong, f"the shards in {files.folder} do not hold what {index.name} lists")


def refuse_keys(wrong: dict[str, list[str]], what: str) -> None:
    """Raises WeightsError, naming a tensor of each kind, unless all lists are empty."""
    told = [f"{len(keys)} {kind}, such as {keys[0]}" for kind, keys in wrong.items() if keys]
    if told:
        raise WeightsError(
            f"{what}: of its tensors, {'; '.join(told)}. It is damaged, or of another model: fetch it again, or name "
            f"another checkpoint"
        )


def fill(model: nn.Module, state: Mapping[str, Tensor], what: str) -> None:
    """Puts tensors into a network, as float32, if they are its own by name and shape.

    Args:
        what: what does not fit what, in the words of the error.

    Raises:
        WeightsError: a tensor is missing, too many or of another shape.
    """
    refuse_misfits(model.state_dict(), state, what)
    model.load_state_dict({name: value.float() for name, value in state.items()})


def refuse_misfits(own: Mapping[str, Tensor], state: Mapping[str, Tensor], what: str) -> None:
    """Raises WeightsError unless tensors are a network's own by name and shape.

    Args:
        own: the network's.
        what: what does not fit what, in the words of the error.
    """
    wrong = {
        "missing": sorted(set(own) - set(state)),
        "unexpected": sorted(set(state) - set(own)),
        "mismatched": sorted(name for name in set(own) & set(state) if state[name].shape != own[name].shape),
    }
    refuse_keys(wrong, what)


def frozen(model: nn.Module, where: str) -> nn.Module:
    """The network without gradients and ready to compute.

    Raises:
        WeightsError: a tensor holds NaN or an infinity, as half precision does that overflowed.
    """
    for name, parameter in model.named_parameters():
        if not bool(parameter.isfinite().all()):
            raise WeightsError(
                f"{where}: {name} holds numbers that are not finite; the file is damaged, or its half precision "
                f"overflowed: take the checkpoint in full precision"
            )
    return model.requires_grad_(False).eval()


def fingerprints(tensors: Iterable[Tensor]) -> list[tuple[int, tuple[float, ...]]]:
    """Of each tensor its size and a few of its values, in order of these: two lists are equal where the tensors are.

    Renaming and reshaping leave them as they are.
    """
    found = []
    for tensor in tensors:
        flat = tensor.reshape(-1)
        some = torch.cat([flat[:8], flat[flat.numel() // 2 :][:8], flat[-8:]])
        found.append((flat.numel(), tuple(some.float().tolist())))
    return sorted(found)
