"""What judges who did not know the rows preferred, and how the numbers agree with them."""

from __future__ import annotations

from collections.abc import Iterable

from pvbench.metrics import COLUMNS
from pvbench.report.data import ReportData
from pvbench.report.document.block import Entry, Table
from pvbench.report.statistics.judgement import (
    Preference,
    about_the_person,
    agreement,
    between_judges,
    contradicted,
    preferences,
)
from pvbench.report.statistics.score import Aggregates


def judged_tables(data: ReportData) -> tuple[Table, ...]:
    """Rows against each other, and the numbers against the judges; none without judgements."""
    if not data.judged:
        return ()
    judges = sorted({one.judge for one in data.judged})
    same, both = between_judges(data.judged)
    between = f" Two of them preferred the same video in {same} of {both} pairs that both decided." if both else ""
    first = Table(
        name="judged",
        caption="Which of two videos is more like the person, judged without knowing the rows",
        header=("Row", "Against", "Preferred, %", "p", "Pairs"),
        rows=tuple(
            (
                Entry(one.first),
                Entry(one.second),
                Entry("–" if not one.decided else f"{100 * one.share:.0f}"),
                Entry("–" if not one.decided else f"{one.p:.2g}"),
                Entry(f"{one.decided}/{one.shown}"),
            )
            for one in preferences(data.judged, [variant.label for variant in data.in_table_order])
        ),
        notes=(
            f"Judges: {', '.join(judges)}.{between}",
            "Preferred: share of the pairs that most judges decided alike; p is the two-sided binomial test. Pairs: "
            "decided/shown.",
        ),
        text_columns=2,
    )
    counted = [(name, *agreement(data, data.judged, name)) for name in about_the_person(data)]
    second = Table(
        name="judged-numbers",
        caption="How often each number prefers the video that the judges prefer",
        header=("Number", "Agrees, %", "Pairs"),
        rows=tuple(
            (Entry(COLUMNS[name].display), Entry(f"{100 * right / asked:.0f}"), Entry(str(asked)))
            for name, right, asked in counted
            if asked
        ),
        notes=("50 is what a coin reaches; pairs of equal numbers count half.",),
    )
    return first, second


def judged_notes(data: ReportData, numbers: Aggregates, columns: Iterable[str]) -> Iterable[str]:
    """Where numbers of the person and the judges order two rows differently, both significantly."""
    of_person = set(about_the_person(data)) if data.judged else set()
    against: dict[Preference, list[str]] = {}
    for name in columns:
        if name in of_person:
            for one in contradicted(numbers, data.judged, name):
                against.setdefault(one, []).append(COLUMNS[name].display)
    for one, displays in against.items():
        other = one.second if one.winner == one.first else one.first
        share = one.share if one.winner == one.first else 1 - one.share
        yield (
            f"Judges disagree: better for `{other}` by {', '.join(displays)}; they prefer `{one.winner}` in "
            f"{100 * share:.0f} % of {one.decided} pairs (see Judged blind)."
        )
