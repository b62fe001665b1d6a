"""What a report states, in numbers: scores, comparisons, shares and places."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pvbench.metrics import COLUMNS, Signature
from pvbench.stats import Interval

SIGNIFICANT = 0.05

Place = Literal["", "best", "second"]
"""Among the methods that compete."""

Family = Literal["methods", "against the floor", "against the ceiling"]
"""The three questions that comparisons answer; Holm's correction is made within each."""


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
    """A paired test between two methods on the cells that both have, with the identities as observations."""

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

    @property
    def winner(self) -> str:
        """The label of the significantly better one; empty without significance."""
        if not self.p_holm < SIGNIFICANT or self.difference == 0:
            return ""
        return self.first if (self.difference > 0) == COLUMNS[self.column].higher_is_better else self.second


@dataclass(frozen=True)
class Kept:
    """How much of a way or of the untuned model's number a method keeps, as a share, with its interval."""

    value: float
    interval: Interval
    cells: int


@dataclass(frozen=True)
class ReferenceFloor:
    """How far a reference set's own halves are apart, and the set's size."""

    value: float
    cells: int
    width: int


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

    def beaten_by(self, label: str, column: str) -> tuple[str, ...]:
        """Labels of the variants that this one is significantly better than."""
        won = [test for test in self.comparisons if test.column == column and test.winner == label]
        return tuple(test.second if test.first == label else test.first for test in won)
