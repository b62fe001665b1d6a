"""Digests and seeds: the same content gives the same one on every machine and in every process."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def digest(value: Any) -> str:
    """Sha256, in hex, of `value` written as canonical JSON.

    Takes None, bool, int, float, str, lists and tuples (alike), mappings with string keys (in any order) and
    dataclasses (as the mapping of their fields). The integer 1 and the float 1.0 differ.

    Raises:
        TypeError: for anything else; paths in particular, since they differ between machines.
        ValueError: for NaN and infinities, which JSON does not have.
    """
    text = json.dumps(_plain(value, "value"), sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def file_digest(path: Path) -> str:
    """Sha256, in hex, of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def stable_seed(*parts: str | int | float) -> int:
    """A seed in [0, 2**63) that depends on `parts` and nothing else."""
    return int(digest(parts)[:16], 16) >> 1


def _plain(value: Any, where: str) -> Any:
    if value is None or type(value) in (bool, int, str):
        return value
    if type(value) is float:
        if not math.isfinite(value):
            raise ValueError(f"{where} is {value!r}; a digest takes finite numbers only")
        return value
    if isinstance(value, list | tuple):
        return [_plain(item, f"{where}[{index}]") for index, item in enumerate(value)]
    if isinstance(value, Mapping):
        wrong = [key for key in value if not isinstance(key, str)]
        if wrong:
            raise TypeError(f"{where} has the key {wrong[0]!r}; a digest takes mappings with string keys only")
        return {key: _plain(item, f"{where}[{key!r}]") for key, item in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: _plain(getattr(value, field.name), f"{where}.{field.name}")
            for field in dataclasses.fields(value)
        }
    raise TypeError(f"{where} is a {type(value).__name__}; a digest takes plain values, sequences and dataclasses only")
