"""How far our order of the methods agrees with published ones: a verdict on each pair, and Kendall's tau."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
from scipy.stats import kendalltau

from pvbench.metrics import COLUMNS
from pvbench.report.data import ReportData
from pvbench.report.published import PublishedTable, Statement
from pvbench.report.statistics.comparison import report_rng
from pvbench.report.statistics.score import Aggregates, Comparison
from pvbench.stats import Interval

Verdict = Literal["reproduced", "contradicted", "undecided", "not tested"]
"""Significant and as published; significant the other way round; neither; one of the two rows is not there."""

FEWEST_METHODS = 3
"""With fewer there is one pair, whose tau is 1 or -1 whatever it is worth."""

_RESAMPLES = 2000


@dataclass(frozen=True)
class Judged:
    """A published pair, our test of it, and what follows.

    Attributes:
        better, worse: names of methods, as published.
        label: of the row that stands for the better one; empty where it is missing.
        test: between the rows that stand for them; None where one is missing.
        blind: whether the number does not tell the ceiling from the floor, so that nothing follows from it.
    """

    column: str
    better: str
    worse: str
    label: str
    test: Comparison | None
    blind: bool

    @property
    def verdict(self) -> Verdict:
        """What our test says of the published order."""
        if self.test is None:
            return "not tested"
        if self.blind or not self.test.winner:
            return "undecided"
        return "reproduced" if self.test.winner == self.label else "contradicted"

    @property
    def gain(self) -> float:
        """Ours, the better one minus the worse one as published; NaN without a test."""
        if self.test is None:
            return math.nan
        return self.test.difference if self.test.first == self.label else -self.test.difference


@dataclass(frozen=True)
class Agreement:
    """All pairs of one column of a published table.

    Attributes:
        counts: how many pairs have which verdict.
        tau: Kendall's tau-b between the published numbers and ours, of the methods that both have; NaN below three.
        interval: of tau, from resampling people; NaN ends for numbers of sets, which resampling would bias.
    """

    column: str
    counts: Mapping[Verdict, int]
    methods: int
    tau: float
    interval: Interval


def rows_of(data: ReportData) -> dict[str, str]:
    """Method -> label of the row that stands for it beside published numbers: its first one."""
    return {variant.method: variant.label for variant in reversed(data.variants)}


def judged(data: ReportData, numbers: Aggregates, column: str, better: str, worse: str) -> Judged:
    """A published pair beside our test of it."""
    ours = rows_of(data)
    pair = {ours.get(better), ours.get(worse)}
    test = next((one for one in numbers.comparisons if one.column == column and {one.first, one.second} == pair), None)
    return Judged(column, better, worse, ours.get(better, ""), test, numbers.separates(column) is False)


def judged_statements(data: ReportData, numbers: Aggregates, statements: Iterable[Statement]) -> tuple[Judged, ...]:
    """Each statement beside our test of it, in their order."""
    return tuple(judged(data, numbers, one.column, one.better, one.worse) for one in statements)


def agreements(data: ReportData, numbers: Aggregates, published: PublishedTable) -> tuple[Agreement, ...]:
    """How far ours agrees with a published table, column by column."""
    return tuple(_agreement(data, numbers, published, column) for column in published.columns if data.shows(column))


def _agreement(data: ReportData, numbers: Aggregates, published: PublishedTable, column: str) -> Agreement:
    sign = 1 if COLUMNS[column].higher_is_better else -1
    printed = {row.method: sign * row.values[column] for row in published.rows}
    counts: Counter[Verdict] = Counter()
    for first, second in combinations(printed, 2):
        better, worse = (first, second) if printed[first] > printed[second] else (second, first)
        counts[judged(data, numbers, column, better, worse).verdict] += 1
    ours = rows_of(data)
    shared = [name for name in printed if name in ours and math.isfinite(_value(numbers, ours[name], column))]
    theirs = [printed[name] for name in shared]
    labels = [ours[name] for name in shared]
    return Agreement(
        column,
        counts,
        len(shared),
        _tau(theirs, [sign * _value(numbers, label, column) for label in labels]),
        _tau_interval(numbers, labels, column, sign, theirs),
    )


def _value(numbers: Aggregates, label: str, column: str) -> float:
    score = numbers.scores[label].get(column)
    return math.nan if score is None else score.value


def _tau(theirs: Sequence[float], ours: Sequence[float]) -> float:
    if len(ours) < FEWEST_METHODS:
        return math.nan
    return float(kendalltau(theirs, ours).statistic)


def _tau_interval(
    numbers: Aggregates, labels: Sequence[str], column: str, sign: int, theirs: Sequence[float], level: float = 0.95
) -> Interval:
    """Percentiles of tau over people drawn with replacement."""
    none = Interval(math.nan, math.nan, level, "cluster bootstrap")
    by_person = [numbers.scores[label][column].by_identity for label in labels]
    if len(labels) < FEWEST_METHODS or any(of_one is None for of_one in by_person):
        return none
    people = sorted(set.intersection(*(set(of_one or {}) for of_one in by_person)))
    if len(people) < 2:
        return none
    table = np.array([[sign * (of_one or {})[person] for person in people] for of_one in by_person])
    drawn = report_rng("tau", column).integers(len(people), size=(_RESAMPLES, len(people)))
    means = table[:, drawn].mean(axis=2)
    taus = kendalltau(np.broadcast_to(theirs, means.T.shape), means.T, axis=1).statistic
    low, high = np.nanquantile(taus, [0.5 - level / 2, 0.5 + level / 2])
    return Interval(float(low), float(high), level, "cluster bootstrap")
