"""From scores to statements: a mean with its interval for each method, its place, and what it is better than.

Everything is computed over the cells that stand in the comparison: a mean over the cells a method has, a comparison
over the cells that both sides have, FVD over the cells that all have. Nothing is filled in for a failed cell.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from pvbench.identity import NOBODY
from pvbench.metrics import COLUMNS, Metric, Signature, load_metrics, metric_of
from pvbench.report.data import CellKey, ReportData
from pvbench.report.statistics.comparison import comparisons, identity_means, kept_shares, known, report_rng
from pvbench.report.statistics.score import Aggregates, Place, ReferenceFloor, Score
from pvbench.report.statistics.set_score import REFERENCES, set_scores
from pvbench.stats import Interval, cluster_bootstrap, jackknife_interval, t_interval


def aggregate(data: ReportData) -> Aggregates:
    """Scores, comparisons, places and shares of a run.

    Raises:
        MetricError: an embedding is NaN or infinite, or a metric's setting is wrong.
    """
    scores = _video_scores(data)
    floors: dict[str, ReferenceFloor] = {}
    for reference in REFERENCES:
        of_sets, floor = set_scores(data, reference)
        for label, of_variant in of_sets.items():
            scores[label].update(of_variant)
        if floor is not None:
            floors[reference] = floor
    return Aggregates(
        scores=scores,
        comparisons=tuple(comparisons(data)),
        best={name: _places(data, scores, name) for name in COLUMNS},
        kept=kept_shares(data),
        floors=floors,
    )


def _video_scores(data: ReportData) -> dict[str, dict[str, Score]]:
    scores: dict[str, dict[str, Score]] = {variant.label: {} for variant in data.variants}
    for metric in load_metrics(data.metric_settings, data.metrics):
        signature = metric.signature(data.evaluators)
        signature = signature.having(frames=data.frames_fact(signature.evaluators))
        for column in metric.columns:
            for label, of_variant in scores.items():
                values = data.defined(label, column.name)
                of_variant[column.name] = _video_score(data, label, metric, column.name, values, signature)
    return scores


def _video_score(
    data: ReportData, label: str, metric: Metric, column: str, values: Mapping[CellKey, float], signature: Signature
) -> Score:
    planned = len(data.planned(label))
    if not values:
        note = COLUMNS[column].undefined if data.done(label) else "no video"
        return Score(math.nan, 0, planned, 0, signature.having(n=0), note=note)
    array, plain = np.array(list(values.values())), _is_mean(metric)
    people = [cell.identity for cell in values]
    limits = COLUMNS[column].limits
    return Score(
        value=aggregated(metric, column, array),
        n=array.size,
        planned=planned,
        identities=len(set(people) - {NOBODY}),
        signature=signature.having(n=array.size),
        interval=_interval(metric, column, array, people).within(limits),
        bootstrap=cluster_bootstrap(array, people, report_rng(label, column)).within(limits) if plain else None,
        by_identity=identity_means(known(values)),
    )


def _is_mean(metric: Metric) -> bool:
    return type(metric).aggregate is Metric.aggregate


def _interval(metric: Metric, column: str, values: NDArray[np.float64], people: Sequence[str]) -> Interval:
    """Student's over the people's means; for a metric with an aggregate of its own, a jackknife over the people."""
    if _is_mean(metric):
        return t_interval(values, people)
    shown, known_people = np.array(people), sorted(set(people))
    without = [aggregated(metric, column, values[shown != person]) for person in known_people if len(known_people) > 1]
    if NOBODY in known_people:
        without = []
    return jackknife_interval(aggregated(metric, column, values), np.array(without))


def _places(data: ReportData, scores: Mapping[str, Mapping[str, Score]], column: str) -> dict[str, Place]:
    """Best and second among the competing methods, on the cells they share; equal as printed is equal."""
    methods = [variant.label for variant in data.variants if variant.role == "method"]
    if column not in scores[next(iter(scores))]:
        return {}
    if issubclass(metric_of(column), Metric):
        means = _means_on_shared_cells(data, methods, column)
    else:
        values = {label: scores[label][column].value for label in methods}
        means = {label: value for label, value in values.items() if not math.isnan(value)}
    if len(means) < 2:
        return {}
    spec = COLUMNS[column]
    printed = {label: float(spec.text(mean)) for label, mean in means.items()}
    order = sorted(printed.values(), reverse=spec.higher_is_better)
    places: dict[str, Place] = {label: "best" for label, value in printed.items() if value == order[0]}
    if len(places) == 1 and len(means) > 2:
        places |= {label: "second" for label, value in printed.items() if value == order[1]}
    return places


def aggregated(metric: Metric, column: str, values: NDArray[np.float64]) -> float:
    """A metric's own aggregate of one of its numbers, over videos that all have it."""
    rows = np.full((len(values), len(metric.columns)), math.nan)
    rows[:, [one.name for one in metric.columns].index(column)] = values
    return metric.aggregate(rows)[column]


def _means_on_shared_cells(data: ReportData, labels: list[str], column: str) -> dict[str, float]:
    values = {label: data.defined(label, column) for label in labels}
    cells = data.shared_cells(values.values())
    return {
        label: float(np.mean([of_cells[cell] for cell in cells]))
        for label, of_cells in values.items()
        if cells and all(cell in of_cells for cell in cells)
    }
