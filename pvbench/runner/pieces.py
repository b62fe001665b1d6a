"""How the work of a run is cut into jobs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

from pvbench.runner.jobs import WantedVideo

T = TypeVar("T")


def by_row(wanted: Iterable[WantedVideo]) -> list[list[WantedVideo]]:
    """Videos of one variant and identity together, which share an adapter."""
    grouped: dict[tuple[str, str], list[WantedVideo]] = {}
    for video in wanted:
        grouped.setdefault((video.cell.variant, video.cell.identity), []).append(video)
    return list(grouped.values())


def chunks(items: Sequence[T], size: int) -> list[list[T]]:
    """The items in their order, so many at a time."""
    return [list(items[start : start + size]) for start in range(0, len(items), size)]
