"""From scores to statements: a mean with its interval for each method, and which differences are significant.

Everything is computed over the cells that stand in the comparison: a mean over the cells a method has, a comparison
over the cells that both sides have, FVD over the cells that all have. Nothing is filled in for a failed cell.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Literal

import numpy as np

from pvbench.digest import stable_seed
from pvbench.metrics import COLUMNS, METRICS, Fvd, Signature, load_metrics
from pvbench.metrics.fvd import kernel_distance, reference_floor
from pvbench.report.data import CellKey, ReportData, ReportVariant
from pvbench.stats import Interval, cluster_bootstrap, holm, jackknife_interval, sign_flip_p, t_interval

SIGNIFICANT = 0.05

ENOUGH_CELLS = 0.5
"""A method with a smaller share of its cells takes no part where all are compared on the cells they share."""

Family = Literal["methods", "against the floor", "against the ceiling"]


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
    best: Mapping[str, Mapping[str, Literal["best", "second"]]]
    """Column name -> variant label -> place among the competing methods."""
    kept: Mapping[str, Mapping[str, Kept]]
    """Variant label -> ``face_gained``, ``flow_kept`` or ``clip_t_kept`` -> share."""
    floors: Mapping[str, ReferenceFloor]
    """Reference set's name -> its floor."""

    def beaten_by(self, label: str, column: str) -> tuple[str, ...]:
        """Labels of the variants that this one is significantly better than."""
        won = [test for test in self.comparisons if test.column == column and test.winner == label]
        return tuple(test.second if test.first == label else test.first for test in won)


def aggregate(data: ReportData) -> Aggregates:
    """Scores, comparisons, places and shares of a run.

    Raises:
        MetricError: an embedding is NaN or infinite, or a metric's setting is wrong.
    """
    scores = _video_scores(data)
    floors: dict[str, ReferenceFloor] = {}
    for reference, columns in (("rendered", ("fvd", "kvd")), ("base", ("fvd_base",))):
        of_sets, floor = _set_scores(data, reference, columns)
        for label, of_variant in of_sets.items():
            scores[label].update(of_variant)
        if floor is not None:
            floors[reference] = floor
    return Aggregates(
        scores=scores,
        comparisons=tuple(_comparisons(data)),
        best={name: _places(data, scores, name) for name in COLUMNS},
        kept=_kept(data),
        floors=floors,
    )


def video_columns() -> tuple[str, ...]:
    """Names of the columns that every video has a value for."""
    return tuple(column.name for metric in METRICS for column in metric.columns)


def _rng(*parts: str) -> np.random.Generator:
    return np.random.default_rng(stable_seed("pvbench.report", *parts))


def _defined(data: ReportData, label: str, column: str) -> dict[CellKey, float]:
    of_cells = data.scores.get(label, {})
    return {
        cell: of_cells[cell][column]
        for cell in data.done(label)
        if column in of_cells[cell] and not math.isnan(of_cells[cell][column])
    }


def _video_scores(data: ReportData) -> dict[str, dict[str, Score]]:
    scores: dict[str, dict[str, Score]] = {variant.label: {} for variant in data.variants}
    for metric in load_metrics(data.metric_settings):
        signature = metric.signature(data.extractors).having(frames=data.frames)
        for column in metric.columns:
            for label, of_variant in scores.items():
                values = _defined(data, label, column.name)
                of_variant[column.name] = _video_score(data, label, column.name, values, signature)
    return scores


def _video_score(
    data: ReportData, label: str, column: str, values: Mapping[CellKey, float], signature: Signature
) -> Score:
    planned = len(data.cells)
    if not values:
        note = COLUMNS[column].undefined if data.done(label) else "no video"
        return Score(math.nan, 0, planned, 0, signature.having(n=0), note=note)
    array = np.array(list(values.values()))
    people = [cell.identity for cell in values]
    limits = COLUMNS[column].limits
    return Score(
        value=float(array.mean()),
        n=array.size,
        planned=planned,
        identities=len(set(people)),
        signature=signature.having(n=array.size),
        interval=t_interval(array, people).within(limits),
        bootstrap=cluster_bootstrap(array, people, _rng(label, column)).within(limits),
        by_identity=_identity_means(values),
    )


def _identity_means(values: Mapping[CellKey, float]) -> dict[str, float]:
    by_identity: dict[str, list[float]] = {}
    for cell, value in values.items():
        by_identity.setdefault(cell.identity, []).append(value)
    return {identity: float(np.mean(of_one)) for identity, of_one in by_identity.items()}


def _shared_cells(data: ReportData, has: Mapping[str, Iterable[CellKey]]) -> tuple[CellKey, ...]:
    """The cells that all variants with enough cells have, in the grid's order."""
    sets = [set(cells) for cells in has.values()]
    enough = [cells for cells in sets if len(cells) >= max(1.0, ENOUGH_CELLS * len(data.cells))]
    return tuple(cell for cell in data.cells if enough and all(cell in cells for cells in enough))


def _reference(data: ReportData, name: str) -> tuple[str, Mapping[CellKey, np.ndarray]]:
    method = {"rendered": "oracle", "base": "base"}[name]
    for variant in data.variants:
        if variant.method == method and data.embeddings.get(variant.label):
            return variant.label, data.embeddings[variant.label]
    for given in data.reference_sets:
        if given.name == name:
            return "", given.embeddings
    return "", {}


def _set_scores(
    data: ReportData, reference: str, columns: Sequence[str]
) -> tuple[dict[str, dict[str, Score]], ReferenceFloor | None]:
    """FVD and KVD of every variant to one reference set, over the cells that all of them and the set have."""
    fvd = Fvd(reference)
    signature = fvd.signature(data.extractors).having(frames=data.frames)
    own_label, reference_cells = _reference(data, reference)
    has = {
        variant.label: data.embeddings.get(variant.label, {}).keys() & reference_cells.keys()
        for variant in data.variants
    }
    cells = _shared_cells(data, has)
    people = [cell.identity for cell in cells]
    signature = signature.having(n=len(cells))

    def stacked(embeddings: Mapping[CellKey, np.ndarray]) -> np.ndarray:
        return np.stack([embeddings[cell] for cell in cells]).astype(np.float64)

    def missing(note: str) -> dict[str, Score]:
        empty = Score(math.nan, 0, len(data.cells), 0, signature, note=note)
        return dict.fromkeys(columns, empty)

    scores: dict[str, dict[str, Score]] = {}
    for variant in data.variants:
        label = variant.label
        if label == own_label:
            scores[label] = missing("is the reference set")
        elif len(cells) < 2 or not set(cells) <= set(has[label]):
            scores[label] = missing(f"no reference set {reference!r}" if not reference_cells else "too few cells")
        else:
            of_variant, of_reference = stacked(data.embeddings[label]), stacked(reference_cells)
            distance = fvd.distance(of_variant, of_reference)
            terms = fvd.kernel(of_variant, of_reference)
            scores[label] = {}
            for column in columns:
                if column == "kvd":
                    value, interval = kernel_distance(terms), _kernel_interval(terms, people)
                    parts = None
                else:
                    value, interval = distance.value, None
                    parts = {"mean": distance.mean_term, "covariance": distance.covariance_term}
                scores[label][column] = Score(
                    value, len(cells), len(data.cells), len(set(people)), signature, interval=interval, terms=parts
                )
    if len(cells) < 4:
        return scores, None
    rows = stacked(reference_cells)
    return scores, ReferenceFloor(reference_floor(rows, _rng("floor", reference)), len(cells), rows.shape[1])


def _kernel_interval(terms: np.ndarray, people: Sequence[str]) -> Interval:
    names = np.asarray(people)
    left_one_out = []
    for person in sorted(set(people)):
        others = names != person
        left_one_out.append(kernel_distance(terms[np.ix_(others, others)]))
    return jackknife_interval(kernel_distance(terms), np.array(left_one_out))


def _families(data: ReportData) -> dict[Family, list[tuple[str, str]]]:
    """The pairs that are tested, fixed by the methods' roles and not by how they came out."""

    def labels(role: str) -> list[str]:
        return [variant.label for variant in data.variants if variant.role == role]

    methods = labels("method")
    return {
        "methods": list(combinations(methods, 2)),
        "against the floor": [(method, floor) for method in methods for floor in labels("floor")],
        "against the ceiling": [(ceiling, method) for method in methods for ceiling in labels("ceiling")],
    }


def _comparisons(data: ReportData) -> Iterable[Comparison]:
    for column in video_columns():
        values = {variant.label: _defined(data, variant.label, column) for variant in data.variants}
        for family, pairs in _families(data).items():
            tests = [test for pair in pairs if (test := _compare(column, family, *pair, values)) is not None]
            for test, adjusted in zip(tests, holm([test.p for test in tests]), strict=True):
                yield replace(test, p_holm=adjusted)


def _compare(
    column: str, family: Family, first: str, second: str, values: Mapping[str, Mapping[CellKey, float]]
) -> Comparison | None:
    both = {cell: values[first][cell] - values[second][cell] for cell in values[first] if cell in values[second]}
    if not both:
        return None
    by_identity = _identity_means(both)
    differences = np.array(list(by_identity.values()))
    p = sign_flip_p(differences, _rng(column, first, second))
    return Comparison(
        column=column,
        family=family,
        first=first,
        second=second,
        difference=float(differences.mean()),
        interval=t_interval(differences, list(by_identity)),
        p=p,
        p_holm=p,
        cells=len(both),
        identities=len(by_identity),
    )


def _places(
    data: ReportData, scores: Mapping[str, Mapping[str, Score]], column: str
) -> dict[str, Literal["best", "second"]]:
    """Best and second among the competing methods, on the cells they share; equal as printed is equal."""
    methods = [variant.label for variant in data.variants if variant.role == "method"]
    if column in video_columns():
        values = {label: _defined(data, label, column) for label in methods}
        cells = _shared_cells(data, values)
        means = {
            label: float(np.mean([of_cells[cell] for cell in cells]))
            for label, of_cells in values.items()
            if cells and all(cell in of_cells for cell in cells)
        }
    else:
        means = {label: scores[label][column].value for label in methods if not math.isnan(scores[label][column].value)}
    if len(means) < 2:
        return {}
    spec = COLUMNS[column]
    printed = {label: float(spec.text(mean)) for label, mean in means.items()}
    order = sorted(set(printed.values()), reverse=spec.higher_is_better)
    places: dict[str, Literal["best", "second"]] = {}
    for label, value in printed.items():
        if value == order[0]:
            places[label] = "best"
        elif len(means) > 2 and value == order[1] and list(printed.values()).count(order[0]) == 1:
            places[label] = "second"
    return places


def _kept(data: ReportData) -> dict[str, dict[str, Kept]]:
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
            shares["face_gained"] = _share(data, "face_sim", labels, lambda own, low, high: (own - low) / (high - low))
        for name, column in (("flow_kept", "flow_magnitude"), ("clip_t_kept", "clip_t")):
            shares[name] = _share(data, column, (variant.label, floor.label), lambda own, low: own / low)
        kept[variant.label] = {name: share for name, share in shares.items() if share is not None}
    return kept


def _first(data: ReportData, role: str) -> ReportVariant | None:
    return next((variant for variant in data.variants if variant.role == role), None)


def _share(data: ReportData, column: str, labels: Sequence[str], formula: Callable[..., float]) -> Kept | None:
    """A formula of the variants' means over the cells they share, with a jackknife interval over identities."""
    values = [_defined(data, label, column) for label in labels]
    cells = [cell for cell in data.cells if all(cell in of_variant for of_variant in values)]
    if not cells:
        return None
    table = np.array([[of_variant[cell] for cell in cells] for of_variant in values])
    people = np.array([cell.identity for cell in cells])

    def share(columns: np.ndarray) -> float:
        with np.errstate(divide="ignore", invalid="ignore"):
            result = float(formula(*table[:, columns].mean(axis=1)))
        return result if math.isfinite(result) else math.nan

    left_one_out = [share(people != person) for person in sorted(set(people)) if (people != person).any()]
    value = share(np.ones(len(cells), dtype=bool))
    return Kept(value, jackknife_interval(value, np.array(left_one_out)), len(cells))
