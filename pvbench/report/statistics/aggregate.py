"""From scores to statements: a mean with its interval for each method, its place, and what it is better than.

Everything is computed over the cells that stand in the comparison: a mean over the cells a method has, a comparison
over the cells that both sides have, FVD over the cells that all have. Nothing is filled in for a failed cell.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pvbench.identity import NOBODY
from pvbench.metrics import COLUMNS, Metric, Signature, load_metrics
from pvbench.report.data import CellKey, ReportData
from pvbench.report.statistics.comparison import comparisons, identity_means, kept_shares, known, report_rng
from pvbench.report.statistics.score import PLACES, Aggregates, Left, Place, ReferenceFloor, Score
from pvbench.report.statistics.set_score import REFERENCES, set_scores
from pvbench.stats import Interval, cluster_bootstrap, crossed_interval, jackknife_interval


def aggregate(data: ReportData) -> Aggregates:
    """Scores, comparisons, places and shares of a run.

    Raises:
        MetricError: an embedding is NaN or infinite, or a metric's setting is wrong.
    """
    scores = _video_scores(data)
    floors: dict[str, ReferenceFloor] = {}
    left: dict[str, dict[str, Left]] = {}
    for reference in REFERENCES:
        of_sets = set_scores(data, reference)
        for label, of_variant in of_sets.scores.items():
            scores[label].update(of_variant)
        left |= of_sets.left
        if of_sets.floor is not None:
            floors[reference] = of_sets.floor
    found = Aggregates(
        scores=scores,
        comparisons=tuple(comparisons(data, left)),
        best={},
        kept=kept_shares(data),
        floors=floors,
    )
    return with_places(data, found)


def with_places(data: ReportData, numbers: Aggregates) -> Aggregates:
    """The same, with the places that the comparisons give."""
    return replace(numbers, best={name: _places(data, numbers, name) for name in COLUMNS})


def _video_scores(data: ReportData) -> dict[str, dict[str, Score]]:
    scores: dict[str, dict[str, Score]] = {variant.label: {} for variant in data.variants}
    for metric in load_metrics(data.metric_settings, data.metrics):
        signature = metric.signature(data.evaluators)
        signature = signature.having(frames=data.frames_fact(signature.evaluators))
        if any(need.startswith("reference/") for need in metric.needs):
            signature = signature.having(photos=data.photos_fact)
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
        interval=_interval(metric, column, array, list(values)).within(limits),
        bootstrap=cluster_bootstrap(array, people, report_rng(label, column)).within(limits) if plain else None,
        by_identity=identity_means(known(values)),
    )


def _is_mean(metric: Metric) -> bool:
    return type(metric).aggregate is Metric.aggregate


def _interval(metric: Metric, column: str, values: NDArray[np.float64], cells: Sequence[CellKey]) -> Interval:
    """Student's over people and prompts; for a metric with an aggregate of its own, a jackknife over the people."""
    people = [cell.identity for cell in cells]
    if _is_mean(metric):
        return crossed_interval(values, people, [cell.prompt for cell in cells])
    shown, known_people = np.array(people), sorted(set(people))
    without = [aggregated(metric, column, values[shown != person]) for person in known_people if len(known_people) > 1]
    if NOBODY in known_people:
        without = []
    return jackknife_interval(aggregated(metric, column, values), np.array(without))


def _places(data: ReportData, numbers: Aggregates, column: str) -> dict[str, Place]:
    """The method that is significantly better than every other one, and the one that is better than all the rest.

    Nobody is best in a number that does not tell the ceiling from the floor.
    """
    methods = {variant.label for variant in data.variants if variant.role == "method"}
    compared = {label for test in numbers.comparisons if test.column == column for label in (test.first, test.second)}
    rest = methods & compared
    places: dict[str, Place] = {}
    if numbers.separates(column) is False:
        return {}
    for place in PLACES:
        leaders = [
            label for label in rest if rest - {label} and rest - {label} <= set(numbers.beaten_by(label, column))
        ]
        if not leaders:
            break
        places[leaders[0]] = place
        rest -= {leaders[0]}
    return places


def aggregated(metric: Metric, column: str, values: NDArray[np.float64]) -> float:
    """A metric's own aggregate of one of its numbers, over videos that all have it."""
    rows = np.full((len(values), len(metric.columns)), math.nan)
    rows[:, [one.name for one in metric.columns].index(column)] = values
    return metric.aggregate(rows)[column]
