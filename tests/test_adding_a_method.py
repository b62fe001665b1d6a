"""The package in docs/adding_a_method.md, taken out of the page, installed and run."""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from example_inputs import EXAMPLE_PROFILE

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "adding_a_method.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """A folder with the page's files, and the metadata that pip would write beside them."""
    folder = tmp_path_factory.mktemp("package")
    files = re.findall(r"^`([\w.]+)`:\n\n```\w+\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert [name for name, _ in files] == ["pyproject.toml", "pvbench_photo.py"]
    for name, text in files:
        (folder / name).write_text(text, encoding="utf-8")
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    metadata = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: 1.0\n")
    lines = [f"{name} = {value}" for name, value in project["entry-points"]["pvbench.methods"].items()]
    (metadata / "entry_points.txt").write_text("[pvbench.methods]\n" + "\n".join(lines) + "\n")
    return folder


def pvbench(package, *arguments, status=0):
    paths = [str(package), str(ROOT / "tests" / "plugin"), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), "COLUMNS": "200"}
    command = [sys.executable, "-m", "pvbench.cli", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_the_methods_are_listed_with_their_settings(package):
    text = pvbench(package, "list", "methods", "--profile", EXAMPLE_PROFILE)
    assert "still_photo" in text
    assert "a reference photo, held still" in text
    assert "pan=1" in text


def test_the_methods_run_and_the_still_one_does_not_move(package, people, tmp_path):
    methods = "still_photo,average_photo[pan=2]"
    common = ("--profile", EXAMPLE_PROFILE, "--identities", people, "--prompts", "2", "--workers", "1")
    pvbench(package, "run", "--methods", methods, *common, "--out", str(tmp_path / "run"))
    report = json.loads((tmp_path / "run" / "report" / "aggregates.json").read_text())
    assert list(report["methods"]) == ["still_photo", "average_photo[pan=2]"]
    still = report["methods"]["still_photo"]["scores"]
    assert still["face_sim"]["n"] == 4
    assert still["flow_magnitude"]["value"] == 0
    assert still["dynamic_degree"]["value"] == 0
    assert still["temporal_consistency"]["value"] == pytest.approx(1)
    assert report["methods"]["average_photo[pan=2]"]["settings"] == {"pan": 2}


def test_a_wrong_setting_is_refused_with_the_packages_own_words(package, people, tmp_path):
    common = ("--profile", EXAMPLE_PROFILE, "--identities", people, "--out", str(tmp_path / "run"))
    text = pvbench(package, "run", "--methods", "still_photo[photo=-1]", *common, status=2)
    assert "expected 0 or more" in " ".join(text.split())


def test_a_photo_that_is_not_there_fails_its_cells_and_no_others(package, people, tmp_path):
    methods = "still_photo,still_photo[photo=7]"
    common = ("--profile", EXAMPLE_PROFILE, "--identities", people, "--prompts", "1", "--workers", "1")
    text = pvbench(package, "run", "--methods", methods, *common, "--out", str(tmp_path / "run"), status=1)
    assert "there is no photo 7" in " ".join(text.split())
    report = json.loads((tmp_path / "run" / "report" / "aggregates.json").read_text())
    assert report["methods"]["still_photo"]["done"] == 2
    assert report["methods"]["still_photo[photo=7]"]["done"] == 0
    assert "still_photo[photo=7],ann," in (tmp_path / "run" / "report" / "scores.csv").read_text().replace('"', "")


def test_the_pages_names_of_modules_exist():
    for name in re.findall(r"`methods/(\w+)\.py`", PAGE):
        assert (ROOT / "methods" / f"{name}.py").is_file(), name
