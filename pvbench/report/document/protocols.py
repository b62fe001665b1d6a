"""The same videos by every face protocol, side by side: where the order of the methods changes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from scipy.stats import kendalltau

from pvbench.metrics import COLUMNS, metric_class
from pvbench.report.data import ReportData, ReportVariant
from pvbench.report.document.block import Entry, Table
from pvbench.report.statistics.agreement import FEWEST_METHODS
from pvbench.report.statistics.score import Aggregates

OTHERS = ("opens2v_face", "consisid_face")
"""Metrics that are other people's protocols of a face score."""


def protocols_table(data: ReportData, numbers: Aggregates) -> Table | None:
    """A column for each face number, the first of which the others' order is compared with.

    None where no other people's protocol was asked for, or fewer than two methods compete.
    """
    asked = [metric for metric in OTHERS if data.metrics and metric in data.metrics]
    methods = [variant for variant in data.in_table_order if variant.role == "method"]
    if not asked or len(methods) < 2:
        return None
    columns = [column.name for metric in ("face_sim", *asked) for column in metric_class(metric).columns]
    shown = [name for name in columns if any(name in of_one for of_one in numbers.scores.values())]
    names = [name for name in shown if name != "face_detected"]
    values = {name: _values(numbers, methods, name) for name in names}
    ranks = {name: ranked(of_one) for name, of_one in values.items()}
    rows = [
        (Entry(variant.label), *(_entry(numbers, variant, name, ranks[name], ranks[names[0]]) for name in names))
        for variant in data.in_table_order
    ]
    taus = (
        Entry(f"tau to {COLUMNS[names[0]].display}"),
        *(Entry(_tau(values[names[0]], values[name])) for name in names),
    )
    return Table(
        name="protocols",
        caption="One set of videos by every face protocol",
        header=("Method", *(COLUMNS[name].header for name in names)),
        rows=(*rows, taus),
        rules=(len(rows),),
        notes=(
            "Small print: the place among the methods. A place that differs from that of the first column is marked by "
            "an arrow; whether a difference is more than chance stands under Comparisons.",
            f"Tau is Kendall's rank correlation of the methods' means, with {FEWEST_METHODS} methods or more.",
            "What the protocols do differently: docs/published_numbers.md.",
        ),
    )


def ranked(values: Mapping[str, float]) -> dict[str, int]:
    """The place of each name by a number of which more is better, from 1; equal values share the better place."""
    return {name: 1 + sum(other > value for other in values.values()) for name, value in values.items()}


def _values(numbers: Aggregates, methods: Sequence[ReportVariant], name: str) -> dict[str, float]:
    found = {
        variant.label: numbers.scores[variant.label][name].value
        for variant in methods
        if name in numbers.scores[variant.label]
    }
    return {label: value for label, value in found.items() if not math.isnan(value)}


def _entry(
    numbers: Aggregates, variant: ReportVariant, name: str, ranks: Mapping[str, int], first: Mapping[str, int]
) -> Entry:
    score = numbers.scores[variant.label].get(name)
    if score is None:
        return Entry("–")
    text, place = COLUMNS[name].text(score.value), ranks.get(variant.label)
    if place is None:
        return Entry(text)
    before = first.get(variant.label, place)
    arrow = " ↑" if place < before else " ↓" if place > before else ""
    return Entry(text, below=f"{place}.{arrow}")


def _tau(first: Mapping[str, float], other: Mapping[str, float]) -> str:
    both = [label for label in first if label in other]
    if len(both) < FEWEST_METHODS:
        return "–"
    tau = float(kendalltau([first[label] for label in both], [other[label] for label in both]).statistic)
    return "–" if math.isnan(tau) else f"{tau:.2f}"
