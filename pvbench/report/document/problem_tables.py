"""The report's tables of what went wrong: failed cells, files that stand for no cell, and other problems."""

from collections.abc import Sequence

from pvbench.report.data import ReportData
from pvbench.report.document.block import Entry, Table

FAILURES_SHOWN = 40
"""Rows of a table; the rest is counted."""


def failed_table(data: ReportData) -> Table | None:
    """The cells without a number and why, the first so many; None when there are none."""
    rows = []
    for variant in data.in_table_order:
        done = set(data.done(variant.label))
        failures = data.failures.get(variant.label, {})
        for cell in data.planned(variant.label):
            if cell not in done:
                why = failures.get(cell, "not made yet")
                rows.append((variant.label, cell.identity, cell.prompt, str(cell.seed), _first_line(why)))
    if not rows:
        return None
    more = len(rows) - FAILURES_SHOWN
    return Table(
        name="failed",
        caption=f"Cells without a number: {len(rows)}; the same command tries them again",
        header=("Method", "Person", "Prompt", "Seed", "Why"),
        rows=tuple(tuple(Entry(text) for text in row) for row in rows[:FAILURES_SHOWN]),
        notes=(f"And {more} more; they have empty values in scores.csv.",) if more > 0 else (),
        text_columns=5,
    )


def left_out_table(data: ReportData) -> Table | None:
    """What was given to be measured and stands for no cell, the first so many; None when there is nothing."""
    caption = f"Given, but no cell: {len(data.left_out)}; they are in no number and not in scores.csv"
    return _problems_table("left_out", caption, data.left_out)


def doubts_table(data: ReportData) -> Table | None:
    """The other problems, the first so many; None when there are none."""
    caption = f"Further problems: {len(data.doubts)}; some numbers rest on less for them, or do not compare"
    return _problems_table("doubts", caption, data.doubts)


def _problems_table(name: str, caption: str, problems: Sequence[tuple[str, str]]) -> Table | None:
    if not problems:
        return None
    more = len(problems) - FAILURES_SHOWN
    return Table(
        name=name,
        caption=caption,
        header=("Where", "Why"),
        rows=tuple(tuple(Entry(_first_line(text)) for text in row) for row in problems[:FAILURES_SHOWN]),
        notes=(f"And {more} more.",) if more > 0 else (),
        text_columns=2,
    )


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0]
