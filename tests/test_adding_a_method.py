"""The package in docs/adding_a_method.md, taken out of the page, installed and run."""

import json
import re

import pytest
from docs_package import ROOT, package_of, pvbench_in_turn
from example_inputs import EXAMPLE_PROFILE

PAGE = (ROOT / "docs" / "adding_a_method.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """A folder with the page's files, and the metadata that pip would write beside them."""
    folder = tmp_path_factory.mktemp("package")
    assert package_of("adding_a_method.md", folder) == ["pyproject.toml", "pvbench_photo.py"]
    return folder


@pytest.fixture(scope="module")
def ran(package, same_people, tmp_path_factory):
    """What three runs print, with their status: of both methods, of a wrong setting, and of a photo too many."""
    out = tmp_path_factory.mktemp("runs")
    common = ("--profile", EXAMPLE_PROFILE, "--identities", same_people, "--prompts", "1", "--workers", "1")
    asked = ("one_photo,average_photo[pan=2]", "one_photo[photo=-1]", "one_photo,one_photo[photo=7]")
    lines = [("run", "--methods", one, *common, "--out", str(out / str(n))) for n, one in enumerate(asked)]
    return [(*printed, out / str(n)) for n, printed in enumerate(pvbench_in_turn(package, *lines))]


def report_of(run):
    return json.loads((run / "report" / "aggregates.json").read_text())["methods"]


def test_the_methods_run_and_the_still_one_does_not_move(ran):
    text, status, run = ran[0]
    assert status == 0, text
    methods = report_of(run)
    assert list(methods) == ["one_photo", "average_photo[pan=2]"]
    still = methods["one_photo"]["scores"]
    assert still["face_sim"]["n"] == 2
    assert still["flow_magnitude"]["value"] == 0
    assert still["dynamic_degree"]["value"] == 0
    assert still["temporal_consistency"]["value"] == pytest.approx(1)
    assert methods["average_photo[pan=2]"]["settings"] == {"pan": 2}


def test_a_wrong_setting_is_refused_with_the_packages_own_words(ran):
    text, status, run = ran[1]
    assert status == 2
    assert "expected 0 or more" in " ".join(text.split())
    assert not run.exists()


def test_a_photo_that_is_not_there_fails_its_cells_and_no_others(ran):
    text, status, run = ran[2]
    assert status == 1
    assert "there is no photo 7" in " ".join(text.split())
    methods = report_of(run)
    assert methods["one_photo"]["done"] == 2
    assert methods["one_photo[photo=7]"]["done"] == 0
    assert "one_photo[photo=7],ann," in (run / "report" / "scores.csv").read_text().replace('"', "")


def test_the_pages_names_of_modules_exist():
    for name in re.findall(r"`methods/(\w+)\.py`", PAGE):
        assert (ROOT / "methods" / f"{name}.py").is_file(), name
