"""What works where the extra `run` is not installed, and what says that it is needed."""

import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from inline_workers import work_inline
from packaging.requirements import Requirement

from pvbench import cli
from pvbench.machine.packages import RUN

ROOT = Path(__file__).parents[1]
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
WITHOUT = """
import sys
from importlib.abc import MetaPathFinder

class Halt(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {modules}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Halt())
from pvbench import cli
sys.argv[0] = "pvbench"
cli.main()
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A finished run of the untuned model on one person."""
    run = tmp_path_factory.mktemp("bare") / "run"
    profile = run.with_name("short.toml")
    profile.write_text('extends = "mini"\n[sampling]\nsteps = 2\n')
    line = ("run", "--profile", str(profile), "--methods", "base,oracle", "--identities", "1", "--prompts", "2")
    with pytest.MonkeyPatch.context() as patch:
        work_inline(patch)
        patch.setattr(sys, "argv", ["pvbench", *line, "--out", str(run)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
    assert not ended.value.code
    return run


@pytest.fixture
def bare(tmp_path):
    """Runs a command line where no module of the extra can be imported."""

    def run(*arguments):
        return subprocess.run(
            [sys.executable, "-c", WITHOUT.format(modules=set(RUN)), *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def test_the_extra_holds_the_modules_that_are_asked_for():
    named = {Requirement(line).name.lower().replace("_", "-") for line in EXTRAS["run"]}
    by_module = packages_distributions()
    assert {by_module[module][0].lower().replace("_", "-") for module in RUN} == named


def test_a_report_is_written_anew_to_the_same_bytes(bare, folder):
    files = {path: path.read_bytes() for path in (folder / "report").iterdir() if path.is_file()}
    for path in files:
        path.unlink()
    found = bare("report", str(folder))
    assert found.returncode == 0, found.stderr
    assert {path: path.read_bytes() for path in files} == files


def test_reports_are_compared(bare, folder):
    found = bare("compare", str(folder), str(folder), "--pair", "base=oracle")
    assert "Face Sim. ↑" in found.stdout, found.stderr
    # FVD of the renderings themselves is not defined: it is listed.
    assert found.returncode == 1


@pytest.mark.parametrize("command", ["run", "measure"])
def test_what_computes_asks_for_the_extra(bare, folder, command):
    arguments = ["--methods", "base", "--identities", "1", "--prompts", "1", "--out", "new"]
    if command == "measure":
        arguments = [str(folder / "videos" / "base" / "ada"), "--identity", "ada", "--out", "new"]
    found = bare(command, *arguments)
    assert found.returncode == 2
    assert 'pip install "pvbench[run]"' in " ".join(found.stderr.split())
    assert "Traceback" not in found.stderr


def test_lists_and_doctor_tell_what_is_there(bare):
    found = bare("list", "methods")
    assert found.returncode == 0
    assert "does not import" not in " ".join(found.stdout.split())
    found = bare("doctor")
    assert found.returncode == 2
    assert 'pip install "pvbench[run]"' in " ".join(found.stdout.split())
