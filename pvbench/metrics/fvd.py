"""FVD: do the videos, as a set, look like real ones? Distance between two sets of video embeddings.

FVD is a number of a set, not of a video, and a biased one: it grows as the set shrinks. At a given size it orders
methods; its level means nothing away from that size. So both sets always have the same size here, there is no
bootstrap (resampling repeats videos, which moves the number), and two companions say how far to trust it:
the kernel distance, unbiased at every size, and the floor, the distance of the reference set's own halves.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from pvbench.metrics.metric import Column, Facts, MetricError, Signed, finite

FLOOR_SPLITS = 20


@dataclass(frozen=True)
class FrechetDistance:
    """The distance between two Gaussians, and what it is made of."""

    mean_term: float
    covariance_term: float

    @property
    def value(self) -> float:
        """The distance itself, never negative."""
        return self.mean_term + self.covariance_term


def frechet_distance(
    videos: Float[np.ndarray, "videos width"], reference: Float[np.ndarray, "reference_videos width"]
) -> FrechetDistance:
    """Fréchet distance of two sets of embeddings, each taken as a Gaussian; NaN with fewer than two in a set.

    Float64 throughout; covariances divide by N-1. The trace of the square root is the nuclear norm of the product of
    the centred sets, so that no matrix root is taken and a set smaller than its width loses no digits.

    Source: Heusel et al. 2017, Unterthiner et al. 2018. Equal to pytorch-fid@b9c1811 and to common_metrics@5f75173
        (styleganv) but for their rounding; content-debiased-fvd@a1e037a divides by N, which gives less at small N.
    """
    if min(len(videos), len(reference)) < 2:
        return FrechetDistance(math.nan, math.nan)
    root_v, root_r = _covariance_root(videos), _covariance_root(reference)
    shared = np.linalg.svd(root_v @ root_r.T, compute_uv=False).sum()
    covariance_term = float((root_v**2).sum() + (root_r**2).sum() - 2.0 * shared)
    mean_term = float(((videos.mean(axis=0) - reference.mean(axis=0)) ** 2).sum())
    return FrechetDistance(mean_term, max(covariance_term, 0.0))


def _covariance_root(rows: Float[np.ndarray, "rows width"]) -> Float[np.ndarray, "rank width"]:
    """A matrix R with R.T @ R the unbiased covariance, of as few rows as that takes."""
    centred = (rows - rows.mean(axis=0)) / math.sqrt(len(rows) - 1)
    if len(rows) <= rows.shape[1]:
        return centred
    triangle: np.ndarray = np.linalg.qr(centred, mode="r")  # type: ignore[assignment]
    return triangle


def kernel_terms(
    videos: Float[np.ndarray, "videos width"], reference: Float[np.ndarray, "videos width"]
) -> Float[np.ndarray, "videos videos"]:
    """What each pair of cells adds to the squared kernel distance of two sets over the same cells.

    The kernel is (x.y / width + 1) cubed. The diagonal is 0: a cell is never compared with itself.

    Source: Bińkowski et al. 2018 (KID); the form for paired sets is lemma 6 of Gretton et al. 2012.
    """
    width = videos.shape[1]
    within = (videos @ videos.T / width + 1.0) ** 3 + (reference @ reference.T / width + 1.0) ** 3
    across = (videos @ reference.T / width + 1.0) ** 3
    terms = within - across - across.T
    np.fill_diagonal(terms, 0.0)
    return terms


def kernel_distance(terms: Float[np.ndarray, "videos videos"]) -> float:
    """The unbiased squared kernel distance (about 0, of either sign, for equal distributions); NaN below two cells."""
    cells = len(terms)
    return float(terms.sum() / (cells * (cells - 1))) if cells > 1 else math.nan


def unpaired_kernel_distance(
    videos: Float[np.ndarray, "videos width"], reference: Float[np.ndarray, "reference_videos width"]
) -> float:
    """The unbiased squared kernel distance of two sets that share no cells; NaN with fewer than two in a set.

    Source: lemma 6 of Gretton et al. 2012, equation 3, with the kernel of `kernel_terms`.
    """
    n, m = len(videos), len(reference)
    if min(n, m) < 2:
        return math.nan
    width = videos.shape[1]
    within_videos = (videos @ videos.T / width + 1.0) ** 3
    within_reference = (reference @ reference.T / width + 1.0) ** 3
    across = (videos @ reference.T / width + 1.0) ** 3
    return float(
        (within_videos.sum() - np.trace(within_videos)) / (n * (n - 1))
        + (within_reference.sum() - np.trace(within_reference)) / (m * (m - 1))
        - 2.0 * across.mean()
    )


def reference_floor(reference: Float[np.ndarray, "videos width"], rng: np.random.Generator) -> float:
    """Mean Fréchet distance between random halves of the reference set; NaN with fewer than four videos.

    What sampling alone gives at half the size, so an upper bound of what it gives at the full size.
    """
    half = len(reference) // 2
    if half < 2:
        return math.nan
    distances = []
    for _ in range(FLOOR_SPLITS):
        order = rng.permutation(len(reference))
        distances.append(frechet_distance(reference[order[:half]], reference[order[half : 2 * half]]).value)
    return float(np.mean(distances))


@dataclass(frozen=True)
class Fvd(Signed):
    """Fréchet video distance to a reference set over the same cells (identity, prompt, seed).

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
        Column("fvd", "FVD", "squared distance", False, limits=(0.0, math.inf), undefined="fewer than two cells"),
        Column("fvd_base", "FVD to base", "squared distance", False, limits=(0.0, math.inf), undefined="as fvd"),
        Column("kvd", "KVD", "squared kernel distance", False, fmt=".4g", undefined="as fvd"),
    )

    def distance(
        self,
        videos: Float[np.ndarray, "videos width"],
        reference: Float[np.ndarray, "reference_videos reference_width"],
    ) -> FrechetDistance:
        """Distance of the videos to the reference's videos of the same cells, in the same order.

        Raises:
            MetricError: the sets differ in size or width, or an embedding is NaN or infinite.
        """
        return frechet_distance(*self._pair(videos, reference))

    def distance_to_pool(
        self, videos: Float[np.ndarray, "videos width"], pool: Float[np.ndarray, "pool_videos width"]
    ) -> FrechetDistance:
        """Distance of the videos to a set of any size that shares no cells with them.

        Raises:
            MetricError: an embedding is NaN or infinite.
        """
        return frechet_distance(finite("video/embedding", videos), finite("video/embedding of the reference", pool))

    def kernel_to_pool(
        self, videos: Float[np.ndarray, "videos width"], pool: Float[np.ndarray, "pool_videos width"]
    ) -> float:
        """The unbiased squared kernel distance to such a set; NaN with fewer than two videos in either."""
        return unpaired_kernel_distance(
            finite("video/embedding", videos), finite("video/embedding of the reference", pool)
        )

    def kernel(
        self,
        videos: Float[np.ndarray, "videos width"],
        reference: Float[np.ndarray, "reference_videos reference_width"],
    ) -> Float[np.ndarray, "videos videos"]:
        """`kernel_terms` of the two sets, checked as `distance` checks them."""
        return kernel_terms(*self._pair(videos, reference))

    def _pair(self, videos: np.ndarray, reference: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if videos.shape != reference.shape:
            raise MetricError(
                f"fvd compares sets over the same cells; it got shapes {videos.shape} and {reference.shape}: "
                "take the cells that both sets have"
            )
        return finite("video/embedding", videos), finite("video/embedding of the reference", reference)
