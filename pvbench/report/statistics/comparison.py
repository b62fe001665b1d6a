"""Which differences are significant, and what each method gains and keeps."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np

from pvbench.digest import stable_seed
from pvbench.identity import NOBODY
from pvbench.metrics import COLUMNS, metric_of
from pvbench.metrics.gallery import TRUTHS
from pvbench.report.data import CellKey, ReportData, ReportVariant
from pvbench.report.statistics.score import Comparison, Family, Kept, Left
from pvbench.stats import (
    crossed_interval,
    detectable_difference,
    holm,
    jackknife_interval,
    jackknife_p,
    outlying,
    sign_flip_p,
)

FEWEST_PEOPLE = 6
"""With fewer, numbers of sets are not compared: the sign-flip test of the other numbers decides nothing either."""


def report_rng(*parts: str) -> np.random.Generator:
    """The generator for one number of a report: the same for the same number, whatever else is reported."""
    return np.random.default_rng(stable_seed("pvbench.report", *parts))


def known(values: Mapping[CellKey, float]) -> dict[CellKey, float]:
    """The cells of which one knows whom they show."""
    return {cell: value for cell, value in values.items() if cell.identity != NOBODY}


def identity_means(values: Mapping[CellKey, float]) -> dict[str, float]:
    """The mean of each identity's cells."""
    by_identity: dict[str, list[float]] = {}
    for cell, value in values.items():
        by_identity.setdefault(cell.identity, []).append(value)
    return {identity: float(np.mean(of_one)) for identity, of_one in by_identity.items()}


def _families(data: ReportData, refers: bool) -> dict[Family, list[tuple[str, str]]]:
    """The pairs that are tested, fixed by the methods' roles and not by how they came out.

    In a number that `refers` to the ceiling's own videos, as those of sets do, its retake stands for it.
    """

    def labels(role: str) -> list[str]:
        return [variant.label for variant in data.variants if variant.role == role]

    methods = labels("method")
    ceilings = labels("retake" if refers else "ceiling")
    return {
        "methods": list(combinations(methods, 2)),
        "against the floor": [(method, floor) for method in methods for floor in labels("floor")],
        "against the ceiling": [(ceiling, method) for method in methods for ceiling in ceilings],
        "ceiling and floor": [(ceiling, floor) for ceiling in ceilings for floor in labels("floor")],
    }


def comparisons(data: ReportData, sets: Mapping[str, Mapping[str, Left]] | None = None) -> Iterable[Comparison]:
    """Every paired test of the report, by column and question.

    Args:
        sets: numbers of sets, column -> variant label -> the number with and without each identity.
    """
    for column in data.video_columns:
        values = {variant.label: data.defined(variant.label, column) for variant in data.variants}

        def compare(family: Family, first: str, second: str, values: Any = values, column: str = column) -> Any:
            return _compare(column, family, first, second, values)

        yield from _corrected(_families(data, _refers(column)), compare)
    for column, of_sets in (sets or {}).items():

        def compare(family: Family, first: str, second: str, values: Any = of_sets, column: str = column) -> Any:
            return _compare_sets(column, family, first, second, values)

        yield from _corrected(_families(data, refers=True), compare)


def _refers(column: str) -> bool:
    """Whether a number of single videos compares them with the ceiling's video of the same cell."""
    return any(need in TRUTHS for need in metric_of(column).needs)


def _corrected(
    families: Mapping[Family, Sequence[tuple[str, str]]], compare: Callable[[Family, str, str], Comparison | None]
) -> Iterable[Comparison]:
    """The tests of every question, Holm's correction made within each."""
    for family, pairs in families.items():
        tests = [test for pair in pairs if (test := compare(family, *pair)) is not None]
        for test, adjusted in zip(tests, holm([test.p for test in tests]), strict=True):
            yield replace(test, p_holm=adjusted)


def _compare(
    column: str, family: Family, first: str, second: str, values: Mapping[str, Mapping[CellKey, float]]
) -> Comparison | None:
    both = known({cell: values[first][cell] - values[second][cell] for cell in values[first] if cell in values[second]})
    if not both:
        return None
    by_identity = identity_means(both)
    differences = np.array(list(by_identity.values()))
    p = sign_flip_p(differences, report_rng(column, first, second))
    people, prompts = ([getattr(cell, name) for cell in both] for name in ("identity", "prompt"))
    return Comparison(
        column=column,
        family=family,
        first=first,
        second=second,
        difference=float(differences.mean()),
        interval=crossed_interval(np.array(list(both.values())), people, prompts),
        p=p,
        p_holm=p,
        cells=len(both),
        identities=len(by_identity),
        effect=_effect(differences),
        detectable=detectable_difference(differences),
        outlying=tuple(np.array(list(by_identity))[list(outlying(differences))].tolist()),
    )


def _distances(column: str, left: Left) -> Left:
    """A distance that chance can put below zero, such as KVD, by its size: the nearest to zero is the best."""
    if COLUMNS[column].higher_is_better or COLUMNS[column].limits[0] >= 0:
        return left
    return Left(abs(left.value), {person: abs(value) for person, value in left.without.items()}, left.cells)


def _compare_sets(
    column: str, family: Family, first: str, second: str, values: Mapping[str, Left]
) -> Comparison | None:
    if first not in values or second not in values:
        return None
    one, other = (_distances(column, values[label]) for label in (first, second))
    people = [person for person in one.without if person in other.without]
    if len(people) < FEWEST_PEOPLE:
        return None
    left = np.array([one.without[person] - other.without[person] for person in people])
    difference = one.value - other.value
    p = jackknife_p(difference, left)
    return Comparison(
        column=column,
        family=family,
        first=first,
        second=second,
        difference=difference,
        interval=jackknife_interval(difference, left),
        p=p,
        p_holm=p,
        cells=one.cells,
        identities=len(people),
        test="jackknife",
    )


def _effect(differences: np.ndarray) -> float:
    spread = float(differences.std(ddof=1)) if differences.size > 1 else 0.0
    return float(differences.mean()) / spread if spread > 0 else math.nan


def kept_shares(data: ReportData) -> dict[str, dict[str, Kept]]:
    """What each method gains in face and keeps of the untuned model's motion and prompt following."""
    floor = _first(data, "floor")
    ceiling = _first(data, "ceiling")
    kept: dict[str, dict[str, Kept]] = {}
    for variant in data.variants:
        if variant.role == "floor" or floor is None:
            continue
        shares = {}
        if ceiling is not None and variant.role == "method":
            labels = (variant.label, floor.label, ceiling.label)
            shares["face_gained"] = share(data, "face_sim", labels, lambda own, low, high: (own - low) / (high - low))
        for name, column in (("flow_kept", "flow_magnitude"), ("clip_t_kept", "clip_t")):
            shares[name] = share(data, column, (variant.label, floor.label), lambda own, low: own / low)
        kept[variant.label] = {name: share for name, share in shares.items() if share is not None}
    return kept


def _first(data: ReportData, role: str) -> ReportVariant | None:
    return next((variant for variant in data.variants if variant.role == role), None)


def share(data: ReportData, column: str, labels: Sequence[str], formula: Callable[..., float]) -> Kept | None:
    """A formula of the variants' means over the cells they share, with a jackknife interval over identities."""
    values = [data.defined(label, column) for label in labels]
    cells = [
        cell for cell in data.cells if cell.identity != NOBODY and all(cell in of_variant for of_variant in values)
    ]
    if not cells:
        return None
    table = np.array([[of_variant[cell] for cell in cells] for of_variant in values])
    people = np.array([cell.identity for cell in cells])

    def over(columns: np.ndarray) -> float:
        with np.errstate(divide="ignore", invalid="ignore"):
            result = float(formula(*table[:, columns].mean(axis=1)))
        return result if math.isfinite(result) else math.nan

    left_one_out = [over(people != person) for person in sorted(set(people)) if (people != person).any()]
    value = over(np.ones(len(cells), dtype=bool))
    return Kept(value, jackknife_interval(value, np.array(left_one_out)), len(cells))
