"""Reports that are kept: of a complete run of the benchmark's people, in place of an earlier one."""

import dataclasses
import json
from pathlib import Path

import pandas
import pytest
from inline_workers import here

from pvbench.errors import ReportError
from pvbench.identity import split_root
from pvbench.report.data import CellKey, Judgement
from pvbench.report.frame import scores
from pvbench.report.judged import read_judgements, write_judgements
from pvbench.report.written import read_report
from pvbench.runner.grid import run_grid
from pvbench.runner.observer import Silent
from pvbench.runner.plan import Choice, make_plan
from pvbench.runner.report import keep_report
from pvbench.runner.scoring import score_run
from pvbench.store import Store


def test_a_report_is_kept_whole_and_replaces_an_earlier_one(run, tmp_path):
    result = run(prompts="1").result
    folder = tmp_path / "kept"
    for _ in range(2):
        assert keep_report(result, folder) == folder
        written = {path.relative_to(result.store.report_folder) for path in result.store.report_folder.rglob("*")}
        gallery = {path for path in written if path.parts[0] in ("index.html", "clips")}
        assert len(gallery) > 2
        packed = (written - gallery - {Path("scores.csv")}) | {Path("scores.csv.gz")}
        assert {path.relative_to(folder) for path in folder.rglob("*")} == packed
        assert read_report(folder).values == read_report(result.store.folder).values
        pandas.testing.assert_frame_equal(scores(folder), scores(result.store.folder))
        (folder / "filmstrips" / "old.jpg").touch()
    keep_report(result, folder)
    assert not (folder / "filmstrips" / "old.jpg").exists()


def test_what_judges_said_is_kept_with_the_report_and_a_reader_finds_it_in_the_json(run, tmp_path):
    result = run(prompts="1").result
    first, second = [variant.label for variant in result.plan.variants][:2]
    cell = CellKey(result.plan.identities[0].name, result.plan.prompts[0].id, 0)
    write_judgements(result.store.judged_file, [Judgement("one", cell, first, second, "a")])
    for _ in range(2):
        folder = keep_report(result, tmp_path / "kept")
        assert read_judgements(folder / "judged.csv") == read_judgements(result.store.judged_file)
    words = json.loads((folder / "aggregates.json").read_text())["judged"]
    assert words["judges"]["names"] == ["one"]
    assert [(row["decided"], row["shown"]) for row in words["rows"]] == [(1, 1)]
    assert words["agreement"]["face_sim"]["pairs"] == 1


def test_a_run_for_development_is_not_kept(run, tmp_path):
    result = run(prompts="1").result
    choice = dataclasses.replace(result.plan.choice, split="development")
    other = dataclasses.replace(result, plan=dataclasses.replace(result.plan, choice=choice))
    with pytest.raises(ReportError, match="for development, on which settings are chosen: its report is not kept"):
        keep_report(other, tmp_path / "kept")
    assert not (tmp_path / "kept").exists()


def test_people_for_development_are_not_kept_either_where_they_are_named_by_folder(run, tmp_path):
    alma = split_root("development") / "alma"
    result = run(prompts="1", identities=str(alma)).result
    with pytest.raises(ReportError, match="for development"):
        keep_report(result, tmp_path / "kept")


def test_a_run_with_missing_cells_is_not_kept(run, tmp_path, monkeypatch):
    monkeypatch.setenv("EXAMPLE_FAILS", "example_drift:ann:surf")
    result = run(prompts="1").result
    with pytest.raises(ReportError, match=r"lacks 1 of 4 cells; `pvbench run .*` makes them"):
        keep_report(result, tmp_path / "kept")


def test_a_folder_of_something_else_is_left_alone(run, tmp_path):
    folder = tmp_path / "thesis"
    folder.mkdir()
    (folder / "chapter.tex").write_text("mine")
    with pytest.raises(ReportError, match="holds something else than a report"):
        keep_report(run(prompts="1").result, folder)
    assert (folder / "chapter.tex").read_text() == "mine"


def test_copying_is_told_from_tuned_photos_and_the_ceilings_videos(tmp_path):
    store = Store(tmp_path / "run")

    def copying(methods):
        choice = Choice(methods=methods, identities="2", prompts="2", metrics="copying")
        scores = score_run(run_grid(make_plan(choice), store, Silent(), device="cpu", executor=here)).data.scores
        return {label: [of_one["copying"] for of_one in cells.values()] for label, cells in scores.items()}

    found = copying("still_photo,oracle")
    assert min(found["still_photo"]) > 0.9
    assert max(found["oracle"]) < -0.3
    # Without the ceiling as a row, an earlier run's videos in the folder are the truth.
    assert copying("still_photo")["still_photo"] == pytest.approx(found["still_photo"])
