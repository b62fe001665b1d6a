"""Reading reports again: on the screen, against bars, and against another report."""

import dataclasses
import json
import re

import numpy as np
import pytest
from rich.console import Console

from pvbench.errors import ReportError, SettingError
from pvbench.report.comparing import compare_reports, pairs_of
from pvbench.report.formats.files import aggregates_json, scores_csv
from pvbench.report.formats.screen import screen_table
from pvbench.report.gate import read_bars
from pvbench.report.statistics.aggregate import aggregate
from pvbench.report.written import find_report, read_report


@pytest.fixture
def reported(tmp_path):
    """Writes the numbers of a report, without its pictures, and reads them again."""

    def make(data, name="a"):
        (tmp_path / name).mkdir(exist_ok=True)
        (tmp_path / name / "scores.csv").write_text(scores_csv(data))
        (tmp_path / name / "aggregates.json").write_text(aggregates_json(data, aggregate(data)))
        return read_report(tmp_path / name)

    return make


def drawn(table, width=100):
    console = Console(width=width, record=True, file=None, force_terminal=False)
    with console.capture() as captured:
        console.print(table)
    return captured.get()


def by_name(differences):
    return {one.column.name: one for one in differences}


def test_a_report_is_found_in_a_run_a_measuring_and_by_itself(tmp_path):
    for place in ("one", "run/report", "own/measured"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "aggregates.json").write_text("{}")
        assert find_report(tmp_path / place.partition("/")[0]) == tmp_path / place


def test_values_are_read_as_they_were_scored(make_run, reported):
    data = make_run(people=2, prompts=2, failed=(("base", "ada", "p01"),))
    report = reported(data)
    for label, of_label in data.scores.items():
        for cell, values in of_label.items():
            assert report.values[label, "face_sim"][cell] == pytest.approx(values["face_sim"], abs=1e-8)
    assert len(report.values["base", "face_sim"]) == 3


@pytest.mark.parametrize(
    ("content", "message"),
    [("", "not a report's, or damaged"), ("[]", "not a report's"), ('{"format": 1}', "format 1, this version reads 2")],
)
def test_a_damaged_report_and_one_of_another_version_are_refused(tmp_path, content, message):
    (tmp_path / "aggregates.json").write_text(content)
    with pytest.raises(ReportError, match=message):
        read_report(tmp_path)


def test_a_folder_without_a_report_is_refused(tmp_path):
    with pytest.raises(ReportError, match=r"no aggregates\.json in"):
        read_report(tmp_path)


def test_damaged_scores_are_refused(make_run, reported):
    report = reported(make_run(people=1, prompts=1))
    (report.folder / "scores.csv").write_text("method,identity\nbase,ada\n")
    with pytest.raises(ReportError, match=r"scores\.csv: it cannot be read"):
        _ = report.values


def test_the_screen_shows_the_reports_own_digits(make_run, reported):
    data = make_run(labels=("oracle", "personalvideo", "base"), failed=(("personalvideo", "ada", "p01"),))
    report = reported(data)
    text = drawn(screen_table(report))
    rows = [line.split() for line in text.splitlines()]
    # The floor first, the ceiling last, whatever their order in the run.
    assert [row[0] for row in rows if row and row[0] in data.scores] == ["base", "personalvideo", "oracle"]
    score = report.score("personalvideo", "face_sim")
    half = (score["interval"]["high"] - score["interval"]["low"]) / 2
    place = next(place for place, row in enumerate(rows) if row and row[0] == "personalvideo")
    assert rows[place][1] == f"{100 * score['value']:.2f}"
    assert rows[place][-1] == "31/32"
    assert rows[place + 1][0] == f"±{100 * half:.2f}"


def test_the_screen_shows_extra_metrics_where_there_are_no_others(make_run, reported):
    data = dataclasses.replace(make_run(people=2, prompts=2, labels=("base",)), metrics=("head_sim",))
    scores = {"base": {cell: {"head_sim": 0.5} for cell in data.cells}}
    assert "50.0" in drawn(screen_table(reported(dataclasses.replace(data, scores=scores))))


@pytest.mark.parametrize("width", [80, 100])
def test_the_screen_table_fits_a_terminal(make_run, reported, width):
    text = drawn(screen_table(reported(make_run(people=3, prompts=2))), width)
    assert max(map(len, text.splitlines())) <= width


@pytest.mark.parametrize(
    ("bar", "missed"),
    [
        ("face_sim>30", []),
        ("face_sim > 50", ["dreambooth_lora"]),
        ("personalvideo:face_sim>=30", []),
        ("oracle:face_sim<1", ["oracle"]),
        ("temporal_consistency>.5", []),
    ],
)
def test_a_bar_is_cleared_by_the_tables_number(planted, reported, bar, missed):
    report = reported(planted(base=0.0, dreambooth_lora=0.35, personalvideo=0.7, oracle=0.9))
    failures = [failure for one in read_bars([bar]) for failure in one.failures(report)]
    assert [failure.partition(":")[0] for failure in failures] == missed


@pytest.mark.parametrize(("end", "sign"), [("low", ">"), ("high", "<="), ("value", ">=")])
def test_a_bar_may_be_for_an_end_of_the_interval(planted, reported, end, sign):
    report = reported(planted(base=0.0, personalvideo=0.7))
    score = report.score("personalvideo", "face_sim")
    own = 100 * (score["value"] if end == "value" else score["interval"][end])
    missed = []
    for limit in (own - 0.1, own + 0.1):
        (bar,) = read_bars([f"face_sim.{end}{sign}{limit}"])
        missed.append(bool(bar.failures(report)))
    assert missed == ([True, False] if sign == "<=" else [False, True])


def test_a_number_without_a_value_clears_no_bar(make_run, reported):
    report = reported(make_run(people=1, prompts=2))
    (failure, *_) = read_bars(["face_sim.low>-100"])[0].failures(report)
    assert "face_sim.low is not known (no interval), >-100 was asked" in failure
    (failure, *_) = read_bars(["face_sim>99"])[0].failures(report)
    assert re.search(r"dreambooth_lora: face_sim is \d\d\.\d\d, >99 was asked", failure)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("face_sim", "expected a number of the report"),
        ("face_sim=30", "expected a number of the report"),
        ("face_sm>3", "did you mean 'face_sim'"),
        ("face_sim.mean>3", r"\.low and \.high are the interval's ends"),
        ("face_sim>thirty", "'thirty' is not a limit"),
        ("face_sim>nan", "'nan' is not a limit"),
    ],
)
def test_a_bar_that_is_none_is_refused(text, message):
    with pytest.raises(SettingError, match=message):
        read_bars([text])


@pytest.mark.parametrize(
    ("text", "message"),
    [("personalvido:face_sim>3", "did you mean 'personalvideo'"), ("head_sim>3", "head_sim was not measured")],
)
def test_a_bar_for_what_the_report_has_not_is_refused(make_run, reported, text, message):
    report = reported(make_run(people=1, prompts=1))
    with pytest.raises(ReportError, match=message):
        read_bars([text])[0].failures(report)


def test_a_report_of_controls_alone_has_nothing_that_a_bar_is_for(make_run, reported):
    report = reported(make_run(people=1, prompts=1, labels=("base", "oracle")))
    with pytest.raises(ReportError, match="no row that is a method"):
        read_bars(["face_sim>3"])[0].failures(report)


def test_a_label_with_settings_has_its_own_bar(make_run, reported):
    report = reported(make_run(people=2, prompts=2, labels=("base", "personalvideo[scr=off]")))
    assert read_bars(["personalvideo[scr=off]:face_sim>30"])[0].failures(report) == []


def test_a_planted_gain_is_found_and_its_direction_told(planted, reported):
    first = reported(planted(base=0.0, personalvideo=0.4), "a")
    second = reported(planted(base=0.0, personalvideo=0.5), "b")
    found = {(one.second, one.column.name): one for one in compare_reports(first, second)}
    gain = found["personalvideo", "face_sim"]
    assert gain.verdict == "better"
    assert gain.difference == pytest.approx(0.1, abs=0.01)
    assert gain.low < 0.1 < gain.high
    assert (gain.people, gain.videos, gain.paired) == (8, 32, "cells")
    assert found["base", "face_sim"].verdict == "no evidence"
    back = {(one.second, one.column.name): one for one in compare_reports(second, first)}
    assert back["personalvideo", "face_sim"].verdict == "worse"
    assert back["personalvideo", "face_sim"].difference == pytest.approx(-gain.difference)


def test_less_of_a_number_that_falls_is_better(planted, reported):
    reports = [reported(planted("warping_error", personalvideo=value), name) for name, value in (("a", 9), ("b", 5))]
    # Not one of the paper's six: it has to have been asked for.
    found = by_name(compare_reports(*reports))
    assert "warping_error" not in found


def test_a_report_and_itself_differ_in_nothing(make_run, reported):
    report = reported(make_run(people=8, prompts=4))
    found = compare_reports(report, report)
    assert {one.verdict for one in found if one.videos} == {"no evidence"}
    assert {one.difference for one in found if one.videos} == {0.0}
    assert by_name(found)["fvd_base"].verdict in ("not tested", "not comparable")


def test_other_evaluators_are_refused_and_named(make_run, reported):
    data = make_run(people=3, prompts=2)
    other = {**data.evaluators, "face": {**data.evaluators["face"], "weights": "12" * 32}}
    found = by_name(compare_reports(reported(data), reported(dataclasses.replace(data, evaluators=other), "b")))
    assert found["face_sim"].verdict == "not comparable"
    assert "face weights abababababababab and 1212121212121212" in found["face_sim"].why
    assert found["clip_t"].verdict == "no evidence"


def test_more_videos_are_no_other_measurement(make_run, reported):
    found = by_name(compare_reports(reported(make_run(people=4)), reported(make_run(people=8), "b")))
    assert found["face_sim"].people == 4
    assert found["face_sim"].verdict == "no evidence"


def test_other_seeds_are_paired_by_prompt(make_run, reported):
    data = make_run(people=3, prompts=2, labels=("base",))
    moved = {cell._replace(seed=1): values for cell, values in data.scores["base"].items()}
    other = dataclasses.replace(data, seeds=(1,), scores={"base": moved}, embeddings={})
    one = by_name(compare_reports(reported(data), reported(other, "b")))["face_sim"]
    assert (one.paired, one.videos, one.difference) == ("prompts", 6, 0.0)


def test_reports_of_other_people_are_not_compared(make_run, reported):
    data = make_run(people=2, prompts=2, labels=("base",))
    renamed = {cell._replace(identity=cell.identity.upper()): of for cell, of in data.scores["base"].items()}
    people = tuple(dataclasses.replace(one, name=one.name.upper()) for one in data.identities)
    other = dataclasses.replace(data, identities=people, scores={"base": renamed}, embeddings={})
    assert by_name(compare_reports(reported(data), reported(other, "b")))["face_sim"].why == (
        "no person and prompt in common"
    )


def test_the_only_methods_are_paired_whatever_they_are_called(make_run, reported):
    first = reported(make_run(people=2, prompts=1, labels=("base", "dreambooth_lora")))
    second = reported(make_run(people=2, prompts=1, labels=("base", "personalvideo")), "b")
    assert pairs_of(first, second) == [("base", "base"), ("dreambooth_lora", "personalvideo")]


def test_pairs_may_be_named_though_labels_have_equals_signs(make_run, reported):
    report = reported(make_run(people=1, prompts=1, labels=("base", "personalvideo[scr=off]")))
    assert pairs_of(report, report, ["personalvideo[scr=off]=base"]) == [("personalvideo[scr=off]", "base")]
    assert pairs_of(report, report, ["base=personalvideo[scr=off]"]) == [("base", "personalvideo[scr=off]")]


@pytest.mark.parametrize("text", ["base", "base=orcle", "bse=oracle", "=", ""])
def test_a_pair_of_unknown_rows_is_refused(make_run, reported, text):
    report = reported(make_run(people=1, prompts=1))
    with pytest.raises(ReportError, match="it has no row"):
        pairs_of(report, report, [text])


def test_reports_without_a_common_row_or_number_are_refused(make_run, reported):
    first = reported(make_run(people=1, prompts=1, labels=("base", "personalvideo")))
    second = reported(make_run(people=1, prompts=1, labels=("oracle", "magicme", "consisid")), "b")
    with pytest.raises(ReportError, match="--pair FIRST=SECOND"):
        pairs_of(first, second)
    content = {**json.loads(first.text), "columns": {}}
    (second.folder / "aggregates.json").write_text(json.dumps(content))
    with pytest.raises(ReportError, match="no number in common"):
        compare_reports(first, read_report(second.folder))


def test_few_people_are_said_to_be_too_few(planted, reported):
    found = [
        by_name(compare_reports(*(reported(planted(people=people, personalvideo=value), f"{people}{value}")
                                  for value in (0.1, 0.9))))["face_sim"]
        for people in (5, 6)
    ]  # fmt: skip
    assert [one.hopeless for one in found] == [True, False]
    assert [one.verdict for one in found] == ["no evidence", "better"]


def test_words_for_a_program_hold_no_nan(make_run, reported):
    report = reported(make_run(people=2, prompts=2))
    words = [one.in_words() for one in compare_reports(report, report)]
    assert json.loads(json.dumps(words, allow_nan=False)) == words
    assert {"metric", "verdict", "difference", "p_holm", "people"} <= set(words[0])


def test_comparisons_are_like_the_reports_own(planted, reported):
    """The same two rows, within one report and across two of them: same difference, same interval."""
    data = planted(base=0.0, dreambooth_lora=0.3, personalvideo=0.5)
    report = reported(data)
    inside = next(
        test for test in report.content["comparisons"] if (test["metric"], test["question"]) == ("face_sim", "methods")
    )
    across = by_name(compare_reports(report, report, [(inside["second"], inside["first"])]))["face_sim"]
    assert across.difference == pytest.approx(inside["difference"], abs=1e-8)
    assert np.allclose([across.low, across.high], [inside["interval"]["low"], inside["interval"]["high"]], atol=1e-8)
    assert across.p == pytest.approx(inside["p"])
