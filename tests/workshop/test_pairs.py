"""Blind pairs: balanced and shuffled, answers that count, numbers that agree with judges as planted."""

import dataclasses
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pvbench.errors import ReportError
from pvbench.metrics import COLUMNS
from pvbench.report.data import CellKey
from pvbench.report.written import WrittenReport
from workshop.pairs import Pair, agreement, between_judges, draw_pairs, picture, preferred, read_answers, tally

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


def answers(prefers):
    return {pair.number: "A" if pair.a == prefers else "B" for pair in PAIRS}


def report(**columns):
    """A report in which each number has a value for each row."""
    facts = {
        name: {
            "display": COLUMNS[name].display,
            "unit": COLUMNS[name].unit,
            "higher_is_better": COLUMNS[name].higher_is_better,
            "shown_times": COLUMNS[name].scale,
            "undefined": "",
        }
        for name in columns
    }
    rows = {
        row: {"role": "method", "scores": {name: {"value": of[row]} for name, of in columns.items()}}
        for row in next(iter(columns.values()))
    }
    found = WrittenReport(Path(), {"columns": facts, "methods": rows})
    found.__dict__["values"] = {
        (row, name): dict.fromkeys(CELLS, value) for name, of in columns.items() for row, value in of.items()
    }
    return found


def test_a_number_agrees_as_often_as_it_prefers_the_same_video():
    found = report(
        face_sim={"base": 0.1, "mine": 0.5},
        skin_difference={"base": 3.0, "mine": 9.0},
        clip_i={"base": 0.2, "mine": 0.2},
    )
    judged = [answers("mine"), answers("mine")]
    assert agreement(found, PAIRS, judged, "face_sim") == (12, 12)
    assert agreement(found, PAIRS, judged, "skin_difference") == (0, 12)
    assert agreement(found, PAIRS, judged, "clip_i") == (6, 12)
    assert agreement(found, PAIRS, judged, "head_sim") == (0, 0)
    page = tally(found, PAIRS, judged)
    assert "| `mine` | `base` | 100 | 12 of 12 | 0.00049 | `mine` by 40 | – |" in page
    assert "| Face Sim. | 100 | 12 |" in page
    assert "they agree in 100 % of 12" in page


def test_judges_who_differ_decide_nothing():
    one, other = answers("mine"), answers("base")
    assert {preferred(pair, [one, other]) for pair in PAIRS} == {""}
    assert preferred(PAIRS[0], [one, other, one]) == "mine"
    assert between_judges([one, other], PAIRS) == (0.0, 12)
    half = {**one, 1: "tie"}
    assert between_judges([one, half], PAIRS) == (1.0, 11)
    assert preferred(PAIRS[0], [half]) == ""


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
