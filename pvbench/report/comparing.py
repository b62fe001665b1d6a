"""Two reports, compared row by row and number by number: paired over the people that both have."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from pvbench.errors import ReportError
from pvbench.metrics import COLUMNS, metric_of
from pvbench.metrics.metric import Column, Metric
from pvbench.report.data import CellKey
from pvbench.report.statistics.comparison import identity_means, known, report_rng
from pvbench.report.statistics.score import SIGNIFICANT
from pvbench.report.written import WrittenReport
from pvbench.stats import crossed_interval, holm, sign_flip_p, smallest_sign_flip_p

Verdict = Literal["better", "worse", "no evidence", "not tested", "not comparable"]

_SIZES = ("n", "frames")
"""What a signature says of the videos, and not of how they were measured."""


@dataclass(frozen=True)
class Difference:
    """What the second report's row has more of one number than the first's.

    Attributes:
        first, second: the rows' labels in their reports.
        values: both means, over all videos of each report; NaN where there is none.
        difference: second minus first, over what both have, as a mean over people; of a set metric, of the values.
        low, high: 95 % interval of the difference, over people and prompts.
        p: two-sided, over people; `p_holm` after Holm's correction over the pairs of rows.
        videos, people: how many of both are compared.
        tests: how many pairs of rows were tested.
        paired: over the same `cells`, or over the same `prompts` where seeds differ.
        why: what forbids a comparison or a test.
    """

    first: str
    second: str
    column: Column
    values: tuple[float, float]
    verdict: Verdict
    difference: float = math.nan
    low: float = math.nan
    high: float = math.nan
    p: float = math.nan
    p_holm: float = math.nan
    videos: int = 0
    people: int = 0
    tests: int = 0
    paired: Literal["cells", "prompts", ""] = ""
    why: str = ""

    @property
    def hopeless(self) -> bool:
        """Whether no difference could be significant with so few people."""
        return self.people > 1 and smallest_sign_flip_p(self.people) * self.tests >= SIGNIFICANT

    def in_words(self) -> dict[str, object]:
        """The comparison for a program; NaN is None."""
        numbers = {
            "first_value": self.values[0],
            "second_value": self.values[1],
            "difference": self.difference,
            "low": self.low,
            "high": self.high,
            "p": self.p,
            "p_holm": self.p_holm,
        }
        return {
            "metric": self.column.name,
            "first": self.first,
            "second": self.second,
            "verdict": self.verdict,
            **{name: value if math.isfinite(value) else None for name, value in numbers.items()},
            "videos": self.videos,
            "people": self.people,
            "paired": self.paired or None,
            "why": self.why or None,
        }


def pairs_of(first: WrittenReport, second: WrittenReport, asked: Sequence[str] = ()) -> list[tuple[str, str]]:
    """Which rows are compared: those asked for as ``FIRST=SECOND``, else those of one label, else the only methods.

    Raises:
        ReportError: a row is unknown, or it is not clear which rows belong together.
    """
    if asked:
        return [_asked(first, second, text) for text in asked]
    shared = [label for label in first.methods if label in second.methods]
    methods = first.labelled("method"), second.labelled("method")
    if not set(shared) & set(methods[0]) and len(methods[0]) == len(methods[1]) == 1:
        return [*((label, label) for label in shared), (methods[0][0], methods[1][0])]
    if not shared:
        raise ReportError(
            f"{first.folder} and {second.folder} have no row of one name: {', '.join(first.methods)} in the first, "
            f"{', '.join(second.methods)} in the second; say which belong together: --pair FIRST=SECOND"
        )
    return [(label, label) for label in shared]


def _asked(first: WrittenReport, second: WrittenReport, text: str) -> tuple[str, str]:
    # Labels have equals signs of their own, in brackets.
    for place, sign in enumerate(text):
        if sign == "=" and text[:place] in first.methods:
            return text[:place], second.known(text[place + 1 :])
    return first.known(text.partition("=")[0]), second.known(text.partition("=")[2])


def compare_reports(
    first: WrittenReport, second: WrittenReport, pairs: Sequence[tuple[str, str]] = ()
) -> list[Difference]:
    """Every number that both reports have, for each pair of rows; a number that neither row has is left out.

    Rows are paired cell by cell (person, prompt and seed); where the reports have no seed in common, by person and
    prompt. The p is a sign-flip test over people, exact up to 16 of them, with Holm's correction over the pairs of
    rows; better and worse ask for a p below .05 and an interval, over people and prompts, without zero. Numbers whose
    signatures differ are not compared: a difference could be the evaluator's.

    Args:
        pairs: the rows' labels in both; those of `pairs_of` by default.

    Raises:
        ReportError: no number is in both.
    """
    columns = [column for name, column in first.columns.items() if name in second.columns]
    if not columns:
        raise ReportError(
            f"{first.folder} and {second.folder} have no number in common: {', '.join(first.columns)} in the first, "
            f"{', '.join(second.columns)} in the second; measure both with the same --metrics"
        )
    rows = pairs or pairs_of(first, second)
    made = {column.name: [_difference(first, second, labels, column) for labels in rows] for column in columns}
    corrected = [list(_corrected(of_one)) for of_one in made.values()]
    # A pair of rows after the other, as they are read.
    return [one for of_pair in zip(*corrected, strict=True) for one in of_pair if not all(map(math.isnan, one.values))]


def _difference(first: WrittenReport, second: WrittenReport, labels: tuple[str, str], column: Column) -> Difference:
    scores = first.score(labels[0], column.name), second.score(labels[1], column.name)
    values = tuple(math.nan if of.get("value") is None else float(of["value"]) for of in scores)
    made = Difference(*labels, column, (values[0], values[1]), "not comparable")
    if any(math.isnan(value) for value in values):
        why = next(of.get("note") or "no value" for of, value in zip(scores, values, strict=True) if math.isnan(value))
        return replace(made, why=why)
    if changed := list(_changed(scores[0]["signature_long"], scores[1]["signature_long"])):
        return replace(made, why=f"measured differently: {'; '.join(changed)}")
    by_video = tuple(
        report.values.get((label, column.name), {}) for report, label in zip((first, second), labels, strict=True)
    )
    if not all(by_video):
        return replace(
            made, verdict="not tested", difference=values[1] - values[0], why="a number of the whole set of videos"
        )
    return _tested(made, *by_video)


def _tested(made: Difference, first: Mapping[CellKey, float], second: Mapping[CellKey, float]) -> Difference:
    paired, both = _paired(first, second)
    both = known(both)
    if not both:
        return replace(made, why="no person and prompt in common")
    people = [cell.identity for cell in both]
    differences = np.array(list(identity_means(both).values()))
    made = replace(
        made,
        verdict="not tested",
        difference=float(differences.mean()),
        videos=len(both),
        people=len(differences),
        paired=paired,
    )
    if _aggregates_itself(made.column):
        return replace(made, why="its value for a row is not a mean")
    interval = crossed_interval(np.array(list(both.values())), people, [cell.prompt for cell in both])
    p = sign_flip_p(differences, report_rng("compare", made.column.name, made.first, made.second))
    return replace(made, low=interval.low, high=interval.high, p=p, why="" if len(differences) > 1 else "one person")


def _paired(
    first: Mapping[CellKey, float], second: Mapping[CellKey, float]
) -> tuple[Literal["cells", "prompts"], dict[CellKey, float]]:
    """Second minus first on the cells of both; where no seed is in both, on the means of each person and prompt."""
    shared = [cell for cell in first if cell in second]
    if shared:
        return "cells", {cell: second[cell] - first[cell] for cell in shared}
    one, other = _by_prompt(first), _by_prompt(second)
    return "prompts", {cell: other[cell] - one[cell] for cell in one if cell in other}


def _by_prompt(values: Mapping[CellKey, float]) -> dict[CellKey, float]:
    groups: dict[CellKey, list[float]] = {}
    for cell, value in values.items():
        groups.setdefault(CellKey(cell.identity, cell.prompt, 0), []).append(value)
    return {cell: float(np.mean(of_one)) for cell, of_one in groups.items()}


def _aggregates_itself(column: Column) -> bool:
    if column.name not in COLUMNS:  # one that is not installed here
        return False
    metric = metric_of(column.name)
    return issubclass(metric, Metric) and metric.aggregate is not Metric.aggregate


def _corrected(found: list[Difference]) -> Iterable[Difference]:
    """Holm's correction over the pairs of rows of a number, as in a report, and the verdicts that follow."""
    tested = [one.p for one in found if not math.isnan(one.p)]
    adjusted = iter(holm(tested))
    for one in found:
        p_holm = math.nan if math.isnan(one.p) else next(adjusted)
        yield replace(one, p_holm=p_holm, tests=len(tested), verdict=_verdict(one, p_holm))


def _verdict(one: Difference, p_holm: float) -> Verdict:
    if math.isnan(p_holm) or one.people < 2:
        return one.verdict
    # Few prompts give no interval; then people alone decide.
    doubtful = one.low <= 0 <= one.high
    if p_holm >= SIGNIFICANT or one.difference == 0 or doubtful:
        return "no evidence"
    return "better" if (one.difference > 0) == one.column.higher_is_better else "worse"


def _changed(first: Mapping[str, Any], second: Mapping[str, Any]) -> Iterable[str]:
    """In words, where two signatures differ."""
    one, other = _flat(first), _flat(second)
    for name in dict.fromkeys((*one, *other)):
        if name not in _SIZES and one.get(name) != other.get(name):
            yield f"{name} {_short(one.get(name))} and {_short(other.get(name))}"


def _flat(facts: Mapping[str, Any], before: str = "") -> dict[str, Hashable]:
    found: dict[str, Hashable] = {}
    for name, value in facts.items():
        if isinstance(value, Mapping):
            inner = "" if name == "evaluators" and not before else f"{before}{name} "
            found |= _flat(value, inner)
        else:
            found[f"{before}{name}"] = tuple(value) if isinstance(value, list) else value
    return found


def _short(value: Hashable) -> str:
    return "none" if value is None else str(value)[:16]
