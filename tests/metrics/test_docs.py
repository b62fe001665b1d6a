"""The metrics' pages say what the code does."""

import re
from pathlib import Path

import pytest

from pvbench.metrics import Metric, installed

DOCS = Path(__file__).parents[2] / "docs" / "metrics"
ALL = installed()


@pytest.mark.parametrize("metric", ALL, ids=lambda metric: metric.name)
def test_every_metric_has_a_page_with_its_numbers_version_and_parts(metric):
    page = (DOCS / f"{metric.name}.md").read_text(encoding="utf-8")
    for column in metric.columns:
        assert f"| `{column.name}` |" in page
    assert f"Version {metric.version};" in page
    assert metric.__module__.replace(".", "/") + ".py" in page
    headings = re.findall(r"^## (.+)$", page, re.MULTILINE)
    for heading in ("Formula", "Source and departures", "Traps", "How to read it"):
        assert heading in headings
    assert len(page.splitlines()) < 90


def test_the_index_lists_every_page_and_number():
    index = (DOCS / "README.md").read_text(encoding="utf-8")
    for metric in ALL:
        numbers = " ".join(f"`{column.name}`" for column in metric.columns)
        assert f"| [{metric.name}]({metric.name}.md) | {numbers} |" in index
    linked = re.findall(r"\]\(([^)]+)\)", index)
    assert all((DOCS / link).is_file() for link in linked)


def test_undefined_values_are_documented_where_they_occur():
    for metric in (one for one in ALL if issubclass(one, Metric)):
        page = (DOCS / f"{metric.name}.md").read_text(encoding="utf-8")
        for column in metric.columns:
            row = next(line for line in page.splitlines() if line.startswith(f"| `{column.name}` |"))
            assert ("`nan`" in row) == bool(column.undefined), column.name
