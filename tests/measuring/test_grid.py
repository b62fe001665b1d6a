"""Which cells methods have in common."""

from pathlib import Path

import pytest

from pvbench.measuring.grid import common_means, expected_cells, uneven_notes, with_paired_seeds
from pvbench.measuring.imported import Found, ImportedVideo
from pvbench.report import CellKey


def videos(**methods):
    """Videos of nobody, by method: prompts and seeds, as in `surf0 read1`."""
    return [
        ImportedVideo(Path(f"{method}/{cell}.mp4"), method, None, cell[:-1], "", int(cell[-1]), cell)
        for method, cells in methods.items()
        for cell in cells.split()
    ]


def test_methods_that_share_a_cell_are_to_fill_those_of_both():
    wanted = expected_cells(videos(a="surf0 read0 wave0", b="surf0", c="other0"))
    assert {label: len(cells) for label, cells in wanted.items()} == {"a": 3, "b": 3, "c": 1}


def test_what_a_method_lacks_is_named():
    notes = uneven_notes(videos(a="surf0 read0 wave0", b="surf0"))
    assert notes == [
        "b has 1 of the 3 cells that methods have between them (missing: -/read-0, -/wave-0): its means rest on other "
        "cells than theirs"
    ]
    assert uneven_notes(videos(a="surf0 read0", b="read0 surf0")) == []
    assert uneven_notes(videos(a="surf0")) == []


def test_methods_without_a_common_cell_are_told():
    (note,) = uneven_notes(videos(a="surf0", b="read0"))
    assert note.startswith("a, b have no cell in common with another method")


def test_seeds_are_paired_where_prompts_are_the_same_and_no_seed_is():
    found = with_paired_seeds(Found(videos(a="surf3 surf1 read1", b="surf7 read9")))
    assert [(video.method, video.prompt_id, video.seed) for video in found.videos] == [
        ("a", "surf", 1),
        ("a", "surf", 0),
        ("a", "read", 0),
        ("b", "surf", 0),
        ("b", "read", 0),
    ]
    assert "paired by prompt" in found.notes[0]


def test_seeds_are_paired_where_two_of_the_methods_have_the_same_ones():
    found = with_paired_seeds(Found(videos(a="surf4 surf5", b="surf5 surf4", c="surf7 surf8")))
    assert [video.seed for video in found.videos] == [0, 1, 1, 0, 0, 1]
    assert uneven_notes(found.videos) == []


@pytest.mark.parametrize(
    "cells",
    [
        {"a": "surf0 surf1", "b": "surf1 surf2"},
        {"a": "surf0 surf1", "b": "surf1", "c": "surf8"},
        {"a": "surf0", "b": "read7"},
        {"a": "surf4"},
    ],
)
def test_seeds_stay_where_cells_or_no_prompts_are_shared(cells):
    found = Found(videos(**cells))
    assert with_paired_seeds(found).videos == found.videos


def test_means_over_common_cells_stand_beside_those_over_all():
    cells = [CellKey("ann", name, 0) for name in ("surf", "read")]
    scores = {"a": {cells[0]: {"x": 1.0, "y": 2.0}, cells[1]: {"x": 3.0}}, "b": {cells[0]: {"x": 2.0}}}
    columns = {"x": ("X", 100.0), "y": ("Y", 1.0)}
    assert common_means(scores, columns) == [
        "Over the 1 cell that all methods have, means are a: X 100, Y 2; b: X 200."
    ]
    assert common_means({"a": scores["a"]}, columns) == []
    assert common_means({"a": scores["a"], "b": {}}, columns) == []
