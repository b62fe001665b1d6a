"""Blind pairs: balanced and shuffled, answers that count, numbers that agree with judges as planted."""

import dataclasses
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from pvbench.errors import ReportError
from pvbench.report.data import CellKey, Judgement
from workshop.pairs import Pair, draw_pairs, judgements, picture, read_answers

ROWS = ("base", "mine", "oracle")
CELLS = [CellKey(name, prompt, 0) for name in ("ada", "ben", "chloe", "dario") for prompt in ("p1", "p2", "p3")]


def test_pairs_are_balanced_over_rows_people_and_sides():
    pairs = draw_pairs(CELLS, ROWS, 120, 0)
    assert [pair.number for pair in pairs] == list(range(1, 121))
    assert set(Counter(frozenset((pair.a, pair.b)) for pair in pairs).values()) == {40}
    assert set(Counter(pair.cell.identity for pair in pairs).values()) == {30}
    first = sum((pair.a, pair.b) == tuple(sorted((pair.a, pair.b))) for pair in pairs)
    assert 40 < first < 80
    assert pairs == draw_pairs(CELLS, ROWS, 120, 0)
    assert pairs != draw_pairs(CELLS, ROWS, 120, 1)
    # In no order that a judge could learn.
    assert len({frozenset((pair.a, pair.b)) for pair in pairs[::3]}) == 3


def test_a_sheet_shows_photos_and_both_films_and_no_name():
    photos = [Image.new("RGB", (200, 240), (255, 0, 0))] * 5
    films = {"A": np.full((8, 64, 64, 3), 40, np.uint8), "B": np.full((8, 64, 64, 3), 200, np.uint8)}
    found = np.asarray(picture(photos, films, 7))
    # A photo, a frame of A and one of B, each in its row.
    assert found[60, 100].tolist() == [255, 0, 0]
    assert found[60 + 152, 100].tolist() == [40] * 3
    assert found[60 + 288, 100].tolist() == [200] * 3


PAIRS = [Pair(i + 1, cell, *(("mine", "base") if i % 2 else ("base", "mine"))) for i, cell in enumerate(CELLS)]


def test_answers_become_judgements_of_rows():
    found = judgements(
        PAIRS, {"one": {pair.number: "A" for pair in PAIRS}, "two": {pair.number: "tie" for pair in PAIRS}}
    )
    assert len(found) == 2 * len(PAIRS)
    assert found[0] == Judgement("one", PAIRS[0].cell, "base", "mine", "a")
    assert found[-1].answer == "tie"


def test_answers_are_read_and_checked(tmp_path):
    path = tmp_path / "one.csv"
    path.write_text("pair,answer\n" + "".join(f"{pair.number},{'a' if pair.number > 1 else 'Tie'}\n" for pair in PAIRS))
    found = read_answers(path, PAIRS)
    assert (found[1], found[2]) == ("tie", "A")
    path.write_text("pair,answer\n1,A\n")
    with pytest.raises(ReportError, match="lacks the pairs 2, 3, 4, 5, 6"):
        read_answers(path, PAIRS)
    path.write_text("pair,answer\n1,C\n")
    with pytest.raises(ReportError, match="'C'; expected one of A, B, tie"):
        read_answers(path, PAIRS)
    path.write_text("pair,answer\n1,A\n1,B\n")
    with pytest.raises(ReportError, match="once"):
        read_answers(path, PAIRS)


def test_a_pair_is_two_rows_of_one_cell():
    assert {field.name for field in dataclasses.fields(Pair)} == {"number", "cell", "a", "b"}
