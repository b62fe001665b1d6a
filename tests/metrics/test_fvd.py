"""Fréchet and kernel distances: closed forms, properties, small sets, and the public implementations' values."""

import json
import math

import numpy as np
import pytest
from pytest import approx

from pvbench.metrics import MetricError
from pvbench.metrics import fvd as module
from pvbench.metrics.fvd import (
    Fvd,
    Gaussian,
    frechet_distance,
    kernel_sums,
    reference_floor,
    unpaired_kernel_distance,
)


def normal(n: int, width: int, seed: int, shift: float = 0.0, scale: float = 1.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, width)) * scale + shift


def test_one_dimension_worked_by_hand():
    # Means 1 and 4; unbiased variances 2 and 8: (1 - 4)^2 + (sqrt 2 - sqrt 8)^2 = 9 + 2.
    distance = frechet_distance(np.array([[0.0], [2.0]]), np.array([[2.0], [6.0]]))
    assert distance.mean_term == approx(9)
    assert distance.covariance_term == approx(2)
    assert distance.value == approx(11)


def test_diagonal_gaussians_worked_by_hand():
    # Axis-aligned points: variances (2/3 a^2, 2/3 b^2) along each axis, no covariance.
    def cross(a: float, b: float) -> np.ndarray:
        return np.array([[a, 0], [-a, 0], [0, b], [0, -b]], dtype=float)

    expected = (2 / 3) * ((1 - 3) ** 2 + (2 - 5) ** 2)
    assert frechet_distance(cross(1, 2), cross(3, 5)).value == approx(expected)


def test_identical_sets_are_at_distance_zero():
    for n in (2, 10, 300):
        rows = normal(n, 40, seed=n)
        assert frechet_distance(rows, rows).value == approx(0, abs=1e-10)
        assert frechet_distance(rows, rows).value >= 0


def test_the_distance_is_symmetric_and_ignores_the_order_of_videos():
    a, b = normal(30, 12, 0), normal(30, 12, 1, shift=0.5)
    assert frechet_distance(b, a).value == approx(frechet_distance(a, b).value, rel=1e-12)
    assert frechet_distance(a[::-1], b).value == approx(frechet_distance(a, b).value, rel=1e-12)


def test_a_shift_of_all_videos_moves_the_mean_term_alone():
    a = normal(20, 8, 0)
    distance = frechet_distance(a, a + np.array([3.0, 4.0, 0, 0, 0, 0, 0, 0]))
    assert distance.mean_term == approx(25)
    assert distance.covariance_term == approx(0, abs=1e-10)


def test_a_rotation_of_both_sets_changes_nothing():
    a, b = normal(25, 6, 0), normal(25, 6, 1, scale=2)
    rotation, _ = np.linalg.qr(normal(6, 6, 2))
    assert frechet_distance(a @ rotation, b @ rotation).value == approx(frechet_distance(a, b).value)


def test_the_general_form_agrees_with_the_eigenvalues_of_the_product():
    for n in (10, 200):  # below and above the width
        a, b = normal(n, 24, 0), normal(n, 24, 1, scale=1.5)
        cov_a, cov_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
        eigenvalues = np.linalg.eigvals(cov_a @ cov_b).real
        root = np.sqrt(np.clip(eigenvalues, 0, None)).sum()
        expected = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(cov_a + cov_b) - 2 * root
        # The eigenvalues that are zero come out as about 1e-15, whose roots are 3e-8 each.
        assert frechet_distance(a, b).value == approx(expected, abs=1e-5)


def test_a_single_video_has_no_distance():
    assert math.isnan(frechet_distance(normal(1, 4, 0), normal(5, 4, 1)).value)
    assert math.isnan(Fvd().distance(normal(1, 4, 0), normal(1, 4, 1)).value)
    assert math.isnan(kernel_sums(normal(1, 4, 0), normal(1, 4, 1)).distance())


def test_fvd_of_small_sets_is_biased_upwards_and_the_kernel_distance_is_not():
    sizes, draws, width = (20, 40, 80), 60, 32
    means, kernels = [], []
    for n in sizes:
        pairs = [(normal(n, width, 1000 * n + i), normal(n, width, 2000 * n + i)) for i in range(draws)]
        means.append(np.mean([frechet_distance(a, b).value for a, b in pairs]))
        distances = np.array([kernel_sums(a, b).distance() for a, b in pairs])
        # Equal distributions: within three standard errors of zero at every size.
        assert abs(distances.mean()) < 3 * distances.std(ddof=1) / math.sqrt(draws)
        kernels.append(distances.mean())
    assert means[0] > means[1] > means[2] > 1.0


def test_the_kernel_distance_worked_by_hand():
    # Width 1, two cells: kernel (xy + 1)^3. Videos 0 and 1, reference 1 and 2.
    # k(0,1) = 1, k(1,2) = 27, k(0,2) = 1, k(1,1) = 8: 1 + 27 - 1 - 8 = 19 for each order of the pair.
    videos, reference = np.array([[0.0], [1.0]]), np.array([[1.0], [2.0]])
    assert kernel_sums(videos, reference, ["b", "a"]).sums.tolist() == [[0.0, 19.0], [19.0, 0.0]]
    assert kernel_sums(videos, reference).distance() == 19.0
    # Unpaired: 1 + 27 - 2 (k(0,1) + k(0,2) + k(1,1) + k(1,2)) / 4 = 28 - (1 + 1 + 8 + 27) / 2.
    assert unpaired_kernel_distance(videos, reference) == 9.5


def test_the_kernel_distance_of_identical_sets_is_zero_and_grows_with_a_shift():
    a = normal(30, 8, 0)
    assert kernel_sums(a, a).distance() == approx(0, abs=1e-12)
    near, far = (kernel_sums(a + shift, normal(30, 8, 1)).distance() for shift in (0.5, 1.5))
    assert far > near > 0


def test_leaving_a_group_out_is_the_distance_of_the_other_cells():
    a, b = normal(20, 6, 0), normal(20, 6, 1)
    groups = ["x", "y", "z", "y"] * 5
    sums = kernel_sums(a, b, groups)
    kept = np.array([name != "y" for name in groups])
    assert sums.distance(without=1) == approx(kernel_sums(a[kept], b[kept]).distance(), rel=1e-12)
    assert sums.counts.tolist() == [5, 10, 5]


@pytest.mark.parametrize("chunk", [1, 7, 64])
def test_rows_that_come_some_at_a_time_give_the_same_numbers(monkeypatch, chunk):
    a, b = normal(150, 24, 0, shift=3), normal(150, 24, 1, shift=3, scale=1.3)
    groups = [str(cell % 5) for cell in range(150)]

    def numbers():
        sums = kernel_sums(a, b, groups)
        return [
            frechet_distance(a, b).value,
            frechet_distance(a[:9], b).value,
            sums.distance(),
            sums.distance(2),
            unpaired_kernel_distance(a[:40], b),
            reference_floor(b, np.random.default_rng(0)),
        ]

    at_once = numbers()
    monkeypatch.setattr(module, "CHUNK", chunk)
    assert numbers() == approx(at_once, rel=1e-9)


def test_no_more_rows_are_kept_than_the_width():
    gaussian, rows = Gaussian(), normal(500, 8, 0, shift=1e6)
    for start in range(0, 500, 50):
        gaussian.add(rows[start : start + 50])
        assert len(gaussian._root) <= 8
    np.testing.assert_allclose(
        gaussian.covariance_root.T @ gaussian.covariance_root, np.cov(rows, rowvar=False), atol=1e-9
    )
    np.testing.assert_allclose(gaussian.mean, rows.mean(axis=0), rtol=1e-12)


def test_the_floor_is_what_independent_sets_of_half_the_size_give():
    floors = [reference_floor(normal(64, 16, seed), np.random.default_rng(0)) for seed in range(20)]
    pairs = [frechet_distance(normal(32, 16, 100 + i), normal(32, 16, 200 + i)).value for i in range(20)]
    # The two means of 20 scatter by about 4 % each.
    assert np.mean(floors) == approx(np.mean(pairs), rel=0.15)


def test_the_floor_is_repeatable_and_needs_two_videos_a_half():
    rows = normal(64, 16, 3)
    assert reference_floor(rows, np.random.default_rng(1)) == reference_floor(rows, np.random.default_rng(1))
    assert math.isnan(reference_floor(rows[:3], np.random.default_rng(1)))


def test_sets_over_other_cells_are_refused():
    with pytest.raises(MetricError, match="the cells that both sets have"):
        Fvd().distance(normal(5, 4, 0), normal(6, 4, 1))
    with pytest.raises(MetricError, match="the cells that both sets have"):
        Fvd().kernel(normal(5, 4, 0), normal(5, 3, 1))


def test_broken_embeddings_are_refused():
    rows = normal(5, 4, 0)
    rows[2, 1] = np.nan
    with pytest.raises(MetricError, match="NaN or infinite"):
        Fvd().distance(rows, normal(5, 4, 1))


def test_the_signature_names_the_reference_set():
    short = Fvd("rendered").signature({"video": {"name": "c3d"}}).short
    assert short.startswith("fvd.v1 | video:c3d@")
    assert short.endswith("covariance:N-1 | sets:same cells | reference:rendered")


def test_float32_embeddings_are_scored_in_float64():
    a, b = normal(200, 16, 0, shift=100).astype(np.float32), normal(200, 16, 1, shift=100).astype(np.float32)
    expected = Fvd().distance(a.astype(np.float64), b.astype(np.float64)).value
    assert Fvd().distance(a, b).value == expected


def test_the_recorded_exact_distances_of_real_video_features_are_reproduced(reference):
    recorded = json.loads((reference / "expected" / "fvd.json").read_text())["fvd"]
    features = np.load(reference / "expected" / "fvd_features.npz")
    real = features["styleganv__real"]
    for name, expected in recorded.items():
        distance = frechet_distance(features[f"styleganv__{name.removesuffix('_vs_real')}"], real)
        # Both are exact but for float64 rounding.
        assert distance.value == approx(expected["exact_float64"], rel=1e-10, abs=1e-9), name
        assert distance.mean_term == approx(expected["mean_term_styleganv"], rel=1e-10, abs=1e-9), name
        # StyleGAN-V's matrix root of a rank-deficient product is off by about 1e-3.
        assert distance.value == approx(expected["styleganv"], abs=3e-3), name


def test_the_recorded_distances_of_gaussians_are_reproduced(reference, reference_script):
    derive_inputs = reference_script("derive_inputs")
    cases = json.loads((reference / "expected" / "frechet_gaussians.json").read_text())["cases"]
    for case, expected in cases.items():
        distance = frechet_distance(*derive_inputs.gaussians(case)).value
        for theirs in ("exact_eigh", "pytorch_fid", "styleganv"):
            # Float64 with another order of operations.
            assert distance == approx(expected[theirs], rel=1e-9), (case, theirs)
        # content-debiased-fvd divides by N, so its covariance part is smaller.
        assert distance > expected["cdfvd"], case
