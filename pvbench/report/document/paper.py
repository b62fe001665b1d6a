"""The paper's published numbers, Table 1 and the ablations, and ours beside them."""

import math
from collections.abc import Iterable, Mapping

from pvbench.metrics import COLUMNS
from pvbench.report.data import ReportData
from pvbench.report.document.block import Block, Bullets, Entry, Paragraph, Table
from pvbench.report.published import (
    PublishedTable,
    published_ablations,
    published_statements,
    published_table,
    statements_source,
)
from pvbench.report.statistics.agreement import Verdict, agreements, judged_statements, rows_of
from pvbench.report.statistics.score import Aggregates
from pvbench.stats import Interval


def is_published(data: ReportData) -> bool:
    """Whether a row is a method of the published tables or statements; folders of other names are not."""
    published = {row.method for row in published_table().rows}
    published |= {name for one in published_statements() for name in (one.better, one.worse)}
    return any(variant.role == "method" and variant.method in published for variant in data.variants)


def published_blocks(data: ReportData, numbers: Aggregates) -> Iterable[Block]:
    """Ours beside Table 1 and beside statements of several papers, with verdicts; then the paper's ablations."""
    yield paper_table(data, numbers)
    yield agreement_table(data, numbers)
    yield statements_table(data, numbers)
    ablations = published_ablations()
    yield Paragraph(f"The paper's ablations. {ablations[0].source}.")
    for ablation in ablations:
        yield ablation_table(ablation)
    yield Bullets(ablations[0].caveats)


def paper_table(data: ReportData, numbers: Aggregates) -> Table:
    """Our numbers beside the paper's Table 1."""
    published = published_table()
    ours = rows_of(data)
    rows = []
    for row in published.rows:
        scores = numbers.scores[ours[row.method]] if row.method in ours else {}
        rows.append(
            (
                Entry(row.name),
                *(
                    entry
                    for name in published.columns
                    for entry in (
                        Entry(COLUMNS[name].text(scores[name].value) if name in scores else "–"),
                        Entry(_printed(name, row.values)),
                    )
                ),
            )
        )
    return Table(
        name="published",
        caption=f"Ours beside {published.title}",
        header=("Method", *(head for name in published.columns for head in (COLUMNS[name].header, "paper"))),
        rows=tuple(rows),
        notes=(
            f"Source: {published.source}.",
            "Compare the order of the methods, not the levels: other model, other people, other networks.",
            *published.caveats,
        ),
    )


VERDICTS: tuple[Verdict, ...] = ("reproduced", "contradicted", "undecided", "not tested")


def agreement_table(data: ReportData, numbers: Aggregates) -> Table:
    """How many of the published pairs of each number hold here, and Kendall's tau."""
    published = published_table()
    found = agreements(data, numbers, published)
    return Table(
        name="agreement",
        caption=f"The pairs of {published.title}, and ours",
        header=("Number", *(verdict.capitalize() for verdict in VERDICTS), "Methods", "Kendall's tau"),
        rows=tuple(
            (
                Entry(COLUMNS[one.column].display),
                *(Entry(str(one.counts.get(verdict, 0))) for verdict in VERDICTS),
                Entry(str(one.methods)),
                Entry(_tau(one.tau), _range(one.interval)),
            )
            for one in found
        ),
        notes=(
            "Reproduced and contradicted: our difference is significant (Holm), with the sign that was published or "
            "with the other one. Undecided: it is not significant, or the number does not tell the ceiling from the "
            "floor here. Not tested: this run lacks one of the two rows.",
            "Kendall's tau between the published numbers and ours, with 95 % of its values over people drawn with "
            "replacement; none below three methods.",
        ),
    )


def statements_table(data: ReportData, numbers: Aggregates) -> Table:
    """What several papers say about the order of two methods, what we expected, and what we find."""
    statements = published_statements()
    rows = []
    for statement, one in zip(statements, judged_statements(data, numbers, statements), strict=True):
        column = COLUMNS[one.column]
        sign = ">" if column.higher_is_better else "<"
        rows.append(
            (
                Entry(f"{column.display}: {one.better} {sign} {one.worse}"),
                Entry(f"{statement.holds} of {statement.of}"),
                Entry(statement.expected),
                Entry("–" if one.test is None else column.text(one.gain)),
                Entry("–" if one.test is None else f"{one.test.p_holm:.3g}"),
                Entry(one.verdict),
            )
        )
    return Table(
        name="statements",
        caption="Statements of several papers, and ours",
        header=("Statement", "Papers", "Expected", "Our difference", "p (Holm)", "Verdict"),
        rows=tuple(rows),
        notes=(
            f"Papers: how many of those that have both rows say so. {statements_source()}.",
            "Expected: written into reports/paper/expectations.toml, with the reason, on 2026-11-29, before any run "
            "had the rows magicme, id_animator or consisid. DreamBooth and PersonalVideo had been run on twenty people "
            "by then, and had come out alike: of those two an expectation is no prediction.",
        ),
        text_columns=1,
    )


def ablation_table(published: PublishedTable) -> Table:
    """One of the paper's ablations: what its text says, and secondary numbers."""
    return Table(
        name=f"ablation-{published.title.lower().replace(' ', '-').replace(',', '')}",
        caption=f"Published ablation: {published.title}",
        header=("Row", *(f"{COLUMNS[name].header} (secondary)" for name in published.columns)),
        rows=tuple(
            (Entry(row.name), *(Entry(_printed(name, row.values)) for name in published.columns))
            for row in published.rows
        ),
        notes=(f"The paper's text: {published.direction}",),
    )


def _printed(name: str, values: Mapping[str, float]) -> str:
    return format(values[name], COLUMNS[name].fmt) if name in values else "–"


def _tau(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.2f}"


def _range(interval: Interval) -> str:
    return "" if math.isnan(interval.low) else f"[{interval.low:.2f}, {interval.high:.2f}]"
