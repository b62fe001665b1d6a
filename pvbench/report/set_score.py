"""FVD and KVD of every method to a reference set, over the cells that all of them and the set have."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from pvbench.metrics import Fvd, Signature
from pvbench.metrics.fvd import kernel_distance, reference_floor
from pvbench.report.comparison import report_rng
from pvbench.report.data import CellKey, ReportData
from pvbench.report.score import ReferenceFloor, Score
from pvbench.stats import Interval, jackknife_interval

REFERENCE_METHODS = {"rendered": "oracle", "base": "base"}
"""Which method's videos a reference set is."""

SETS = {"rendered": ("fvd", "kvd"), "base": ("fvd_base",)}
"""Which columns measure the distance to which reference set."""

_FEWEST_FOR_FLOOR = 4


@dataclass(frozen=True)
class _Sets:
    """One reference set, and the cells over which every method is compared with it."""

    name: str
    row: str
    """The label of the variant whose videos it is; empty where it is no row."""
    embeddings: Mapping[CellKey, np.ndarray]
    cells: tuple[CellKey, ...]
    pool: np.ndarray | None
    """Embeddings of a set that has no cells in common with the report."""
    planned: int
    signature: Signature

    def stacked(self, embeddings: Mapping[CellKey, np.ndarray]) -> Float[np.ndarray, "cells width"]:
        return np.stack([embeddings[cell] for cell in self.cells]).astype(np.float64)

    def why_missing(self, label: str, embeddings: Mapping[CellKey, np.ndarray]) -> str:
        """Why a variant has no distance to the set; empty if it has one."""
        if label == self.row:
            return "is the reference set"
        if not self.embeddings and self.pool is None:
            return f"no reference set {self.name!r}"
        if len(self.cells) < 2 or any(cell not in embeddings for cell in self.cells):
            return "too few cells"
        return ""


def set_scores(data: ReportData, reference: str) -> tuple[dict[str, dict[str, Score]], ReferenceFloor | None]:
    """Scores by variant and column, and the floor of the reference set; None with fewer than four cells.

    Raises:
        MetricError: an embedding is NaN or infinite.
    """
    sets = _sets(data, reference)
    scores: dict[str, dict[str, Score]] = {}
    for variant in data.variants:
        embeddings = data.embeddings.get(variant.label, {})
        if why := sets.why_missing(variant.label, embeddings):
            empty = Score(math.nan, 0, sets.planned, 0, sets.signature.having(n=0), note=why)
            scores[variant.label] = dict.fromkeys(SETS[reference], empty)
        else:
            of_variant = _distances(sets, embeddings)
            scores[variant.label] = {name: of_variant[name.removesuffix("_base")] for name in SETS[reference]}
    return scores, _floor(sets)


def _sets(data: ReportData, reference: str) -> _Sets:
    row, name, pool, embeddings = "", reference, None, {}
    for given in data.reference_sets:
        if given.name == reference:
            embeddings = dict(given.embeddings)
        elif reference == "rendered" and given.pool is not None:
            name, pool = given.name, given.pool
    for variant in data.variants:
        if pool is None and variant.method == REFERENCE_METHODS[reference] and data.embeddings.get(variant.label):
            row, embeddings = variant.label, dict(data.embeddings[variant.label])
            break
    cells = data.shared_cells(
        data.embeddings.get(variant.label, {}).keys() & (embeddings.keys() if pool is None else set(data.cells))
        for variant in data.variants
    )
    signature = Fvd(name).signature(data.extractors).having(frames=data.frames_fact)
    if pool is not None:
        signature = signature.having(sets="cells of all methods", n_reference=len(pool))
    return _Sets(name, row, embeddings, cells, pool, len(data.cells), signature)


def _distances(sets: _Sets, embeddings: Mapping[CellKey, np.ndarray]) -> dict[str, Score]:
    fvd = Fvd(sets.name)
    videos = sets.stacked(embeddings)
    if sets.pool is not None:
        return _distances_to_pool(sets, fvd, videos)
    reference = sets.stacked(sets.embeddings)
    distance, terms = fvd.distance(videos, reference), fvd.kernel(videos, reference)
    people = [cell.identity for cell in sets.cells]
    rests_on = (len(sets.cells), sets.planned, len(set(people)), sets.signature.having(n=len(sets.cells)))
    return {
        "fvd": Score(
            distance.value,
            *rests_on,
            terms={"mean": distance.mean_term, "covariance": distance.covariance_term},
        ),
        "kvd": Score(kernel_distance(terms), *rests_on, interval=_kernel_interval(terms, people)),
    }


def _distances_to_pool(sets: _Sets, fvd: Fvd, videos: Float[np.ndarray, "cells width"]) -> dict[str, Score]:
    assert sets.pool is not None
    distance = fvd.distance_to_pool(videos, sets.pool)
    people = {cell.identity for cell in sets.cells}
    rests_on = (len(sets.cells), sets.planned, len(people), sets.signature.having(n=len(sets.cells)))
    terms = {"mean": distance.mean_term, "covariance": distance.covariance_term}
    return {
        "fvd": Score(distance.value, *rests_on, terms=terms),
        "kvd": Score(fvd.kernel_to_pool(videos, sets.pool), *rests_on),
    }


def _kernel_interval(terms: Float[np.ndarray, "cells cells"], people: Sequence[str]) -> Interval:
    names = np.asarray(people)
    others = [names != person for person in sorted(set(people))]
    left_one_out = np.array([kernel_distance(terms[np.ix_(kept, kept)]) for kept in others])
    return jackknife_interval(kernel_distance(terms), left_one_out)


def _floor(sets: _Sets) -> ReferenceFloor | None:
    rows = sets.pool if sets.pool is not None else sets.stacked(sets.embeddings) if sets.cells else np.empty((0, 0))
    if len(rows) < _FEWEST_FOR_FLOOR:
        return None
    return ReferenceFloor(reference_floor(rows, report_rng("floor", sets.name)), len(rows), rows.shape[1])
