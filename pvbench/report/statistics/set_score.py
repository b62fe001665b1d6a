"""Numbers of sets, such as FVD, of every method to a reference set, over the cells that all and the set have."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from pvbench.identity import NOBODY
from pvbench.method import Role
from pvbench.metrics import Column, SetMetric, Signature, load_set_metrics
from pvbench.report.data import CellKey, ReportData
from pvbench.report.statistics.comparison import report_rng
from pvbench.report.statistics.score import Left, ReferenceFloor, Score
from pvbench.stats import jackknife_interval

REFERENCES: Mapping[str, Role] = {"rendered": "ceiling", "base": "floor"}
"""Reference sets, and the role of the row whose videos each is."""

_FEWEST_FOR_FLOOR = 4


@dataclass(frozen=True)
class _Stacked:
    """Embeddings in the order of their keys, read when they are asked for."""

    keys: Sequence[CellKey | str]
    embeddings: Mapping[CellKey, np.ndarray] | Mapping[str, np.ndarray]

    @property
    def shape(self) -> tuple[int, int]:
        """Number and width."""
        return len(self.keys), self.embeddings[self.keys[0]].size if self.keys else 0  # type: ignore[index]

    def __getitem__(self, rows: slice) -> Float[np.ndarray, "some width"]:
        return np.stack([self.embeddings[key] for key in self.keys[rows]]).astype(np.float64)  # type: ignore[index]


@dataclass(frozen=True)
class _Sets:
    """One reference set, and the cells over which every method is compared with it."""

    name: str
    row: str
    """The label of the variant whose videos it is; empty where it is not a row."""
    embeddings: Mapping[CellKey, np.ndarray]
    cells: tuple[CellKey, ...]
    pool: Mapping[str, np.ndarray] | None
    """Embeddings of a set that has no cells in common with the report."""
    missing: str
    """What to say where there is no such set."""
    planned: int
    metric: SetMetric
    signature: Signature

    def stacked(self, embeddings: Mapping[CellKey, np.ndarray]) -> _Stacked:
        return _Stacked(self.cells, embeddings)

    @property
    def reference(self) -> _Stacked:
        """The reference set's rows: those of the cells, or all of a set that has none."""
        return self.stacked(self.embeddings) if self.pool is None else _Stacked(tuple(self.pool), self.pool)

    def why_missing(self, label: str, embeddings: Mapping[CellKey, np.ndarray]) -> str:
        """Why a variant has no distance to the set; empty if it has one."""
        if label == self.row:
            return "is the reference set"
        if not self.embeddings and self.pool is None:
            return self.missing
        if len(self.cells) < 2 or any(cell not in embeddings for cell in self.cells):
            return "too few cells"
        return ""


@dataclass(frozen=True)
class SetScores:
    """The numbers of one reference set.

    Attributes:
        scores: by variant and column.
        left: by column and variant, the number with and without each identity.
        floor: of the reference set, by the first metric that has one.
    """

    scores: dict[str, dict[str, Score]]
    left: dict[str, dict[str, Left]]
    floor: ReferenceFloor | None


def set_scores(data: ReportData, reference: str) -> SetScores:
    """Distances of every variant to a reference set.

    Raises:
        MetricError: an embedding is NaN or infinite.
    """
    scores: dict[str, dict[str, Score]] = {variant.label: {} for variant in data.variants}
    left: dict[str, dict[str, Left]] = {}
    floor: ReferenceFloor | None = None
    for metric in load_set_metrics(data.metrics):
        columns = [column for column in metric.columns if column.reference == reference]
        if not columns:
            continue
        sets = _sets(data, reference, metric)
        for variant in data.variants:
            embeddings = data.embeddings.get(variant.label, {})
            if why := sets.why_missing(variant.label, embeddings):
                empty = Score(math.nan, 0, sets.planned, 0, sets.signature.having(n=0), note=why)
                scores[variant.label] |= dict.fromkeys((column.name for column in columns), empty)
            else:
                scores[variant.label] |= _distances(sets, embeddings, columns)
                for name, without in _without_each(sets, embeddings, columns).items():
                    value = scores[variant.label][name].value
                    left.setdefault(name, {})[variant.label] = Left(value, without, len(sets.cells))
        floor = floor or _retaken(data, sets, scores, columns[0]) or _floor(sets)
    return SetScores(scores, left, floor)


def _without_each(
    sets: _Sets, embeddings: Mapping[CellKey, np.ndarray], columns: Sequence[Column]
) -> dict[str, dict[str, float]]:
    """Each column's number without the videos of one identity after the other; none where one is not known."""
    people = sorted({cell.identity for cell in sets.cells})
    if NOBODY in people or len(people) < 2:
        return {}
    found: dict[str, dict[str, float]] = {column.name: {} for column in columns}
    for person in people:
        rest = replace(sets, cells=tuple(cell for cell in sets.cells if cell.identity != person))
        if len(rest.cells) < 2:
            return {}
        paired = [cell.identity for cell in rest.cells] if sets.pool is None else None
        numbers = sets.metric.compare(rest.stacked(embeddings), rest.reference, paired)
        for column in columns:
            found[column.name][person] = numbers[column.of or column.name].value
    return found


def _sets(data: ReportData, reference: str, kind: type[SetMetric]) -> _Sets:
    row, name, pool = "", reference, None
    embeddings: Mapping[CellKey, np.ndarray] = {}
    for given in data.reference_sets:
        if given.name == reference:
            embeddings = given.embeddings
        elif reference == "rendered" and given.pool is not None:
            name, pool = given.name, given.pool
    for variant in data.variants:
        if pool is None and variant.role == REFERENCES[reference] and data.embeddings.get(variant.label):
            row, embeddings = variant.label, data.embeddings[variant.label]
            break
    cells = data.shared_cells(
        data.embeddings.get(variant.label, {}).keys() & (embeddings.keys() if pool is None else set(data.cells))
        for variant in data.variants
    )
    metric = kind(name)  # type: ignore[call-arg]  # its one field is the set's name
    signature = metric.signature(data.evaluators)
    signature = signature.having(frames=data.frames_fact(signature.evaluators))
    if pool is not None:
        signature = signature.having(sets="cells of all methods", n_reference=len(pool))
    asked = reference == "rendered" and data.expected is not None
    missing = "no --reference" if asked else f"no reference set {name!r}"
    return _Sets(name, row, embeddings, cells, pool, missing, len(data.cells), metric, signature)


def _distances(sets: _Sets, embeddings: Mapping[CellKey, np.ndarray], columns: Sequence[Column]) -> dict[str, Score]:
    people = [cell.identity for cell in sets.cells]
    rests_on = (len(sets.cells), sets.planned, len(set(people) - {NOBODY}), sets.signature.having(n=len(sets.cells)))
    paired = people if sets.pool is None else None
    found = sets.metric.compare(sets.stacked(embeddings), sets.reference, paired)
    scores = {}
    for column in columns:
        number = found[column.of or column.name]
        known = bool(number.without) and NOBODY not in people
        interval = jackknife_interval(number.value, np.array(number.without)) if known else None
        scores[column.name] = Score(number.value, *rests_on, interval=interval, terms=number.terms or None)
    return scores


def _retaken(
    data: ReportData, sets: _Sets, scores: Mapping[str, Mapping[str, Score]], column: Column
) -> ReferenceFloor | None:
    """The distance of the ceiling's retake from the ceiling; None where the set is another, or there is no retake."""
    if sets.name != "rendered" or sets.pool is not None:
        return None
    for variant in data.variants:
        score = scores[variant.label].get(column.name)
        if variant.role == "retake" and score is not None and not math.isnan(score.value):
            return ReferenceFloor(score.value, score.n, sets.reference.shape[1], variant.label)
    return None


def _floor(sets: _Sets) -> ReferenceFloor | None:
    rows = sets.reference
    videos, width = rows.shape
    if videos < _FEWEST_FOR_FLOOR:
        return None
    value = sets.metric.floor(rows, report_rng("floor", sets.name))
    return None if math.isnan(value) else ReferenceFloor(value, videos, width)
