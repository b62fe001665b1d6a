"""Which cells methods have in common, where videos were made elsewhere and in part."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import combinations

from pvbench.errors import counted
from pvbench.measuring.imported import Found, ImportedVideo, name_of
from pvbench.report import CellKey

_NAMED = 3
"""So many missing cells are named."""


def cell_of(video: ImportedVideo) -> CellKey:
    """The cell that a video stands for."""
    return CellKey(name_of(video), video.prompt_id, video.seed)


def cells_by_method(videos: Iterable[ImportedVideo]) -> dict[str, set[CellKey]]:
    """The cells that each method has."""
    cells: dict[str, set[CellKey]] = {}
    for video in videos:
        cells.setdefault(video.method, set()).add(cell_of(video))
    return cells


def expected_cells(videos: Iterable[ImportedVideo]) -> dict[str, set[CellKey]]:
    """The cells that each method was to fill: those of all methods with which it has one in common, and its own."""
    own = cells_by_method(videos)
    return {label: cells.union(*(others for others in own.values() if others & cells)) for label, cells in own.items()}


def with_paired_seeds(found: Found) -> Found:
    """The same, with seeds counted from 0 within a prompt where methods have the same prompts and other seeds.

    They then stand in the same cells, and a note says so. They are left as they are where two have some seeds of a
    prompt in common and others not: these are then the same cells as they stand.
    """
    own = cells_by_method(found.videos)
    pairs = {label: {cell[:2] for cell in cells} for label, cells in own.items()}
    alike = [(a, b) for a, b in combinations(own, 2) if pairs[a] & pairs[b]]
    seeds = {label: _seeds_of(cells) for label, cells in own.items()}
    shared = [(seeds[a][pair], seeds[b][pair]) for a, b in alike for pair in pairs[a] & pairs[b]]
    if all(own[a] & own[b] for a, b in alike) or any(one != other and one & other for one, other in shared):
        return found
    ranks = {
        (label, cell): sorted(other.seed for other in cells if other[:2] == cell[:2]).index(cell.seed)
        for label, cells in own.items()
        for cell in cells
    }
    videos = [replace(video, seed=ranks[video.method, cell_of(video)]) for video in found.videos]
    note = "methods have the same prompts and other seeds: their videos are paired by prompt, seeds counted from 0"
    return Found(videos, found.problems, [*found.notes, note])


def _seeds_of(cells: Collection[CellKey]) -> dict[tuple[str, str], set[int]]:
    found: dict[tuple[str, str], set[int]] = {}
    for cell in cells:
        found.setdefault(cell[:2], set()).add(cell.seed)
    return found


def uneven_notes(videos: Sequence[ImportedVideo]) -> list[str]:
    """Sentences on methods that lack cells of others: their means rest on different cells."""
    own, wanted = cells_by_method(videos), expected_cells(videos)
    notes = []
    for label, cells in own.items():
        missing = sorted(wanted[label] - cells)
        if missing:
            some = ", ".join(f"{cell.identity}/{cell.prompt}-{cell.seed}" for cell in missing[:_NAMED])
            more = " ..." if len(missing) > _NAMED else ""
            notes.append(
                f"{label} has {len(cells)} of the {counted(len(wanted[label]), 'cell')} that methods have between them "
                f"(missing: {some}{more}): its means rest on other cells than theirs"
            )
    apart = [label for label, cells in own.items() if not any(cells & own[other] for other in own if other != label)]
    if len(own) > 1 and apart:
        notes.append(
            f"{', '.join(apart)} {'has' if len(apart) == 1 else 'have'} no cell in common with another method: its "
            f"means do not compare"
        )
    return notes


def common_means(
    scores: Mapping[str, Mapping[CellKey, Mapping[str, float]]], columns: Mapping[str, tuple[str, float]]
) -> list[str]:
    """A sentence with the means over the cells that all methods have, where some have others as well.

    Args:
        columns: by name, what a number is called and by how much it is multiplied.
    """
    shared = set.intersection(*(set(cells) for cells in scores.values())) if scores else set()
    if not shared or all(len(cells) == len(shared) for cells in scores.values()):
        return []
    means = []
    for label, cells in scores.items():
        found = {name: [cells[cell][name] for cell in shared if name in cells[cell]] for name in columns}
        means.append(
            f"{label}: "
            + ", ".join(
                f"{columns[name][0]} {columns[name][1] * sum(values) / len(values):.4g}"
                for name, values in found.items()
                if values
            )
        )
    return [f"Over the {counted(len(shared), 'cell')} that all methods have, means are " + "; ".join(means) + "."]
