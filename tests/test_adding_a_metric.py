"""The package in docs/adding_a_metric.md, taken out of the page, installed and run."""

import csv
import json
import os
import re
import subprocess
import sys

import pytest
from docs_package import package_of, pvbench, pvbench_in_turn
from example_inputs import EXAMPLE_PROFILE


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    folder = tmp_path_factory.mktemp("package")
    assert package_of("adding_a_metric.md", folder) == ["pyproject.toml", "pvbench_face_area.py"]
    return folder


def test_a_run_scores_it_where_it_is_named_and_a_run_of_it_alone_has_no_others(package, people, tmp_path):
    out, alone = tmp_path / "run", tmp_path / "alone"
    common = ("run", "--profile", EXAMPLE_PROFILE, "--identities", people, "--prompts", "1", "--workers", "1")
    pvbench(package, *common, "--metrics", "all,face_area", "--out", str(out))
    # The example's faces fill the frame.
    assert scores(out)["face_area"]["value"] == 1
    assert "face_sim" in scores(out)
    with (out / "report" / "scores.csv").open() as file:
        assert sum(row["metric"] == "face_area" for row in csv.DictReader(file)) == 4
    again, only = pvbench_in_turn(
        package, (*common, "--out", str(out)), (*common, "--metrics", "face_area", "--out", str(alone))
    )
    assert (again[1], only[1]) == (0, 0), again[0] + only[0]
    assert "face_area" not in scores(out)
    assert list(scores(alone)) == ["face_area"]


def scores(run):
    return json.loads((run / "report" / "aggregates.json").read_text())["methods"]["example_drift"]["scores"]


def test_the_pages_test_passes(package, tmp_path):
    (tmp_path / "test_face_area.py").write_text(
        "from pvbench.testing import MetricContract\nfrom pvbench_face_area import FaceArea\n\n\n"
        "class TestFaceArea(MetricContract):\n    metric = FaceArea\n"
    )
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "-p",
            "no:xdist",
            "-c",
            "/dev/null",
            "--rootdir",
            str(tmp_path),
            "--import-mode=importlib",
            str(tmp_path),
        ],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(package)},
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_number_of_anothers_name_and_a_feature_that_nobody_makes_are_told(people, tmp_path):
    package_of("adding_a_metric.md", tmp_path)
    module = tmp_path / "pvbench_face_area.py"
    right = module.read_text()
    twin, count = re.subn(r'Column\(\s*"face_area"', 'Column("clip_t"', right)
    assert count == 1
    module.write_text(twin)
    common = ("--profile", EXAMPLE_PROFILE, "--identities", people, "--prompts", "1", "--metrics", "face_area")
    out = ("--out", str(tmp_path / "run"))
    told = " ".join(pvbench(tmp_path, "run", *common, *out, status=2).split())
    assert "metric 'face_area' has a number 'clip_t', as the metric 'clip_t' has; rename one" in told
    module.write_text(right.replace('"face/box", "face/detected"', '"face/boxes", "face/detected"'))
    told = " ".join(pvbench(tmp_path, "run", *common, *out, status=2).split())
    assert "'face_area' needs the feature 'face/boxes', which no evaluator makes (did you mean 'face/box'?)" in told
