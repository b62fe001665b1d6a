"""What wheel and editable install ship is what the tree holds."""

import os
import subprocess
import sys
import tomllib
import zipfile
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
SETUPTOOLS = PROJECT["tool"]["setuptools"]
TOPS = ("pvbench", "methods", "identities", "prompts", "reports/paper")
NOT_SHIPPED = (".pyc", ".md")


def folder_of(package):
    return ROOT / SETUPTOOLS["package-dir"].get(package, package.replace(".", "/"))


def tree():
    """Every file of the packages, by its path in an installation."""
    found = {}
    for package in sorted(SETUPTOOLS["packages"], key=len):
        folder = folder_of(package)
        for path in folder.rglob("*"):
            if path.is_file() and path.suffix not in NOT_SHIPPED and "__pycache__" not in path.parts:
                found[path] = f"{package.replace('.', '/')}/{path.relative_to(folder).as_posix()}"
    return set(found.values())


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """A wheel of the tree, built in a folder of links so that nothing is copied and the tree stays clean."""
    source = tmp_path_factory.mktemp("source")
    for name in (*{top.split("/")[0] for top in TOPS}, "pyproject.toml", "README.md", "LICENSE"):
        (source / name).symlink_to(ROOT / name)
    subprocess.run(
        [sys.executable, "-c", "from setuptools import build_meta; build_meta.build_wheel('dist')"],
        cwd=source,
        check=True,
        capture_output=True,
        timeout=300,
    )
    (path,) = (source / "dist").glob("*.whl")
    return path


def test_every_package_is_listed():
    folders = {path.parent for top in TOPS for path in (ROOT / top).rglob("__init__.py")}
    assert {folder_of(package) for package in SETUPTOOLS["packages"]} == folders


def test_no_weights_are_pickles():
    assert not [path for path in tree() if path.endswith((".pkl", ".pickle", ".pt", ".pth", ".ckpt", ".bin"))]


def test_the_wheel_ships_what_the_tree_holds(wheel):
    with zipfile.ZipFile(wheel) as archive:
        shipped = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert shipped == tree()


def test_the_wheel_works_where_there_is_no_tree(wheel, tmp_path):
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    script = (
        "import pvbench, pvbench.paper\n"
        "from pvbench.identity import list_identities\n"
        "from pvbench.profile import list_profiles\n"
        "from pvbench.prompt import list_prompt_sets\n"
        "from pvbench.method import METHODS\n"
        "print(pvbench.__file__)\n"
        "print(len(list_identities()), len(list_profiles()), len(list_prompt_sets()))\n"
        "for name in METHODS.names():\n"
        "    METHODS.get(name)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=600,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    assert done.returncode == 0, done.stderr
    where, counts = done.stdout.splitlines()
    assert Path(where).is_relative_to(tmp_path)
    assert (
        counts == f"{len(list((ROOT / 'identities').glob('*/card.toml')))} "
        f"{len(list((ROOT / 'pvbench' / 'profiles').glob('*.toml')))} "
        f"{len(list((ROOT / 'prompts').glob('*.toml')))}"
    )


def test_the_editable_install_is_the_tree():
    for module in ("pvbench", "pvbench.methods", "pvbench.identities", "pvbench.prompts", "pvbench.paper"):
        assert Path(str(import_module(module).__file__)).parent == folder_of(module)


@pytest.mark.parametrize("group", ["pvbench.methods", "pvbench.backbones", "pvbench.rewards"])
def test_built_in_parts_come_through_the_same_door_as_others(group):
    declared = PROJECT["project"]["entry-points"][group]
    installed = {entry.name: entry.value for entry in entry_points(group=group)}
    assert declared.items() <= installed.items()


def test_every_dependency_has_a_tested_version():
    constrained = {
        line.partition("==")[0].lower().replace("_", "-")
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if "==" in line
    }
    extras = PROJECT["project"]["optional-dependencies"].values()
    named = [line for group in (PROJECT["project"]["dependencies"], *extras) for line in group]
    names = {
        "".join(letter if letter.isalnum() or letter in "-_" else " " for letter in line)
        .split()[0]
        .lower()
        .replace("_", "-")
        for line in named
    }
    assert names <= constrained


def test_every_dependency_says_why():
    lines = (ROOT / "pyproject.toml").read_text().splitlines()
    start = lines.index("dependencies = [")
    end = lines.index("[project.scripts]")
    for number, line in enumerate(lines[start:end], start):
        if line.startswith('    "'):
            assert "# " in line or lines[number - 1].strip().startswith("#"), line
