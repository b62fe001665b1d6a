"""What a report states, in numbers: scores, comparisons, shares and places."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pvbench.metrics import COLUMNS, Signature
from pvbench.stats import Interval

SIGNIFICANT = 0.05

Place = Literal["", "best", "second"]
"""Among the methods that compete."""
PLACES: tuple[Place, ...] = ("best", "second")
"""Best: significantly better than every other method; second: than every other but the best."""

Family = Literal["methods", "against the floor", "against the ceiling", "ceiling and floor"]
"""The questions that comparisons answer; Holm's correction is made within each."""

TestKind = Literal["sign flip", "jackknife"]
"""A sign-flip test of the people's mean differences, or, for numbers of sets, Student's by leaving out each person."""


@dataclass(frozen=True)
class Score:
    """One number of one method, and what it rests on."""

    value: float
    """NaN without any video to take it from; see `note`."""
    n: int
    """Videos the value is taken from."""
    planned: int
    """Videos of the grid."""
    identities: int
    signature: Signature
    interval: Interval | None = None
    bootstrap: Interval | None = None
    by_identity: Mapping[str, float] | None = None
    terms: Mapping[str, float] | None = None
    """What the value is made of, for FVD."""
    note: str = ""


@dataclass(frozen=True)
class Comparison:
    """A paired test between two methods on the cells that both have, with the identities as observations.

    Attributes:
        interval: of the difference, over people and prompts; of a number of sets over people.
        effect: the mean difference in standard deviations of the people's differences; NaN where these are equal.
        detectable: the true difference that four of five such comparisons would find significant, before Holm; NaN
            where the people's differences say nothing about their spread.
        outlying: people whose difference stands apart from the others'.
    """

    column: str
    family: Family
    first: str
    second: str
    difference: float
    """Mean over identities of first minus second, in the column's unit."""
    interval: Interval
    p: float
    p_holm: float
    cells: int
    identities: int
    test: TestKind = "sign flip"
    effect: float = math.nan
    detectable: float = math.nan
    outlying: tuple[str, ...] = ()

    @property
    def winner(self) -> str:
        """The label of the significantly better one; empty without significance.

        Significant is a p below .05 after Holm, where the interval excludes zero too: people alone do not decide it,
        if other prompts could turn it round.
        """
        doubtful = not (self.interval.excludes_zero or math.isnan(self.interval.low))
        if not self.p_holm < SIGNIFICANT or self.difference == 0 or doubtful:
            return ""
        return self.first if (self.difference > 0) == COLUMNS[self.column].higher_is_better else self.second


@dataclass(frozen=True)
class Kept:
    """How much of a way or of the untuned model's number a method keeps, as a share, with its interval."""

    value: float
    interval: Interval
    cells: int


@dataclass(frozen=True)
class Left:
    """A number of a set, and what it is when one identity after the other is left out of both sets."""

    value: float
    without: Mapping[str, float]
    cells: int


@dataclass(frozen=True)
class ReferenceFloor:
    """The distance from a reference set that chance alone gives, and the set's size.

    Attributes:
        retake: label of the row that filmed the same cells again, whose distance it is; empty where it is the mean
            distance between random halves of the set.
    """

    value: float
    cells: int
    width: int
    retake: str = ""


@dataclass(frozen=True)
class Aggregates:
    """Everything a report states, in numbers."""

    scores: Mapping[str, Mapping[str, Score]]
    """Variant label -> column name -> score."""
    comparisons: tuple[Comparison, ...]
    best: Mapping[str, Mapping[str, Place]]
    """Column name -> variant label -> place among the competing methods."""
    kept: Mapping[str, Mapping[str, Kept]]
    """Variant label -> ``face_gained``, ``flow_kept`` or ``clip_t_kept`` -> share."""
    floors: Mapping[str, ReferenceFloor]
    """Reference set's name -> its floor."""

    def separation(self, column: str) -> Comparison | None:
        """The test of the ceiling against the floor; None where the report has not both, or the number no test."""
        return next((test for test in self._of(column) if test.family == "ceiling and floor"), None)

    def separates(self, column: str) -> bool | None:
        """Whether a number tells the ceiling from the floor; None where that is not known."""
        test = self.separation(column)
        return None if test is None else test.winner == test.first

    def _of(self, column: str) -> list[Comparison]:
        return [test for test in self.comparisons if test.column == column]

    def beaten_by(self, label: str, column: str) -> tuple[str, ...]:
        """Labels of the variants that this one is significantly better than."""
        won = [test for test in self._of(column) if test.winner == label]
        return tuple(test.second if test.first == label else test.first for test in won)
