"""LoRA files: where one lies, and whether it is of a kind that is read. Only names of tensors are looked at."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pvbench.errors import MethodError, WeightsError
from pvbench.weights.layout import find_checkpoint

NAME = "pytorch_lora_weights.safetensors"
"""What diffusers calls the file in a folder."""
_OTHER_KINDS = {
    "hada_": "LoHa",
    "lokr_": "LoKr",
    "oft_": "OFT",
    "glora_": "GLoRA",
    "dora_scale": "DoRA",
    "magnitude_vector": "DoRA",
}
"""Parts of keys that adapters of other kinds than LoRA have."""


def refuse_other_kinds(keys: Iterable[str]) -> None:
    """Refuses adapters that are no LoRA, by the names of their tensors.

    Raises:
        MethodError: it is LoHa, LoKr, OFT, GLoRA or DoRA, or there is no LoRA among the tensors.
    """
    names = sorted(keys)
    for key in names:
        for part, kind in _OTHER_KINDS.items():
            if part in key:
                raise MethodError(
                    f"the file holds {key!r}: it is {kind}, not LoRA; convert it to a LoRA, or train one of the plain "
                    f"kind"
                )
    if not any("lora" in key for key in names):
        raise MethodError(f"the file holds no LoRA tensors; it begins with {next(iter(names), 'nothing at all')!r}")


def lora_file(name: str, where: str) -> Path:
    """The file of a LoRA, safetensors of the plain kind.

    Args:
        name: a path of a file, or of a folder with one named `NAME`, or either below the weights folder.
        where: what asks for it, such as a profile and its table.

    Raises:
        WeightsError: it is nowhere, is a pickle, is damaged, or is an adapter of another kind.
    """
    from safetensors import SafetensorError, safe_open

    path = find_checkpoint(name, where)
    if path.is_dir():
        path = path / NAME
        if not path.is_file():
            raise WeightsError(f"{where}: {path.parent} has no {NAME}; name the LoRA's file itself")
    if path.suffix != ".safetensors":
        raise WeightsError(
            f"{where}: {path} is not a safetensors file; a {path.suffix or 'file without an ending'} can hold code: "
            f"save the LoRA's tensors as .safetensors"
        )
    try:
        with safe_open(path, framework="numpy") as file:
            refuse_other_kinds(file.keys())
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{where}: {path} cannot be read as safetensors ({error}); fetch it again") from error
    except MethodError as error:
        raise WeightsError(f"{where}: {path}: {error}") from error
    return path
