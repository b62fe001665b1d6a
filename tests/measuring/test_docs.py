"""The page on measuring says what the command and the code have."""

import re
from pathlib import Path

from typer.main import get_command

from pvbench.cli import app
from pvbench.features.published.i3d import PREPROCESSINGS
from pvbench.measuring.manifest import MANIFEST_FIELDS
from pvbench.video import VIDEO_SUFFIXES
from pvbench.weights.published import PUBLISHED

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "measuring.md").read_text(encoding="utf-8")


def test_every_option_that_the_page_names_exists():
    options = {name for parameter in get_command(app).commands["measure"].params for name in parameter.opts}
    # pip's and the benchmark's own.
    named = set(re.findall(r"--[a-z][a-z-]+", PAGE)) - {"--no-deps", "--memory"}
    assert named <= options
    assert options - named <= {"--device", "--out"} | {name for name in options if not name.startswith("--")}


def test_every_published_weight_is_listed_with_its_files():
    for entry in PUBLISHED.values():
        assert f"`{entry.name}`" in PAGE
        assert all(Path(file).name in PAGE for file in entry.files)


def test_formats_fields_and_preprocessings_are_named():
    words = [*(suffix[1:] for suffix in VIDEO_SUFFIXES), *MANIFEST_FIELDS, *PREPROCESSINGS]
    assert all(re.search(rf"\b{word}\b", PAGE) for word in words)


def test_links_lead_somewhere_and_lines_are_short():
    for link in re.findall(r"\]\((?!http)([^)#]+)", PAGE):
        assert (DOCS / link).is_file(), link
    assert max(len(line) for line in PAGE.splitlines() if not line.startswith("|")) <= 120
