"""What judges who did not know the rows preferred, and how the numbers agree with them."""

from __future__ import annotations

from collections.abc import Iterable

from pvbench.errors import counted
from pvbench.metrics import COLUMNS
from pvbench.report.data import ReportData
from pvbench.report.document.block import Entry, Table
from pvbench.report.statistics.judgement import (
    Agreement,
    Disagreement,
    Preference,
    about_the_person,
    agreement,
    between_judges,
    disagreements,
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
    second = Table(
        name="judged-numbers",
        caption="How often each number prefers the video that the judges prefer",
        header=("Number", "Agrees, %", "Pairs", "Between methods, %", "Pairs"),
        rows=tuple(
            (Entry(COLUMNS[name].display), *_agreed(of_all), *_agreed(agreement(data, data.judged, name, floor=False)))
            for name in about_the_person(data)
            if (of_all := agreement(data, data.judged, name)).asked
        ),
        notes=(
            "50 is what a coin reaches; pairs of equal numbers count half. Between methods: without the pairs with the "
            "untuned model, which nearly every number gets right. Small print: Wilson's 95 % interval, each pair an "
            "observation.",
        ),
    )
    return first, second


def _agreed(found: Agreement) -> tuple[Entry, Entry]:
    """A share in %, above its interval, and of how many pairs."""
    if not found.asked:
        return Entry("–"), Entry("0")
    low, high = found.interval.low, found.interval.high
    return Entry(f"{100 * found.share:.0f}", below=f"[{100 * low:.0f}, {100 * high:.0f}]"), Entry(str(found.asked))


def judged_notes(data: ReportData, numbers: Aggregates, columns: Iterable[str]) -> Iterable[str]:
    """Where numbers of the person order two rows otherwise than the judges, with how sure both are."""
    of_person = set(about_the_person(data)) if data.judged else set()
    against: dict[Preference, list[tuple[str, Disagreement]]] = {}
    for name in columns:
        for one in disagreements(numbers, data.judged, name) if name in of_person else ():
            against.setdefault(one.preference, []).append((COLUMNS[name].display, one))
    for preference, found in against.items():
        one = found[0][1]
        sure, unsure = (
            ", ".join(display for display, of_one in found if of_one.significant is wanted) for wanted in (True, False)
        )
        by = " and, not significantly, by ".join(filter(None, (sure, unsure)))
        share = preference.share if one.worse == preference.first else 1 - preference.share
        yield (
            f"Judges disagree: better for `{one.better}` {'' if sure else '(not significantly) '}by {by}; they prefer "
            f"`{one.worse}` in {100 * share:.0f} % of {counted(preference.decided, 'pair')} (p {preference.p:.2g}; see "
            "Judged blind)."
        )
