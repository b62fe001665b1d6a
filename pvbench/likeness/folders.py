"""Folders against each other: which one is most like the person, and what that costs in prompt and motion."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from pvbench.digest import stable_seed
from pvbench.likeness.look import Likeness
from pvbench.likeness.seen import Seen
from pvbench.stats import holm, sign_flip_p, t_interval

SIGNIFICANT = 0.05

Number = Literal["likeness", "motion", "prompt"]
"""What files have and folders are compared by, as `Seen` calls it."""

COSTS: tuple[Number, ...] = ("prompt", "motion")
"""What a likeness may be bought with."""

_LIMITS: dict[Number, tuple[float, float]] = {"likeness": (-1.0, 1.0), "motion": (0.0, math.inf), "prompt": (-1.0, 1.0)}


@dataclass(frozen=True)
class Mean:
    """The mean over a folder's files, and Student's 95 % interval for it; NaN ends below two files, NaN without any."""

    value: float
    low: float
    high: float

    def in_words(self) -> dict[str, float | None]:
        """For a program; NaN is None."""
        ends = {"mean": self.value, "low": self.low, "high": self.high}
        return {name: None if math.isnan(value) else round(value, 6) for name, value in ends.items()}


@dataclass(frozen=True)
class Point:
    """One folder of a curve.

    Attributes:
        files: how many were looked at.
        means: by number, in the units of `Seen`.
    """

    folder: str
    files: int
    means: dict[Number, Mean]


@dataclass(frozen=True)
class Cost:
    """What the folder that is most like the person lacks against another.

    Attributes:
        against: the folder that has most more of it, of those of which that is significant.
        difference: mean over the files that both have, in the units of `Seen`; below 0.
        p: by sign flips, with Holm's correction over the rivals.
    """

    against: str
    difference: float
    p: float


def curve(found: Likeness) -> list[Point]:
    """The folders in their order, each with its means and their intervals over files."""
    return [
        Point(folder, len(seen), {number: _interval(_values(seen, number), _LIMITS[number]) for number in _LIMITS})
        for folder, seen in ((folder, found.of(folder)) for folder in found.folders)
    ]


def best_folder(found: Likeness) -> tuple[str, float, str]:
    """The folder of the highest mean likeness, the p of its lead over the next, and the next; p is NaN for one folder.

    Paired over the names that both have, by sign flips, or, where these are few (`is_paired`), by exchanging files
    between the folders; Holm's correction is over the rivals of the best.
    """
    means = {folder: _mean(_values(found.of(folder), "likeness")) for folder in found.folders}
    order = sorted(means, key=lambda folder: -means[folder])
    if len(order) < 2:
        return order[0], math.nan, ""
    best = order[0]
    p_values = holm([_p(found, "likeness", best, rival) for rival in order[1:]])
    return best, p_values[0], order[1]


def costs(found: Likeness, best: str) -> dict[Number, Cost | None]:
    """Whether a folder has significantly less prompt or motion than another; None where there is no evidence.

    Tested as the lead in likeness is; Holm's correction is over the rivals, within each number. A number that no file
    of the folder has is left out.
    """
    rivals = [folder for folder in found.folders if folder != best]
    answer: dict[Number, Cost | None] = {}
    for number in COSTS:
        if not _values(found.of(best), number) or not rivals:
            continue
        p_values = holm([_p(found, number, best, rival) for rival in rivals])
        lacking = [
            Cost(rival, _difference(found, number, best, rival), p)
            for rival, p in zip(rivals, p_values, strict=True)
            if p < SIGNIFICANT
        ]
        least = min(lacking, key=lambda cost: cost.difference, default=None)
        answer[number] = least if least and least.difference < 0 else None
    return answer


def is_paired(found: Likeness, first: str, second: str, number: Number = "likeness") -> bool:
    """Whether two folders share enough names to be compared file by file: two, and half of the smaller folder's."""
    one, other = (_by_name(found, number, folder) for folder in (first, second))
    return len(set(one) & set(other)) >= max(2, min(len(one), len(other)) / 2)


def _p(found: Likeness, number: Number, first: str, second: str) -> float:
    rng = np.random.default_rng(stable_seed(number, first, second))
    if is_paired(found, first, second, number):
        return sign_flip_p(_differences(found, number, first, second), rng)
    one, other = (list(_by_name(found, number, folder).values()) for folder in (first, second))
    if len(one) < 2 or len(other) < 2:
        return 1.0
    from scipy.stats import permutation_test

    def lead(a: np.ndarray, b: np.ndarray, axis: int) -> np.ndarray:
        return np.asarray(a.mean(axis=axis) - b.mean(axis=axis))

    return float(permutation_test((one, other), lead, vectorized=True, rng=rng).pvalue)


def _difference(found: Likeness, number: Number, first: str, second: str) -> float:
    if is_paired(found, first, second, number):
        return float(_differences(found, number, first, second).mean())
    return _mean(_values(found.of(first), number)) - _mean(_values(found.of(second), number))


def _differences(found: Likeness, number: Number, first: str, second: str) -> np.ndarray:
    """Of the files of one name in both folders that have the number."""
    one, other = (_by_name(found, number, folder) for folder in (first, second))
    return np.array([one[name] - other[name] for name in one if name in other])


def _by_name(found: Likeness, number: Number, folder: str) -> dict[str, float]:
    """A number of the files of a folder that have it."""
    values = {_stem(one.name): float(getattr(one, number)) for one in found.of(folder)}
    return {name: value for name, value in values.items() if not math.isnan(value)}


def _stem(name: str) -> str:
    """A file's name without its ending, and without the key that a run's own videos have."""
    return re.sub(r"-[0-9a-f]{12}$", "", Path(name).stem)


def _values(seen: Sequence[Seen], number: Number) -> list[float]:
    values = [float(getattr(one, number)) for one in seen]
    return [value for value in values if not math.isnan(value)]


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else -1.0


def _interval(values: Sequence[float], limits: tuple[float, float]) -> Mean:
    if not values:
        return Mean(math.nan, math.nan, math.nan)
    found = t_interval(np.array(values), [str(place) for place in range(len(values))]).within(limits)
    return Mean(float(np.mean(values)), found.low, found.high)
