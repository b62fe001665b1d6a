"""Tensors out of TorchScript archives, without running what is in them.

`torch.load` hands such an archive to `torch.jit.load`, with `weights_only` or without, which may run the archive's own
code. Here its tensors are unpickled alone, and every name that could run something is refused.
"""

from __future__ import annotations

import io
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor


def is_archive(path: Path) -> bool:
    """Whether the file is a TorchScript archive, which has constants where a checkpoint has none."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as file:
        return any(name.endswith("/constants.pkl") for name in file.namelist())


def read_archive(path: Path) -> dict[str, Tensor]:
    """An archive's tensors by name, in its own order, its code left alone.

    Raises:
        pickle.UnpicklingError: the archive asks for more than tensors and modules.
        OSError, ValueError, KeyError: it is damaged.
    """
    try:
        with zipfile.ZipFile(path) as file:
            constants = next(name for name in file.namelist() if name.endswith("/constants.pkl"))
            return dict(_tensors_below(_TensorReader(file, constants.removesuffix("constants.pkl")).load(), ""))
    except (zipfile.BadZipFile, StopIteration, RuntimeError, EOFError) as error:
        raise ValueError(f"the archive is damaged: {error or 'it has no constants'}") from error


class _Scripted:
    """Stands for an object of an archive's own classes: its attributes and nothing else."""


def _tensors_below(value: Any, name: str) -> Iterator[tuple[str, Tensor]]:
    if isinstance(value, Tensor):
        yield name, value
    elif isinstance(value, _Scripted):
        for attribute, inner in vars(value).items():
            yield from _tensors_below(inner, f"{name}.{attribute}".removeprefix("."))


class _TensorReader(pickle.Unpickler):
    """Unpickles an archive's modules as bags of tensors."""

    def __init__(self, file: zipfile.ZipFile, root: str) -> None:
        super().__init__(io.BytesIO(file.read(f"{root}data.pkl")))
        self._file, self._root = file, root

    def find_class(self, module: str, name: str) -> Any:
        if module.split(".")[0] == "__torch__":
            return _Scripted
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, and no code in a file is run")
        return _ALLOWED[module, name]

    def persistent_load(self, key: Any) -> Tensor:
        _, dtype, name, _, _ = key
        data = bytearray(self._file.read(f"{self._root}data/{name}"))
        return torch.frombuffer(data, dtype=dtype) if data else torch.empty(0, dtype=dtype)


def _view(storage: Tensor, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: Any) -> Tensor:
    return storage.as_strided(size, stride, offset)


def _as_given(value: Any, *_: Any) -> Any:
    return value


_ALLOWED: Mapping[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _view,
    ("torch", "FloatStorage"): torch.float32,
    ("torch", "HalfStorage"): torch.float16,
    ("torch", "DoubleStorage"): torch.float64,
    ("torch", "LongStorage"): torch.int64,
    ("torch", "IntStorage"): torch.int32,
    ("torch", "BFloat16Storage"): torch.bfloat16,
    ("torch", "ShortStorage"): torch.int16,
    ("torch", "CharStorage"): torch.int8,
    ("torch", "ByteStorage"): torch.uint8,
    ("torch", "BoolStorage"): torch.bool,
    ("torch.jit._pickle", "restore_type_tag"): _as_given,
    **{("torch.jit._pickle", f"build_{kind}list"): _as_given for kind in ("int", "tensor", "double", "bool")},
}
