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


def test_the_metric_is_listed_with_what_cheats_it(package):
    text = pvbench(package, "list", "metrics")
    assert "face_area" in text
    assert "a portrait that fills the frame, whoever it shows" in text
    assert "only where named" in text


def test_a_run_scores_it_where_it_is_named_and_its_report_says_how_to_read_it(package, people, tmp_path):
    common = ("--profile", EXAMPLE_PROFILE, "--identities", people, "--prompts", "2", "--workers", "1")
    out = tmp_path / "run"
    pvbench(package, "run", *common, "--metrics", "all,face_area", "--out", str(out))
    report = json.loads((out / "report" / "aggregates.json").read_text())
    # The example's faces fill the frame.
    assert report["methods"]["example_drift"]["scores"]["face_area"]["value"] == 1
    assert "face_sim" in report["methods"]["example_drift"]["scores"]
    text = (out / "report" / "report.md").read_text()
    assert "More is not better: it tells close-ups from long shots." in text
    assert "What cheats face_area: a portrait that fills the frame, whoever it shows" in text
    with (out / "report" / "scores.csv").open() as file:
        assert sum(row["metric"] == "face_area" for row in csv.DictReader(file)) == 8
    pvbench(package, "run", *common, "--out", str(out))
    report = json.loads((out / "report" / "aggregates.json").read_text())
    assert "face_area" not in report["methods"]["example_drift"]["scores"]


def test_a_run_of_one_metric_has_no_others(package, people, tmp_path):
    common = ("--profile", EXAMPLE_PROFILE, "--identities", people, "--prompts", "1", "--workers", "1")
    pvbench(package, "run", *common, "--metrics", "face_area", "--out", str(tmp_path / "run"))
    report = json.loads((tmp_path / "run" / "report" / "aggregates.json").read_text())
    assert list(report["methods"]["example_drift"]["scores"]) == ["face_area"]


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


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("raise OSError('no disk')", "'face_area' does not import from pvbench_face_area:FaceArea (OSError: no disk)"),
        ("import sys; sys.exit(3)", "'face_area' does not import from pvbench_face_area:FaceArea (SystemExit: 3)"),
    ],
)
def test_one_that_raises_at_import_is_one_line_and_stops_no_other(source, expected, people, tmp_path):
    package_of("adding_a_metric.md", tmp_path)
    (tmp_path / "pvbench_face_area.py").write_text(source + "\n")
    common = ("--profile", EXAMPLE_PROFILE, "--identities", people, "--prompts", "1", "--workers", "1")
    run = ("run", *common, "--out", str(tmp_path / "run"))
    asked, listed, others = pvbench_in_turn(tmp_path, (*run, "--metrics", "face_area"), ("list", "metrics"), run)
    told = " ".join(asked[0].split())
    assert expected in told
    assert "Traceback" not in told
    assert "face_area" in listed[0]
    assert [status for _, status in (asked, listed, others)] == [2, 0, 0]


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
