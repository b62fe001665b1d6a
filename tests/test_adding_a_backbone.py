"""The package in docs/adding_a_backbone.md, taken out of the page, installed and run."""

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
