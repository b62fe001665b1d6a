"""A report is made anew when anything that it is made from has changed, and only then."""

from pathlib import Path

import pytest

import pvbench
from pvbench import freshness as module
from pvbench.freshness import freshness

INPUTS = {"scores": [0.5, None], "title": "a report"}
SOURCES = (
    "report/document/page.py",
    "report/gallery/gallery.html",
    "metrics/face_sim.py",
    "measuring/table.py",
    "stats.py",
)


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package of a few files in the place of pvbench's own."""
    for name in (*SOURCES, "backbones/mini.py", "report/__pycache__/page.pyc"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("before")
    monkeypatch.setattr(pvbench, "__file__", str(tmp_path / "__init__.py"))
    return tmp_path


def test_the_same_inputs_are_the_same_and_others_are_not():
    first = freshness(INPUTS)
    assert first == freshness(dict(reversed(INPUTS.items())))
    assert len({first, freshness({}), freshness({**INPUTS, "title": "another"}), freshness({**INPUTS, "more": 1})}) == 4


@pytest.mark.parametrize("name", SOURCES)
def test_code_that_writes_reports_counts(package, name):
    before = freshness(INPUTS)
    (package / name).write_text("after")
    changed = freshness(INPUTS)
    (package / name).unlink()
    assert len({before, changed, freshness(INPUTS)}) == 3


@pytest.mark.parametrize("name", ["backbones/mini.py", "report/__pycache__/page.pyc"])
def test_what_only_makes_videos_and_byte_code_do_not_count(package, name):
    before = freshness(INPUTS)
    (package / name).write_text("after")
    assert freshness(INPUTS) == before


def test_the_folder_of_the_package_does_not_count(package, tmp_path_factory, monkeypatch):
    before = freshness(INPUTS)
    moved = package.rename(tmp_path_factory.mktemp("elsewhere") / "pvbench")
    monkeypatch.setattr(pvbench, "__file__", str(moved / "__init__.py"))
    assert freshness(INPUTS) == before


@pytest.mark.parametrize("fact", ["versions", "machine"])
def test_versions_and_machine_count(monkeypatch, fact):
    before = freshness(INPUTS)
    monkeypatch.setattr(module, fact, lambda: {"torch": "0.0"})
    assert freshness(INPUTS) != before


def test_the_published_tables_count(monkeypatch, tmp_path):
    (tmp_path / "table.toml").write_text("before")
    monkeypatch.setattr(module, "files", lambda name: tmp_path)
    before = freshness(INPUTS)
    (tmp_path / "table.toml").write_text("after")
    assert freshness(INPUTS) != before


@pytest.mark.parametrize(("value", "error"), [(Path("/somewhere"), TypeError), (float("nan"), ValueError)])
def test_what_is_not_the_same_everywhere_is_refused(value, error):
    with pytest.raises(error, match="inputs"):
        freshness({"scores": value})
