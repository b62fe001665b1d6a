"""The table of rows in a style."""

from __future__ import annotations

import math

from pvbench.report.data import ReportData
from pvbench.report.document.block import Entry, Table
from pvbench.report.document.tables import share_entry
from pvbench.report.statistics.styles import rows_in_styles


def style_table(data: ReportData) -> Table | None:
    """How far rows in a style are in it, and what they keep; None without any."""
    rows = rows_in_styles(data)
    if not rows:
        return None
    styles = [row.style for row in rows]
    return Table(
        name="styles",
        caption="Rows in a style, in %",
        header=("Method", "In the style", "Face gained", "without style", "lost", "p", "Motion kept", "Prompt kept",
                "Action kept"),
        rows=tuple(
            (
                Entry(row.label),
                Entry("–" if math.isnan(row.reached) else f"{100 * row.reached:.1f}"),
                *(share_entry(one) for one in (row.face, row.face_without, row.face_lost)),
                Entry("–" if math.isnan(row.p) else f"{row.p:.2g}"),
                *(share_entry(one) for one in (row.flow, row.clip_t, row.action)),
            )
            for row in rows
        ),
        rules=tuple(i for i in range(1, len(rows)) if styles[i] != styles[i - 1]),
        notes=(
            "In the style: mean probability of the style (`--metrics all,style`). Face gained: Face Sim. from `base` "
            "(0) to `oracle` (100), both in the same style; beside it the same of the row without a style, and how "
            "much is lost. p: one-sided sign-flip test over people that Face Sim. is above `base` in the style.",
            "Motion, prompt and action kept: mean flow, CLIP-T and right action, those of `base` in the style being "
            "100. The networks that judge saw photos and videos only: how well they still know people in a style is "
            "measured in docs/styles.md.",
            "Small print: 95 % jackknife interval over the identities, over the cells that all compared sides have.",
        ),
    )  # fmt: skip
