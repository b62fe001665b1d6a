"""Measuring the folder of a run: everything is known, and the run's own report stays."""

import csv
import json
from pathlib import Path

import pytest
from example_inputs import EXAMPLE_PROFILE, make_identity
from inline_workers import here

from pvbench.measuring.measure import measure
from pvbench.measuring.request import MeasureRequest
from pvbench.profile import load_profile
from pvbench.runner.grid import run_grid
from pvbench.runner.plan import Choice, make_plan
from pvbench.runner.progress import RichObserver
from pvbench.runner.report import report_run
from pvbench.store import Store


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished run of two people, two prompts and two methods, and the folder of its people."""
    from rich.console import Console

    folder = tmp_path_factory.mktemp("run")
    ann = make_identity(folder / "people", "ann", brightness=90)
    bob = make_identity(folder / "people", "bob", "man", 180)
    plan = make_plan(Choice(EXAMPLE_PROFILE, identities=f"{ann},{bob}", prompts="2"))
    with Path("/dev/null").open("w") as nowhere:
        observer = RichObserver(Console(file=nowhere))
        result = run_grid(plan, Store(folder / "out"), observer, device="cpu", workers=1, executor=here)
    report_run(result)
    return folder


def ordered(finished, **options):
    chosen = {"identities": finished / "people", "workers": 1} | options
    return MeasureRequest((finished / "out",), load_profile(EXAMPLE_PROFILE), **chosen)


def scores(report):
    with (report / "scores.csv").open() as file:
        return {tuple(list(row.values())[:5]): row["value"] for row in csv.DictReader(file)}


def test_nothing_is_computed_again_and_the_numbers_are_the_runs(finished, tmp_path, monkeypatch):
    monkeypatch.setenv("EXAMPLE_FAILS", "evaluators measuring")
    monkeypatch.setattr("pvbench.measuring.jobs.VideoJob.run", lambda *_: pytest.fail("a video was measured"))
    done = measure(ordered(finished, out=tmp_path / "measured"))
    assert (done.made, done.reused) == (0, 8)
    assert not (tmp_path / "measured" / "features").exists()
    assert scores(done.report) == scores(finished / "out" / "report")


def test_the_runs_report_is_never_replaced(finished):
    own = finished / "out" / "report"
    before = {path: path.read_bytes() for path in own.rglob("*") if path.is_file()}
    done = measure(ordered(finished, out=finished / "out"))
    assert done.report == finished / "out" / "measured"
    assert {path: path.read_bytes() for path in own.rglob("*") if path.is_file()} == before
    again = measure(ordered(finished, out=finished / "out"))
    assert (again.made, again.reused, again.problems) == (0, 8, ())


def test_a_video_of_the_run_that_was_replaced_is_measured_anew(finished, tmp_path, inline):
    """Two cells then have one video, and each its numbers."""
    import shutil

    shutil.copytree(finished / "out", tmp_path / "copy")
    video = next((tmp_path / "copy" / "videos").rglob("*.mkv"))
    others = [path for path in (tmp_path / "copy" / "videos").rglob("*.mkv") if path != video]
    shutil.copyfile(others[0], video)
    for path in (tmp_path / "copy" / "features" / "video").iterdir():
        path.unlink()
    asked = MeasureRequest(
        (tmp_path / "copy",),
        load_profile(EXAMPLE_PROFILE),
        identities=finished / "people",
        workers=1,
        out=tmp_path / "measured",
    )
    done = measure(asked)
    assert done.made == 8
    numbers = json.loads((done.report / "aggregates.json").read_text())
    assert sum(one["done"] for one in numbers["methods"].values()) == 8


@pytest.mark.parametrize(("texts", "said"), [(0, ""), (1, "(1 text)"), (2, "(2 texts)")])
def test_videos_of_refined_prompts_are_said_to_be_so(finished, tmp_path, texts, said):
    """What the run's plan holds of them, beside numbers that compare with the short prompts."""
    path = finished / "out" / "plan.json"
    before = path.read_text()
    plan = json.loads(before)
    names = list(plan["prompts"])[:texts]
    try:
        path.write_text(json.dumps(plan | ({"refined": dict.fromkeys(names, "a long text")} if texts else {})))
        done = measure(ordered(finished, out=tmp_path / "measured"))
    finally:
        path.write_text(before)
    report = (done.report / "report.md").read_text()
    assert ("refined prompts" in report) == bool(texts)
    assert said in report
