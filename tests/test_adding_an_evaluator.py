"""The package in docs/adding_an_evaluator.md, taken out of the page, installed and run."""

import json
import os
import subprocess
import sys

import pytest
from docs_package import package_of, pvbench, pvbench_in_turn
from example_inputs import EXAMPLE_PROFILE


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """A folder with the page's files, and the example's profile with the new part."""
    folder = tmp_path_factory.mktemp("package")
    assert package_of("adding_an_evaluator.md", folder) == ["pyproject.toml", "pvbench_sharpness.py", "sharp.toml"]
    (folder / "quick.toml").write_text(
        f'extends = "{EXAMPLE_PROFILE}"\n\n[evaluators.parts]\nsharpness = "laplacian"\n'
    )
    return folder


def run(package, people, out, *more, status=0):
    common = ("--identities", people, "--prompts", "2", "--workers", "1", "--out", str(out))
    return pvbench(package, "run", "--profile", str(package / "quick.toml"), *common, *more, status=status)


def test_a_run_makes_its_features_where_a_metric_asks_and_no_others_again(package, people, tmp_path):
    run(package, people, tmp_path / "run")
    before = {path.name for path in (tmp_path / "run" / "features" / "video").iterdir()}
    run(package, people, tmp_path / "run", "--metrics", "all,sharpness")
    after = {path.name for path in (tmp_path / "run" / "features" / "video").iterdir()}
    # Eight videos, a file of each.
    assert before < after
    assert len(after - before) == 8
    report = json.loads((tmp_path / "run" / "report" / "aggregates.json").read_text())
    number = report["methods"]["example_drift"]["scores"]["sharpness"]
    assert number["value"] > 0
    assert "sharpness:Laplacian of four neighbours@" in number["signature"]
    assert "noise, and a grid that a decoder leaves" in (tmp_path / "run" / "report" / "report.md").read_text()


def test_a_metric_whose_features_nobody_makes_is_one_line(package, people, tmp_path):
    common = ("--identities", people, "--out", str(tmp_path / "run"), "--metrics", "sharpness")
    text = " ".join(pvbench(package, "run", "--profile", EXAMPLE_PROFILE, *common, status=2).split())
    assert "metric 'sharpness' needs the feature 'sharpness/laplacian', which no evaluator makes" in text


def test_a_part_that_cannot_be_used_is_one_line(package, people, tmp_path):
    expected = {
        'sharpness = "laplace"': "unknown evaluator 'laplace' (did you mean 'laplacian'?)",
        'blur = "laplacian"': "blur is 'laplacian', which is an evaluator of the part 'sharpness'",
        "sharpness = 3": "parts is {",
    }
    lines = []
    for number, part in enumerate(expected):
        profile = tmp_path / f"wrong{number}.toml"
        profile.write_text(f'extends = "{EXAMPLE_PROFILE}"\n\n[evaluators.parts]\n{part}\n')
        lines.append(("run", "--profile", str(profile), "--identities", people, "--out", str(tmp_path / "run")))
    printed = pvbench_in_turn(package, *lines)
    for (text, status), message in zip(printed, expected.values(), strict=True):
        told = " ".join(text.split())
        assert message in told
        assert "Traceback" not in told
        assert status == 2


def test_the_pages_test_passes(package, tmp_path):
    (tmp_path / "test_sharpness.py").write_text(
        "from pvbench.testing import EvaluatorContract\nfrom pvbench_sharpness import LaplacianLoader\n\n\n"
        "class TestLaplacian(EvaluatorContract):\n    loader = LaplacianLoader\n"
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
