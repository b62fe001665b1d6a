"""FVD: do the videos, as a set, look like real ones? Distance between two sets of video embeddings.

FVD is a number of a set, not of a video, and a biased one: it grows as the set shrinks. At a given size it orders
methods; its level means nothing away from that size. So both sets always have the same size here, there is no
bootstrap (resampling repeats videos, which moves the number), and two companions say how far to trust it:
the kernel distance, unbiased at every size, and the floor, the distance of the reference set's own halves.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from pvbench.metrics.metric import Column, Facts, MetricError, Rows, SetMetric, SetNumber, finite

FLOOR_SPLITS = 20
CHUNK = 512
"""Rows that are looked at together: memory depends on this and on the width, not on the number of videos."""


def _chunks(rows: Rows) -> Iterator[tuple[slice, Float[np.ndarray, "some width"]]]:
    """All rows, in float64, some at a time, and which they are.

    Raises:
        MetricError: one is NaN or infinite.
    """
    for start in range(0, rows.shape[0], CHUNK):
        part = slice(start, min(start + CHUNK, rows.shape[0]))
        yield part, finite("video/embedding", rows[part])


@dataclass(frozen=True)
class FrechetDistance:
    """The distance between two Gaussians, and what it is made of."""

    mean_term: float
    covariance_term: float

    @property
    def value(self) -> float:
        """The distance itself, never negative."""
        return self.mean_term + self.covariance_term


class Gaussian:
    """Mean and covariance of embeddings that come some at a time; no more of them is kept than their width.

    The covariance is kept as a matrix R with R.T @ R the sum of squares around the mean, which QR keeps triangular: so
    no digits are lost, whatever the mean. The order in which rows come moves the last digits alone.

    Source: Chan, Golub and LeVeque 1979 for the mean of two parts.
    """

    def __init__(self) -> None:
        self.count = 0
        self.mean = np.zeros(0)
        self._root = np.zeros((0, 0))

    @classmethod
    def of(cls, rows: Rows) -> "Gaussian":
        """That of all rows."""
        made = cls()
        for _, part in _chunks(rows):
            made.add(part)
        return made

    def add(self, rows: Float[np.ndarray, "some width"]) -> None:
        """Takes more rows, in float64."""
        count, mean = len(rows), rows.mean(axis=0)
        centred = rows - mean
        if self.count == 0:
            self.count, self.mean, self._root = count, mean, centred
        else:
            between = math.sqrt(self.count * count / (self.count + count)) * (mean - self.mean)
            self._root = np.concatenate([self._root, centred, between[np.newaxis]])
            self.count += count
            self.mean = self.mean + (mean - self.mean) * (count / self.count)
        if len(self._root) > rows.shape[1]:
            self._root = np.linalg.qr(self._root, mode="r")  # type: ignore[assignment]

    @property
    def covariance_root(self) -> Float[np.ndarray, "rank width"]:
        """A matrix R with R.T @ R the unbiased covariance, of as few rows as that takes."""
        return self._root / math.sqrt(self.count - 1)


def frechet_distance(videos: Rows, reference: Rows) -> FrechetDistance:
    """Fréchet distance of two sets of embeddings, each taken as a Gaussian; NaN with fewer than two in a set.

    Float64 throughout; covariances divide by N-1. The trace of the square root is the nuclear norm of the product of
    the centred sets, so that no matrix root is taken and a set smaller than its width loses no digits.

    Source: Heusel et al. 2017, Unterthiner et al. 2018. Equal to pytorch-fid@b9c1811 and to common_metrics@5f75173
        (styleganv) but for their rounding; content-debiased-fvd@a1e037a divides by N, which gives less at small N.
    """
    return distance_between(Gaussian.of(videos), Gaussian.of(reference))


def distance_between(one: Gaussian, other: Gaussian) -> FrechetDistance:
    """Fréchet distance of two Gaussians; NaN where one has fewer than two rows."""
    if min(one.count, other.count) < 2:
        return FrechetDistance(math.nan, math.nan)
    root, other_root = one.covariance_root, other.covariance_root
    shared = np.linalg.svd(root @ other_root.T, compute_uv=False).sum()
    covariance_term = float((root**2).sum() + (other_root**2).sum() - 2.0 * shared)
    return FrechetDistance(float(((one.mean - other.mean) ** 2).sum()), max(covariance_term, 0.0))


def _kernel(rows: np.ndarray, others: np.ndarray) -> Float[np.ndarray, "rows others"]:
    """(x.y / width + 1) cubed, of each row with each other.

    Source: Bińkowski et al. 2018 (KID).
    """
    kernel: np.ndarray = (rows @ others.T / rows.shape[1] + 1.0) ** 3
    return kernel


@dataclass(frozen=True)
class KernelSums:
    """What the pairs of cells add to the squared kernel distance of two sets over the same cells.

    Attributes:
        sums: (groups, groups), over pairs of cells with one in each group; no cell is paired with itself.
        counts: (groups,), cells of each group.
    """

    sums: np.ndarray
    counts: np.ndarray

    def distance(self, without: int | None = None) -> float:
        """The unbiased squared kernel distance of all groups, or of all but one; NaN below two cells.

        It is about 0, of either sign, for equal distributions.
        """
        kept = np.arange(len(self.counts)) != (-1 if without is None else without)
        cells = int(self.counts[kept].sum())
        return float(self.sums[np.ix_(kept, kept)].sum() / (cells * (cells - 1))) if cells > 1 else math.nan


def kernel_sums(videos: Rows, reference: Rows, groups: Sequence[str] | None = None) -> KernelSums:
    """`KernelSums` of two sets over the same cells, whose groups are in the order of their names.

    Args:
        groups: of each cell, such as its person; all of one group by default.

    Source: lemma 6 of Gretton et al. 2012, for paired sets.
    """
    cells = videos.shape[0]
    names, codes = np.unique(np.asarray(groups if groups is not None else [""] * cells), return_inverse=True)
    member = np.eye(len(names))[codes]
    sums = np.zeros((len(names), len(names)))
    for part, x in _chunks(videos):
        y = finite("video/embedding", reference[part])
        for other, u in _chunks(videos):
            if other.start < part.start:
                continue
            v = finite("video/embedding", reference[other])
            terms = _kernel(x, u) + _kernel(y, v) - _kernel(x, v) - _kernel(y, u)
            if other == part:
                np.fill_diagonal(terms, 0.0)
            block = member[part].T @ terms @ member[other]
            sums += block if other == part else block + block.T
    return KernelSums(sums, member.sum(axis=0))


def unpaired_kernel_distance(videos: Rows, reference: Rows) -> float:
    """The unbiased squared kernel distance of two sets that share no cells; NaN with fewer than two in a set.

    Source: equation 3 of lemma 6 of Gretton et al. 2012.
    """
    n, m = videos.shape[0], reference.shape[0]
    if min(n, m) < 2:
        return math.nan
    across = sum(float(_kernel(x, y).sum()) for _, x in _chunks(videos) for _, y in _chunks(reference))
    return _within(videos) / (n * (n - 1)) + _within(reference) / (m * (m - 1)) - 2.0 * across / (n * m)


def _within(rows: Rows) -> float:
    """The kernel's sum over the ordered pairs of a set, none with itself."""
    total = 0.0
    for part, x in _chunks(rows):
        for other, y in _chunks(rows):
            kernel = _kernel(x, y)
            total += float(kernel.sum() - (np.trace(kernel) if other == part else 0.0))
    return total


def reference_floor(reference: Rows, rng: np.random.Generator) -> float:
    """Mean Fréchet distance between random halves of the reference set; NaN with fewer than four videos.

    What sampling alone gives at half the size, so an upper bound of what it gives at the full size.
    """
    videos = reference.shape[0]
    half = videos // 2
    if half < 2:
        return math.nan
    sides = np.full((FLOOR_SPLITS, videos), -1)
    for of_split in sides:
        order = rng.permutation(videos)
        of_split[order[:half]], of_split[order[half : 2 * half]] = 0, 1
    pairs = [(Gaussian(), Gaussian()) for _ in range(FLOOR_SPLITS)]
    for part, rows in _chunks(reference):
        for of_split, pair in zip(sides, pairs, strict=True):
            for side, gaussian in enumerate(pair):
                if (taken := of_split[part] == side).any():
                    gaussian.add(rows[taken])
    return float(np.mean([distance_between(*pair).value for pair in pairs]))


@dataclass(frozen=True)
class Fvd(SetMetric):
    """Fréchet video distance and kernel video distance to a reference set.

    Over the same cells (identity, prompt, seed) where the set has them.

    `reference` names the set in the signature: ``rendered`` for the true people as the renderer draws them, ``base``
    for the untuned model's videos.
    """

    reference: str = "rendered"

    name: ClassVar[str] = "fvd"
    version: ClassVar[int] = 1
    needs: ClassVar[tuple[str, ...]] = ("video/embedding",)
    parts: ClassVar[tuple[str, ...]] = ("video",)
    rule: ClassVar[Facts] = {"covariance": "N-1", "sets": "same cells"}
    columns: ClassVar[tuple[Column, ...]] = (
        Column("fvd", "FVD", "squared distance", False, limits=(0.0, math.inf), undefined="fewer than two cells",
               group="main", reference="rendered"),
        Column("fvd_base", "FVD to base", "squared distance", False, limits=(0.0, math.inf), undefined="as fvd",
               group="beside", reference="base", of="fvd",
               note="FVD to base is the distance to the untuned model's videos: how far tuning moved them."),
        Column("kvd", "KVD", "squared kernel distance", False, fmt=".4g", undefined="as fvd", group="beside",
               reference="rendered",
               note="KVD is the unbiased kernel distance to the set that FVD refers to, about 0 for equal "
                    "distributions at any number of videos."),
    )  # fmt: skip
    trap: ClassVar[str] = "FVD grows as the set shrinks, and the likeness of single faces hardly moves it."

    def compare(self, videos: Rows, reference: Rows, people: Sequence[str] | None) -> Mapping[str, SetNumber]:
        """`fvd` with its terms for means and covariances, and `kvd` with its values without each person."""
        if people is None:
            distance, kernel = frechet_distance(videos, reference), unpaired_kernel_distance(videos, reference)
            of_kernel = SetNumber(kernel)
        else:
            distance, sums = self.distance(videos, reference), self.kernel(videos, reference, people)
            without = tuple(sums.distance(without=group) for group in range(len(sums.counts)))
            of_kernel = SetNumber(sums.distance(), without=without)
        terms = {"mean": distance.mean_term, "covariance": distance.covariance_term}
        return {"fvd": SetNumber(distance.value, terms), "kvd": of_kernel}

    def floor(self, reference: Rows, rng: np.random.Generator) -> float:
        """`reference_floor` of the set."""
        return reference_floor(reference, rng)

    def distance(self, videos: Rows, reference: Rows) -> FrechetDistance:
        """Distance of the videos to the reference's videos of the same cells, in the same order.

        Raises:
            MetricError: the sets differ in size or width, or an embedding is NaN or infinite.
        """
        self._check(videos, reference)
        return frechet_distance(videos, reference)

    def kernel(self, videos: Rows, reference: Rows, groups: Sequence[str] | None = None) -> KernelSums:
        """`kernel_sums` of the two sets, checked as `distance` checks them."""
        self._check(videos, reference)
        return kernel_sums(videos, reference, groups)

    def _check(self, videos: Rows, reference: Rows) -> None:
        if videos.shape != reference.shape:
            raise MetricError(
                f"fvd compares sets over the same cells; it got shapes {videos.shape} and {reference.shape}: "
                "take the cells that both sets have"
            )
