"""The package in docs/adding_a_backbone.md, taken out of the page, installed and run."""

import json
import subprocess
import sys

import pytest
from docs_package import package_of, pvbench
from example_inputs import EXAMPLE_PROFILE


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """A folder with the page's files, and a profile of its backbone with the tests' own evaluators."""
    folder = tmp_path_factory.mktemp("package")
    assert package_of("adding_a_backbone.md", folder) == ["pyproject.toml", "pvbench_stripes.py", "stripes.toml"]
    (folder / "quick.toml").write_text(
        f'extends = "{EXAMPLE_PROFILE}"\nmethods_default = ["base"]\n\n[backbone]\nkind = "stripes"\n'
    )
    return folder


def test_the_backbone_is_listed_with_what_it_offers(package):
    text = pvbench(package, "list", "backbones")
    assert "moving stripes in the colours that a text names" in text
    assert "images, latents, lora, styles, tokens, world" in text


def test_the_untuned_backbone_is_run_and_reported(package, people, tmp_path):
    """`base` is the floor of every table, whatever the backbone is."""
    common = ("--profile", str(package / "quick.toml"), "--identities", people, "--prompts", "2", "--workers", "1")
    pvbench(package, "run", *common, "--out", str(tmp_path / "run"))
    report = json.loads((tmp_path / "run" / "report" / "aggregates.json").read_text())
    assert report["methods"]["base"]["done"] == 4
    plan = json.loads((tmp_path / "run" / "plan.json").read_text())
    assert plan["backbone"] == {"backbone": "stripes", "version": 1}


def test_doctor_loads_it(package):
    text = pvbench(package, "doctor", "--profile", str(package / "quick.toml"), "--device", "cpu")
    assert "stripes loads" in text


def test_a_method_that_asks_for_more_is_one_line(package, tmp_path):
    quick, out = str(package / "quick.toml"), str(tmp_path / "run")
    text = " ".join(
        pvbench(package, "run", "--profile", quick, "--methods", "dreambooth_lora", "--out", out, status=2).split()
    )
    assert "'dreambooth_lora' asks for images and latents and lora and reward.semantic and tokens" in text
    assert "Traceback" not in text


def test_the_pages_test_passes(package, tmp_path):
    """As a user writes it, but for the profile, whose evaluators it does not load."""
    (tmp_path / "test_stripes.py").write_text(
        "from pvbench.testing import BackboneContract\n\n\nclass TestStripes(BackboneContract):\n"
        f"    profile_name = {str(package / 'stripes.toml')!r}\n"
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
        env={"PYTHONPATH": str(package), "PATH": ""},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 passed" in done.stdout
