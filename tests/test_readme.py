"""The README's commands and links are those of the project."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMAND = re.compile(r"^    pvbench (\w+)|`pvbench (\w+)", re.MULTILINE)


def test_the_two_commands_are_targets_of_the_makefile():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"^    make (\w+)", README, re.MULTILINE):
        assert f"\n{target}: " in makefile


def test_every_command_it_names_exists():
    commands = {first or second for first, second in COMMAND.findall(README)}
    assert {"run", "list", "doctor", "measure"} <= commands
    text = subprocess.run([sys.executable, "-m", "pvbench.cli", "--help"], capture_output=True, text=True, check=True)
    for command in commands:
        assert f" {command} " in text.stdout, command


def test_links_to_documents_lead_somewhere():
    links = re.findall(r"\]\(([^)#]+)\)", README)
    assert links
    for link in links:
        # The kept report comes from a run, not from a hand.
        assert (ROOT / link).exists() or link.startswith("reports/mini/"), link


def test_every_folder_it_lists_is_there():
    for row in re.findall(r"^\| (`\w+/`(?:, `\w+/`)*) \|", README, re.MULTILINE):
        for folder in re.findall(r"`(\w+)/`", row):
            assert (ROOT / folder).is_dir(), folder
