"""From scores to statements: a mean with its interval for each method, its place, and what it is better than.

Everything is computed over the cells that stand in the comparison: a mean over the cells a method has, a comparison
over the cells that both sides have, FVD over the cells that all have. Nothing is filled in for a failed cell.
"""

import math
from collections.abc import Mapping

import numpy as np

from pvbench.identity import NOBODY
from pvbench.metrics import COLUMNS, METRIC_OF, VIDEO_COLUMNS, Fvd, Signature, load_metrics
from pvbench.report.block import Place
from pvbench.report.comparison import comparisons, identity_means, kept_shares, known, report_rng
from pvbench.report.data import CellKey, ReportData
from pvbench.report.score import Aggregates, ReferenceFloor, Score
from pvbench.report.set_score import SETS, set_scores
from pvbench.stats import cluster_bootstrap, t_interval


def aggregate(data: ReportData) -> Aggregates:
    """Scores, comparisons, places and shares of a run.

    Raises:
        MetricError: an embedding is NaN or infinite, or a metric's setting is wrong.
    """
    scores = _video_scores(data)
    floors: dict[str, ReferenceFloor] = {}
    for reference in SETS:
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
    asked = None if data.metrics is None else {METRIC_OF[name] for name in (*VIDEO_COLUMNS, *data.video_columns)}
    for metric in load_metrics(data.metric_settings, asked):
        signature = metric.signature(data.extractors)
        signature = signature.having(frames=data.frames_fact(signature.extractors))
        for column in metric.columns:
            for label, of_variant in scores.items():
                values = data.defined(label, column.name)
                of_variant[column.name] = _video_score(data, label, column.name, values, signature)
    return scores


def _video_score(
    data: ReportData, label: str, column: str, values: Mapping[CellKey, float], signature: Signature
) -> Score:
    planned = len(data.planned(label))
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
        identities=len(set(people) - {NOBODY}),
        signature=signature.having(n=array.size),
        interval=t_interval(array, people).within(limits),
        bootstrap=cluster_bootstrap(array, people, report_rng(label, column)).within(limits),
        by_identity=identity_means(known(values)),
    )


def _places(data: ReportData, scores: Mapping[str, Mapping[str, Score]], column: str) -> dict[str, Place]:
    """Best and second among the competing methods, on the cells they share; equal as printed is equal."""
    methods = [variant.label for variant in data.variants if variant.role == "method"]
    if column not in scores[next(iter(scores))]:
        return {}
    if METRIC_OF[column] != Fvd.name:
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


def _means_on_shared_cells(data: ReportData, labels: list[str], column: str) -> dict[str, float]:
    values = {label: data.defined(label, column) for label in labels}
    cells = data.shared_cells(values.values())
    return {
        label: float(np.mean([of_cells[cell] for cell in cells]))
        for label, of_cells in values.items()
        if cells and all(cell in of_cells for cell in cells)
    }
