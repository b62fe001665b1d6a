"""What judges prefer, how they agree with each other, and how often each number prefers the same video."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

from scipy.stats import binomtest, norm

from pvbench.metrics import COLUMNS, metric_of
from pvbench.report.data import CellKey, Judgement, ReportData
from pvbench.report.statistics.score import SIGNIFICANT, Aggregates
from pvbench.stats import Interval

Pair = tuple[CellKey, frozenset[str]]
"""A cell and two of its rows."""

_OF_THE_PERSON = ("reference/", "truth/", "foils/", "others/")
"""Beginnings of the features by which a number compares with the person."""


@dataclass(frozen=True)
class Preference:
    """How often judges prefer one row to another.

    Attributes:
        won: pairs in which most judges prefer `first`.
        decided, shown: pairs in which they are not even, and all.
    """

    first: str
    second: str
    won: int
    decided: int
    shown: int

    @property
    def share(self) -> float:
        """Of the decided pairs; NaN without any."""
        return self.won / self.decided if self.decided else math.nan

    @property
    def p(self) -> float:
        """Two-sided binomial test against even odds; NaN without decided pairs."""
        return float(binomtest(self.won, self.decided).pvalue) if self.decided else math.nan

    @property
    def winner(self) -> str:
        """The row that is significantly preferred; empty without significance."""
        if not self.p < SIGNIFICANT:
            return ""
        return self.first if 2 * self.won > self.decided else self.second


def favourites(judgements: Sequence[Judgement]) -> dict[Pair, str]:
    """By pair, the row that most judges prefer; empty where they are even."""
    votes: dict[Pair, Counter[str]] = {}
    for one in judgements:
        chosen = {"a": one.a, "b": one.b, "tie": ""}[one.answer]
        votes.setdefault((one.cell, frozenset((one.a, one.b))), Counter())[chosen] += 1
    found = {}
    for pair, of_one in votes.items():
        first, second = sorted(pair[1])
        even = of_one[first] == of_one[second]
        found[pair] = "" if even else (first if of_one[first] > of_one[second] else second)
    return found


def preferences(judgements: Sequence[Judgement], labels: Sequence[str]) -> list[Preference]:
    """Each two of the rows that were shown against each other, in the order of `labels`."""
    chosen = favourites(judgements)
    found = []
    for second, first in combinations(labels, 2):
        of_two = [row for (_, rows), row in chosen.items() if rows == {first, second}]
        if of_two:
            decided = [row for row in of_two if row]
            found.append(Preference(first, second, decided.count(first), len(decided), len(of_two)))
    return found


def between_judges(judgements: Sequence[Judgement]) -> tuple[int, int]:
    """How often two judges who decided prefer the same video, and how often two did."""
    answers: dict[Pair, dict[str, str]] = {}
    for one in judgements:
        if one.answer != "tie":
            answers.setdefault((one.cell, frozenset((one.a, one.b))), {})[one.judge] = getattr(one, one.answer)
    both = [pair for of_one in answers.values() for pair in combinations(of_one.values(), 2)]
    return sum(first == second for first, second in both), len(both)


def about_the_person(data: ReportData) -> Sequence[str]:
    """The numbers of single videos that compare with the person, among those that the report has."""
    shown = {name for of_one in data.scores.values() for of_cell in of_one.values() for name in of_cell}
    return [name for name in COLUMNS if name in shown and _compares(name)]


def _compares(name: str) -> bool:
    return any(need.startswith(_OF_THE_PERSON) for need in metric_of(name).needs)


class Agreement(NamedTuple):
    """In how many decided pairs a number is better for the preferred video, equal ones half, and of how many."""

    right: float
    asked: int

    @property
    def share(self) -> float:
        """Of the pairs; NaN without any."""
        return self.right / self.asked if self.asked else math.nan

    @property
    def interval(self) -> Interval:
        """Wilson's 95 % interval of the share, each pair an observation; NaN ends without pairs."""
        if not self.asked:
            return Interval(math.nan, math.nan, 0.95, "Wilson")
        squared = float(norm.ppf(0.975)) ** 2
        middle = (self.right + squared / 2) / (self.asked + squared)
        spread = self.share * (1 - self.share) * self.asked + squared / 4
        half = math.sqrt(squared * spread) / (self.asked + squared)
        return Interval(middle - half, middle + half, 0.95, "Wilson")


def agreement(data: ReportData, judgements: Sequence[Judgement], column: str, *, floor: bool = True) -> Agreement:
    """How often a number prefers the video that most judges prefer.

    Args:
        floor: whether pairs with the untuned model count, which hardly any number gets wrong.
    """
    right, asked = 0.0, 0
    better_is_more = COLUMNS[column].higher_is_better
    untuned = {variant.label for variant in data.variants if variant.role == "floor"}
    for (cell, rows), chosen in favourites(judgements).items():
        if not chosen or (rows & untuned and not floor):
            continue
        (other,) = rows - {chosen}
        values = [data.scores.get(row, {}).get(cell, {}).get(column, math.nan) for row in (chosen, other)]
        if any(math.isnan(value) for value in values):
            continue
        asked += 1
        difference = values[0] - values[1] if better_is_more else values[1] - values[0]
        right += 1.0 if difference > 0 else 0.5 if difference == 0 else 0.0
    return Agreement(right, asked)


@dataclass(frozen=True)
class Disagreement:
    """A number that orders two rows otherwise than judges do, whether or not either is significant.

    Attributes:
        better, worse: by the number.
        significant: whether the number's difference is.
    """

    preference: Preference
    better: str
    worse: str
    significant: bool


def disagreements(numbers: Aggregates, judgements: Sequence[Judgement], column: str) -> list[Disagreement]:
    """The two rows that a number orders otherwise than judges; neither where it has them equal, nor where they are."""
    tests = {
        frozenset((test.first, test.second)): test
        for test in numbers.comparisons
        if test.column == column and test.difference
    }
    found = []
    for one in preferences(judgements, list(numbers.scores)):
        test = tests.get(frozenset((one.first, one.second)))
        if test is None or 2 * one.won == one.decided:
            continue
        preferred = one.first if 2 * one.won > one.decided else one.second
        ahead = (test.difference > 0) == COLUMNS[column].higher_is_better
        better, worse = (test.first, test.second) if ahead else (test.second, test.first)
        if better != preferred:
            found.append(Disagreement(one, better, worse, bool(test.winner)))
    return found
