"""What a study shows: each row against the complete one, and a verdict on each claim."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from pvbench.ablation.study import Claim
from pvbench.metrics import COLUMNS
from pvbench.report.data import CellKey, ReportData
from pvbench.report.statistics.comparison import FEWEST_PEOPLE, identity_means, known, report_rng
from pvbench.report.statistics.score import SIGNIFICANT
from pvbench.stats import Interval, crossed_interval, equivalence_p, holm, sign_flip_greater_p, sign_flip_p

Verdict = Literal["reproduced", "contradicted", "undecided"]
"""As claimed and significant; the other way round and significant; neither."""


@dataclass(frozen=True)
class Difference:
    """One row less another, over the cells that both have.

    Attributes:
        mean: over people, in the column's natural unit.
        interval: over people and prompts.
        p, p_holm: two-sided, before and after Holm's correction within the study and column.
    """

    column: str
    first: str
    second: str
    mean: float
    interval: Interval
    p: float
    p_holm: float
    people: int
    cells: int

    @property
    def significant(self) -> bool:
        """Whether p after correction is below .05 and the interval over people and prompts excludes zero."""
        doubtful = not (self.interval.excludes_zero or math.isnan(self.interval.low))
        return self.p_holm < SIGNIFICANT and not doubtful


@dataclass(frozen=True)
class Tested:
    """A claim, the difference that it is about, and what follows.

    Attributes:
        p: that the difference is not as claimed: one-sided for a direction, of two one-sided tests for equality; after
            Holm's correction over the study's claims. NaN without both rows.
    """

    claim: Claim
    difference: Difference | None
    p: float
    verdict: Verdict


def differences(data: ReportData, complete: str, columns: Sequence[str]) -> tuple[Difference, ...]:
    """Every other row against the complete one, by column, corrected within each.

    Args:
        complete: label of the complete row's variant.
    """
    found: list[Difference] = []
    for column in columns:
        others = [variant.label for variant in data.variants if variant.label != complete and variant.role == "method"]
        of_column = [one for label in others if (one := difference(data, column, label, complete)) is not None]
        adjusted = holm([one.p for one in of_column])
        found += [replace(one, p_holm=p) for one, p in zip(of_column, adjusted, strict=True)]
    return tuple(found)


def difference(data: ReportData, column: str, first: str, second: str) -> Difference | None:
    """One row less another, both by their labels; None where they have no cell in common."""
    cells = _paired(data, column, first, second)
    if not cells:
        return None
    by_person = np.array(list(identity_means(cells).values()))
    p = sign_flip_p(by_person, report_rng("ablation", column, first, second))
    people, prompts = ([getattr(cell, name) for cell in cells] for name in ("identity", "prompt"))
    interval = crossed_interval(np.array(list(cells.values())), people, prompts)
    return Difference(column, first, second, float(by_person.mean()), interval, p, p, len(by_person), len(cells))


def judge_claims(data: ReportData, claims: Sequence[tuple[Claim, str, str]]) -> tuple[Tested, ...]:
    """A verdict on each claim, with Holm's correction over all of them.

    A claim of a direction is tested from both sides, so that a contradiction is as hard to reach as a reproduction.

    Args:
        claims: each with the labels of its two rows.
    """
    pairs = [(claim, difference(data, claim.column, first, second)) for claim, first, second in claims]
    there = [(claim, one) for claim, one in pairs if one is not None]
    for_it = holm([_p(data, claim, one, for_it=True) for claim, one in there])
    against = holm([_p(data, claim, one, for_it=False) for claim, one in there])
    judged = iter(
        Tested(claim, one, p, _verdict(claim, one, p, other))
        for (claim, one), p, other in zip(there, for_it, against, strict=True)
    )
    return tuple(Tested(claim, None, math.nan, "undecided") if one is None else next(judged) for claim, one in pairs)


def _p(data: ReportData, claim: Claim, one: Difference, for_it: bool) -> float:
    by_person = _by_person(data, one)
    if claim.equal:
        if for_it:
            return equivalence_p(by_person, claim.margin)
        # Beyond the margin, on whichever side the mean lies.
        beyond = np.sign(one.mean) * by_person - claim.margin
        return sign_flip_greater_p(beyond, report_rng("beyond", one.column, one.first, one.second))
    better = by_person if COLUMNS[claim.column].higher_is_better else -by_person
    signed = better if for_it else -better
    return sign_flip_greater_p(signed, report_rng("claim", one.column, one.first, one.second, str(for_it)))


def _verdict(claim: Claim, one: Difference, p: float, against: float) -> Verdict:
    if one.people < FEWEST_PEOPLE:
        return "undecided"
    # An interval over prompts that contains zero leaves a direction open; equality is about the size alone.
    open_ = not claim.equal and not one.interval.excludes_zero and not math.isnan(one.interval.low)
    if open_:
        return "undecided"
    if p < SIGNIFICANT:
        return "reproduced"
    return "contradicted" if against < SIGNIFICANT else "undecided"


def _paired(data: ReportData, column: str, first: str, second: str) -> dict[CellKey, float]:
    one, other = data.defined(first, column), data.defined(second, column)
    return known({cell: one[cell] - other[cell] for cell in one if cell in other})


def _by_person(data: ReportData, one: Difference) -> np.ndarray:
    return np.array(list(identity_means(_paired(data, one.column, one.first, one.second)).values()))
