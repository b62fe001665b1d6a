"""Texts of a kept report, written again from what was kept."""

import json

import pytest
from example_inputs import EXAMPLE_PROFILE, make_identity
from inline_workers import here

from pvbench.errors import ReportError
from pvbench.report.data import CellKey, Judgement
from pvbench.report.judged import write_judgements
from pvbench.runner.grid import run_grid
from pvbench.runner.observer import Silent
from pvbench.runner.plan import Choice, make_plan
from pvbench.runner.report import keep_report
from pvbench.store import Store
from workshop.rewrite import rewrite

TEXTS = ("report.md", "report.tex", "aggregates.json")


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """The kept report of a floor and two methods for six people, with a judgement."""
    folder = tmp_path_factory.mktemp("kept")
    people = [make_identity(folder / "people", f"p{number}", brightness=60 + 20 * number) for number in range(6)]
    names = ",".join(f"{person}/" for person in people)
    choice = Choice(EXAMPLE_PROFILE, "base,example_drift,example_stamp", names, "2")
    store = Store(folder / "run")
    result = run_grid(make_plan(choice), store, Silent(), device="cpu", executor=here)
    judged = Judgement("one", CellKey("p0", result.plan.prompts[0].id, 0), "example_drift", "example_stamp", "b")
    write_judgements(store.judged_file, [judged])
    return keep_report(result, folder / "kept")


def test_the_same_code_writes_the_same(kept):
    before = {name: (kept / name).read_bytes() for name in TEXTS}
    assert {path.name for path in rewrite(kept)} == set(TEXTS)
    for name in TEXTS[:2]:
        assert (kept / name).read_bytes() == before[name]

    # Nine digits of every value are kept: differences of nearly equal ones have fewer.
    def check(one, other, where=""):
        if isinstance(one, dict):
            assert one.keys() == other.keys(), where
            for key in one:
                check(one[key], other[key], f"{where}.{key}")
        elif isinstance(one, list):
            assert len(one) == len(other), where
            for place, pair in enumerate(zip(one, other, strict=True)):
                check(*pair, f"{where}[{place}]")
        else:
            assert one == (pytest.approx(other, rel=1e-4, abs=1e-8) if isinstance(one, float) else other), where

    check(json.loads((kept / "aggregates.json").read_text()), json.loads(before["aggregates.json"]))


def test_what_judges_say_later_comes_in(kept):
    text = (kept / "judged.csv").read_text()
    try:
        (kept / "judged.csv").write_text(text + text.splitlines()[1].replace("one,p0", "two,p1") + "\n")
        rewrite(kept)
        assert "Judges: one, two." in (kept / "report.md").read_text()
    finally:
        (kept / "judged.csv").write_text(text)


def test_other_evaluators_are_refused(kept):
    content = json.loads((kept / "aggregates.json").read_text())
    score = content["methods"]["base"]["scores"]["clip_t"]
    whole = dict(score)
    try:
        score["signature"] = score["signature"].replace("clip_t.v1", "clip_t.v0")
        (kept / "aggregates.json").write_text(json.dumps(content))
        with pytest.raises(ReportError, match=r"clip_t was measured as clip_t\.v0 .*, and would be as clip_t\.v1"):
            rewrite(kept)
    finally:
        content["methods"]["base"]["scores"]["clip_t"] = whole
        (kept / "aggregates.json").write_text(json.dumps(content))
