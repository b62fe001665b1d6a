"""What several tunings of a run have in common and need to compute once only: words learned by textual inversion."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pvbench.atomic import write_bytes

if TYPE_CHECKING:
    from torch import Tensor


@dataclass
class Shelf:
    """A folder of what was learned, and the seconds that learning what it lacked has taken so far."""

    folder: Path
    seconds: float = 0.0


_SHELF: ContextVar[Shelf | None] = ContextVar("the shelf in use", default=None)

Learned = tuple["Tensor", list[float]]
"""Vectors (n, width), and the loss of each step."""


@contextmanager
def shelf(folder: Path) -> Iterator[Shelf]:
    """Within it, `learned_once` keeps what was learned in `folder`, which any number of processes may share."""
    used = Shelf(folder)
    token = _SHELF.set(used)
    try:
        yield used
    finally:
        _SHELF.reset(token)


def learned_once(name: str, learn: Callable[[], Learned], progress: Callable[[int, float], None]) -> Learned:
    """What `learn` gives, or what it gave before under the same name; without a shelf it is always called.

    A file that is damaged is made again. Two processes that learn the same at the same time write the same bytes.

    Args:
        name: names everything that the result depends on, fit for a file's name.
        progress: told each step, counted from 1, and its loss, where the result was on the shelf; otherwise `learn`
            tells them.
    """
    used = _SHELF.get()
    if used is None:
        return learn()
    path = used.folder / f"{name}.safetensors"
    if (found := _read(path)) is None:
        began = time.perf_counter()
        found = learn()
        used.seconds += time.perf_counter() - began
        _write(path, found)
    else:
        for step, loss in enumerate(found[1], start=1):
            progress(step, loss)
    return found


def _read(path: Path) -> Learned | None:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        found = load_file(path)
    except (SafetensorError, OSError):
        return None
    if set(found) != {"vectors", "losses"}:
        return None
    return found["vectors"], found["losses"].tolist()


def _write(path: Path, learned: Learned) -> None:
    import torch
    from safetensors.torch import save

    vectors, losses = learned
    # Losses in float64: what is told from the shelf are the digits that were told while learning.
    content = save({"vectors": vectors.contiguous(), "losses": torch.tensor(losses, dtype=torch.float64)})
    write_bytes(path, content)
