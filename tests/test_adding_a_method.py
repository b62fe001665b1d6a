"""The package in docs/adding_a_method.md, taken out of the page, installed and run."""

import json
import re

import pytest
from docs_package import ROOT, package_of, pvbench
from example_inputs import EXAMPLE_PROFILE

PAGE = (ROOT / "docs" / "adding_a_method.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """A folder with the page's files, and the metadata that pip would write beside them."""
    folder = tmp_path_factory.mktemp("package")
    assert package_of("adding_a_method.md", folder) == ["pyproject.toml", "pvbench_photo.py"]
    return folder


def test_the_methods_are_listed_with_their_settings(package):
    text = pvbench(package, "list", "methods", "--profile", EXAMPLE_PROFILE)
    assert "one_photo" in text
    assert "one of the photos, held still" in text
    assert "pan=1" in text


def test_the_methods_run_and_the_still_one_does_not_move(package, people, tmp_path):
    methods = "one_photo,average_photo[pan=2]"
    common = ("--profile", EXAMPLE_PROFILE, "--identities", people, "--prompts", "2", "--workers", "1")
    pvbench(package, "run", "--methods", methods, *common, "--out", str(tmp_path / "run"))
    report = json.loads((tmp_path / "run" / "report" / "aggregates.json").read_text())
    assert list(report["methods"]) == ["one_photo", "average_photo[pan=2]"]
    still = report["methods"]["one_photo"]["scores"]
    assert still["face_sim"]["n"] == 4
    assert still["flow_magnitude"]["value"] == 0
    assert still["dynamic_degree"]["value"] == 0
    assert still["temporal_consistency"]["value"] == pytest.approx(1)
    assert report["methods"]["average_photo[pan=2]"]["settings"] == {"pan": 2}


def test_a_wrong_setting_is_refused_with_the_packages_own_words(package, people, tmp_path):
    common = ("--profile", EXAMPLE_PROFILE, "--identities", people, "--out", str(tmp_path / "run"))
    text = pvbench(package, "run", "--methods", "one_photo[photo=-1]", *common, status=2)
    assert "expected 0 or more" in " ".join(text.split())


def test_a_photo_that_is_not_there_fails_its_cells_and_no_others(package, people, tmp_path):
    methods = "one_photo,one_photo[photo=7]"
    common = ("--profile", EXAMPLE_PROFILE, "--identities", people, "--prompts", "1", "--workers", "1")
    text = pvbench(package, "run", "--methods", methods, *common, "--out", str(tmp_path / "run"), status=1)
    assert "there is no photo 7" in " ".join(text.split())
    report = json.loads((tmp_path / "run" / "report" / "aggregates.json").read_text())
    assert report["methods"]["one_photo"]["done"] == 2
    assert report["methods"]["one_photo[photo=7]"]["done"] == 0
    assert "one_photo[photo=7],ann," in (tmp_path / "run" / "report" / "scores.csv").read_text().replace('"', "")


def test_the_pages_names_of_modules_exist():
    for name in re.findall(r"`methods/(\w+)\.py`", PAGE):
        assert (ROOT / "methods" / f"{name}.py").is_file(), name
