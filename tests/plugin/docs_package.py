"""Packages out of pages of the docs: taken from the page, laid out as pip would, and run as a user runs them."""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
END = "\x1e"
SEVERAL = f"""
import json, sys
from pvbench import cli

if __name__ == "__main__":
    for line in json.loads(sys.argv[1]):
        sys.argv = ["pvbench", *line]
        try:
            cli.main()
        except SystemExit as ended:
            print({END!r}, ended.code or 0, {END!r}, sep="", end="", flush=True)
"""


def package_of(page, folder):
    """The files that a page of docs/ shows by name, and the metadata that pip would write; returns their names."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    files = re.findall(r"^`([\w.]+)`[^\n]*:\n\n```\w+\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    for name, content in files:
        (folder / name).write_text(content, encoding="utf-8")
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    metadata = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: 1.0\n")
    lines = []
    for group, entries in project["entry-points"].items():
        lines += [f"[{group}]", *(f"{name} = {value}" for name, value in entries.items())]
    (metadata / "entry_points.txt").write_text("\n".join(lines) + "\n")
    return [name for name, _ in files]


def pvbench(package, *arguments, status=0):
    """What a command prints with the package installed; it has to end with that status."""
    command = [sys.executable, "-m", "pvbench.cli", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=_installed(package), check=False)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


def pvbench_in_turn(package, *lines):
    """What each of several commands prints, one after the other in one process, and its status."""
    command = [sys.executable, "-c", SEVERAL, json.dumps(lines)]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=_installed(package), check=False
    )
    parts = done.stdout.split(END)
    assert len(parts) == 2 * len(lines) + 1, done.stdout
    return list(zip(parts[::2], map(int, parts[1::2]), strict=False))


def _installed(package):
    paths = [str(package), str(ROOT / "tests" / "plugin"), os.environ.get("PYTHONPATH", "")]
    unbuffered = {"COLUMNS": "200", "PYTHONUNBUFFERED": "1"}
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), **unbuffered}
