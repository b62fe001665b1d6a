"""Judgements: read, written, refused; preferences, agreement and contradiction as planted."""

import dataclasses
import math

import pytest
from scipy.stats import binomtest

from pvbench.errors import ReportError
from pvbench.report.data import CellKey, Judgement
from pvbench.report.document.contents import contents
from pvbench.report.document.judged_tables import about_the_person, judged_notes, judged_tables
from pvbench.report.document.tables import beside_tables, kept_table, main_table
from pvbench.report.judged import read_judgements, write_judgements
from pvbench.report.statistics.aggregate import aggregate
from pvbench.report.statistics.judgement import agreement, between_judges, disagreements, favourites, preferences

MEANS = {"base": 0.1, "dreambooth_lora": 0.3, "personalvideo": 0.5, "oracle": 0.9}


@pytest.fixture
def data(planted):
    return planted(**MEANS)


def judged(data, prefers, against, judge="one", cells=None):
    """A judge who prefers one row to another in the data's cells, sides in turn."""
    found = []
    for number, cell in enumerate(data.cells if cells is None else cells):
        a, b = (prefers, against) if number % 2 else (against, prefers)
        found.append(Judgement(judge, cell, a, b, "a" if a == prefers else "b"))
    return found


def with_judgements(data, *lists):
    return dataclasses.replace(data, judged=tuple(one for of_one in lists for one in of_one))


def test_a_file_holds_what_was_written(tmp_path):
    path = tmp_path / "judged.csv"
    assert read_judgements(path) == ()
    given = (Judgement("eve, who looks", CellKey("ada", "p1", 3), "base", "mine[a=1,b=2]", "tie"),)
    write_judgements(path, given)
    assert read_judgements(path) == given


@pytest.mark.parametrize(
    "line", ["eve,ada,p1,0,base,mine,c", "eve,ada,p1,0,base,,a", "eve,ada,p1,x,base,mine,a", "eve"]
)
def test_a_line_that_is_no_judgement_is_told_by_its_number(tmp_path, line):
    path = tmp_path / "judged.csv"
    path.write_text("judge,identity,prompt,seed,a,b,answer\neve,ada,p1,0,base,mine,b\n" + line + "\n")
    with pytest.raises(ReportError, match=r"judged\.csv line 3: .*an answer of a, b or tie"):
        read_judgements(path)


def test_most_judges_decide_and_even_ones_do_not(data):
    cell = data.cells[:1]
    mine, theirs = (judged(data, *rows, judge, cell) for rows, judge in (
        (("personalvideo", "base"), "one"), (("base", "personalvideo"), "two"),
    ))  # fmt: skip
    third = judged(data, "personalvideo", "base", "three", cell)
    assert set(favourites(mine + theirs).values()) == {""}
    assert set(favourites(mine + theirs + third).values()) == {"personalvideo"}
    assert between_judges(mine + theirs + third) == (1, 3)
    tie = [dataclasses.replace(theirs[0], answer="tie")]
    assert between_judges(mine + tie) == (0, 0)
    assert set(favourites(mine + tie).values()) == {"personalvideo"}


def test_a_preference_is_significant_by_the_binomial_test(data):
    found = preferences(judged(data, "dreambooth_lora", "personalvideo"), list(MEANS))
    (one,) = found
    assert (one.first, one.second) == ("personalvideo", "dreambooth_lora")
    assert (one.won, one.decided, one.shown) == (0, 32, 32)
    assert one.share == 0
    assert one.p == pytest.approx(2 / 2**32)
    assert one.winner == "dreambooth_lora"
    even = judged(data, "base", "oracle", cells=data.cells[:16]) + judged(data, "oracle", "base", cells=data.cells[16:])
    (one,) = preferences(even, list(MEANS))
    assert one.winner == ""
    assert one.p == pytest.approx(1)
    ties = [dataclasses.replace(j, answer="tie") for j in even]
    (one,) = preferences(ties, list(MEANS))
    assert math.isnan(one.p)
    assert one.winner == ""


def test_a_number_agrees_where_it_prefers_the_same_video(data):
    for_, against = judged(data, "personalvideo", "base"), judged(data, "base", "personalvideo")
    assert agreement(data, for_, "face_sim") == (32, 32)
    assert agreement(data, against, "face_sim") == (0, 32)
    assert agreement(data, for_, "head_sim") == (0, 0)
    equal = dataclasses.replace(
        data,
        scores={
            label: {cell: {**of, "face_sim": 0.5} for cell, of in of_label.items()}
            for label, of_label in data.scores.items()
        },
    )
    assert agreement(equal, for_, "face_sim") == (16, 32)


def test_pairs_with_the_untuned_model_are_told_apart(data):
    both = judged(data, "personalvideo", "base") + judged(data, "dreambooth_lora", "personalvideo")
    assert agreement(data, both, "face_sim") == (32, 64)
    between = agreement(data, both, "face_sim", floor=False)
    assert between == (0, 32)
    for found in (between, agreement(data, both, "face_sim")):
        known = binomtest(int(found.right), found.asked).proportion_ci(method="wilson")
        assert (found.interval.low, found.interval.high) == pytest.approx((known.low, known.high))
    _, counted = judged_tables(with_judgements(data, both))
    (face,) = (row for row in counted.rows if row[0].text == "Face Sim.")
    assert [entry.text for entry in face] == ["Face Sim.", "50", "64", "0", "32"]
    assert face[1].below == "[38, 62]"
    alone = with_judgements(data, judged(data, "personalvideo", "base"))
    assert [entry.text for entry in judged_tables(alone)[1].rows[0]][3:] == ["–", "0"]
    assert math.isnan(agreement(alone, alone.judged, "face_sim", floor=False).interval.low)


def test_a_number_that_judges_contradict_is_told_beside_it(data):
    against = with_judgements(data, judged(data, "dreambooth_lora", "personalvideo"))
    numbers = aggregate(against)
    (one,) = disagreements(numbers, against.judged, "face_sim")
    assert (one.better, one.worse, one.significant) == ("personalvideo", "dreambooth_lora", True)
    (note,) = judged_notes(against, numbers, ("face_sim",))
    assert note == (
        "Judges disagree: better for `personalvideo` by Face Sim.; they prefer `dreambooth_lora` in 100 % of 32 pairs "
        "(p 4.7e-10; see Judged blind)."
    )
    (together,) = judged_notes(against, numbers, ("face_sim", "face_sim_detected", "clip_t"))
    assert together.startswith("Judges disagree: better for `personalvideo` by Face Sim., Face Sim. (found); they")
    for table in (main_table(against, numbers), kept_table(against, numbers)):
        assert note in table.notes
    agreeing = with_judgements(data, judged(data, "personalvideo", "dreambooth_lora"))
    assert not list(judged_notes(agreeing, numbers, ("face_sim",)))
    # A number that has both equal prefers neither.
    equal = tuple(dataclasses.replace(test, difference=0.0) for test in numbers.comparisons)
    assert not disagreements(dataclasses.replace(numbers, comparisons=equal), against.judged, "face_sim")
    assert all("Judges disagree" not in note for table in beside_tables(data, numbers) for note in table.notes)


def test_an_order_that_is_not_significant_is_told_as_such(planted):
    data = planted(**{**MEANS, "personalvideo": 0.4})
    few = with_judgements(data, judged(data, "dreambooth_lora", "personalvideo", cells=data.cells[:5]))
    numbers = aggregate(few)
    tests = tuple(
        dataclasses.replace(test, p_holm=0.5) if test.column == "face_sim" else test for test in numbers.comparisons
    )
    (note,) = judged_notes(few, dataclasses.replace(numbers, comparisons=tests), ("face_sim",))
    assert note == (
        "Judges disagree: better for `personalvideo` (not significantly) by Face Sim.; they prefer `dreambooth_lora` "
        "in 100 % of 5 pairs (p 0.062; see Judged blind)."
    )


def test_the_report_has_a_section_where_there_are_judgements(data):
    with_them = with_judgements(
        data, judged(data, "personalvideo", "base"), judged(data, "personalvideo", "base", "two")
    )
    numbers = aggregate(with_them)
    titles = [section.title for section in contents(with_them, numbers, ()).sections]
    assert "Judged blind" in titles
    assert judged_tables(data) == ()
    rows, counted = judged_tables(with_them)
    assert [entry.text for entry in rows.rows[0]][:3] == ["personalvideo", "base", "100"]
    assert rows.rows[0][-1].text == "32/32"
    assert (
        rows.notes[0] == "Judges: one, two. Two of them preferred the same video in 32 of 32 pairs that both decided."
    )
    assert ["Face Sim.", "100", "32", "–", "0"] in [[entry.text for entry in row] for row in counted.rows]
    assert "face_sim" in about_the_person(data)
    assert "temporal_consistency" not in about_the_person(data)
    assert "clip_t" not in about_the_person(data)
