"""Intervals and tests whose unit is the identity.

Videos of one person resemble each other, so a benchmark of 20 people with 50 videos each has 20 independent
observations, not 1000. Everything here resamples, flips or leaves out whole identities.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float
from scipy.stats import t as student

from pvbench.identity import NOBODY

EXACT_FLIPS = 2**16
"""Sign patterns that are enumerated; beyond, as many are drawn at random."""

RESAMPLES = 10_000


@dataclass(frozen=True)
class Interval:
    """An interval for a mean, at a confidence level such as 0.95; NaN ends where the data allow none."""

    low: float
    high: float
    level: float
    kind: Literal["cluster bootstrap", "t over identities", "jackknife over identities"]

    def within(self, limits: tuple[float, float]) -> "Interval":
        """The part of the interval that the quantity can reach at all."""
        low, high = (min(max(end, limits[0]), limits[1]) for end in (self.low, self.high))
        return Interval(low, high, self.level, self.kind)


def _sums_and_counts(
    values: Float[np.ndarray, "videos"], identities: Sequence[str]
) -> tuple[Float[np.ndarray, "identities"], Float[np.ndarray, "identities"]]:
    if len(values) != len(identities):
        raise ValueError(f"{len(values)} values for {len(identities)} identities; one identity a value is expected")
    if not np.isfinite(values).all():
        raise ValueError("values are NaN or infinite; leave undefined videos out first")
    _, index = np.unique(np.asarray(identities, dtype=str), return_inverse=True)
    counts = np.bincount(index).astype(float)
    return np.bincount(index, weights=values, minlength=counts.size), counts


def t_interval(values: Float[np.ndarray, "videos"], identities: Sequence[str], level: float = 0.95) -> Interval:
    """Student's interval for the mean over videos, with the identities as observations; NaN ends below two.

    NaN ends, too, where it is not known of every video whom it shows: any two may show one person.

    With equally many videos an identity it is the usual interval of the identities' means. With unequal numbers (a
    failed cell) it is the interval of the ratio of sums, linearised.

    Source: Cochran, Sampling Techniques, section 2.11.
    """
    sums, counts = _sums_and_counts(values, identities)
    if sums.size < 2 or NOBODY in identities:
        return Interval(math.nan, math.nan, level, "t over identities")
    mean = sums.sum() / counts.sum()
    residuals = (sums - mean * counts) / counts.mean()
    half = student.ppf(0.5 + level / 2, sums.size - 1) * residuals.std(ddof=1) / math.sqrt(sums.size)
    return Interval(float(mean - half), float(mean + half), level, "t over identities")


def cluster_bootstrap(
    values: Float[np.ndarray, "videos"],
    identities: Sequence[str],
    rng: np.random.Generator,
    level: float = 0.95,
    resamples: int = RESAMPLES,
) -> Interval:
    """Percentile interval for the mean over videos, whole identities drawn with replacement; NaN ends below two.

    Too narrow with few identities: of normal data it covers the mean in 83 % of cases with 4 identities, 90 % with 8
    and 92 % with 20 where it should in 95 %. So tables print the t interval.
    """
    sums, counts = _sums_and_counts(values, identities)
    if sums.size < 2 or NOBODY in identities:
        return Interval(math.nan, math.nan, level, "cluster bootstrap")
    drawn = rng.integers(sums.size, size=(resamples, sums.size))
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    low, high = np.quantile(means, [0.5 - level / 2, 0.5 + level / 2])
    return Interval(float(low), float(high), level, "cluster bootstrap")


def jackknife_interval(value: float, left_one_out: Float[np.ndarray, "identities"], level: float = 0.95) -> Interval:
    """Interval from the values got by leaving out one identity at a time; NaN ends below two.

    For smooth numbers of a set that resampling would bias, since it never repeats a video.

    Source: Efron and Stein 1981; Student's quantile with one degree of freedom less than identities.
    """
    n = left_one_out.size
    if n < 2 or not np.isfinite(left_one_out).all():
        return Interval(math.nan, math.nan, level, "jackknife over identities")
    error = math.sqrt((n - 1) / n * ((left_one_out - left_one_out.mean()) ** 2).sum())
    half = student.ppf(0.5 + level / 2, n - 1) * error
    return Interval(float(value - half), float(value + half), level, "jackknife over identities")


def sign_flip_p(differences: Float[np.ndarray, "identities"], rng: np.random.Generator) -> float:
    """Two-sided p of "no difference": how often flipping identities' signs gives as large a mean difference.

    Exact up to 16 identities; beyond, from random patterns with the observed one counted. No identity gives 1.

    Source: Fisher's randomisation test for paired samples; (b+1)/(m+1) after Phipson and Smyth 2010.
    """
    if not np.isfinite(differences).all():
        raise ValueError("differences are NaN or infinite; leave undefined identities out first")
    n = differences.size
    observed = abs(differences.sum())
    # Sums that differ only in the order of addition must count as equal.
    as_large = observed - 1e-9 * np.abs(differences).sum()
    if 2**n <= EXACT_FLIPS:
        patterns = (np.arange(2**n)[:, np.newaxis] >> np.arange(n)) & 1
        return float(np.mean(np.abs((1.0 - 2.0 * patterns) @ differences) >= as_large))
    flips = rng.choice([-1.0, 1.0], size=(EXACT_FLIPS, n))
    hits = int((np.abs(flips @ differences) >= as_large).sum())
    return (hits + 1) / (EXACT_FLIPS + 1)


def smallest_sign_flip_p(identities: int) -> float:
    """The smallest p that `sign_flip_p` can give: 0.125 with four identities, 0.0078 with eight."""
    return min(1.0, 2.0 / 2**identities) if 2**identities <= EXACT_FLIPS else 1.0 / (EXACT_FLIPS + 1)


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """The p values after Holm's correction for making all these tests, in the order given.

    Source: Holm 1979.
    """
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return tuple(adjusted)
