"""How the work of a run is cut into jobs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

from pvbench.runner.jobs import WantedVideo

T = TypeVar("T")


def by_adapter(wanted: Iterable[WantedVideo]) -> dict[tuple[str, str], list[WantedVideo]]:
    """Videos by variant and identity, which share an adapter."""
    grouped: dict[tuple[str, str], list[WantedVideo]] = {}
    for video in wanted:
        grouped.setdefault((video.cell.variant, video.cell.identity), []).append(video)
    return grouped


def chunks(items: Sequence[T], size: int) -> list[list[T]]:
    """The items in their order, so many at a time."""
    return [list(items[start : start + size]) for start in range(0, len(items), size)]
