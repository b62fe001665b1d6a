"""Intervals and tests over identities, against scipy, closed forms and their promised coverage."""

import math

import numpy as np
import pytest
from pytest import approx
from scipy import stats as scipy_stats

from pvbench.stats import (
    EXACT_FLIPS,
    Interval,
    cluster_bootstrap,
    crossed_interval,
    detectable_difference,
    holm,
    jackknife_interval,
    jackknife_p,
    outlying,
    sign_flip_p,
    smallest_sign_flip_p,
    t_interval,
)


def grid(identities: int, videos: int, seed: int = 0) -> tuple[np.ndarray, list[str]]:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(identities, 1)) + 0.5 * rng.normal(size=(identities, videos))
    return values.ravel(), [f"person{i}" for i in range(identities) for _ in range(videos)]


def test_t_interval_of_a_full_grid_is_scipys_interval_of_the_identities_means():
    values, identities = grid(6, 8)
    means = values.reshape(6, 8).mean(axis=1)
    expected = scipy_stats.ttest_1samp(means, 0.0).confidence_interval(0.9)
    interval = t_interval(values, identities, level=0.9)
    assert (interval.low, interval.high) == approx((expected.low, expected.high))
    assert interval.kind == "t over identities"


def test_t_interval_worked_by_hand():
    # Means 1 and 3 of two identities: mean 2, standard error 1, Student's 0.975 quantile at one degree 12.7062.
    interval = t_interval(np.array([1.0, 3.0]), ["a", "b"])
    assert (interval.low, interval.high) == approx((2 - 12.7062047, 2 + 12.7062047))


def test_t_interval_with_a_failed_cell_is_centred_on_the_mean_over_videos():
    values, identities = grid(5, 4)
    interval = t_interval(values[1:], identities[1:])
    assert (interval.low + interval.high) / 2 == approx(values[1:].mean())


def test_t_interval_covers_the_truth_as_often_as_it_says():
    hits = 0
    for seed in range(400):
        values, identities = grid(5, 3, seed)
        interval = t_interval(values, identities)
        hits += interval.low < 0 < interval.high
    # 95 % of 400 with a binomial standard error of 1.1 %.
    assert hits / 400 == approx(0.95, abs=0.04)


def test_more_videos_of_the_same_people_do_not_narrow_the_interval():
    few, identities = grid(5, 2)
    repeated = np.repeat(few, 50)
    wide = t_interval(few, identities)
    same = t_interval(repeated, [name for name in identities for _ in range(50)])
    assert (same.low, same.high) == approx((wide.low, wide.high))


def test_bootstrap_agrees_with_scipys_over_identities_means():
    values, identities = grid(12, 4)
    means = values.reshape(12, 4).mean(axis=1)
    theirs = scipy_stats.bootstrap((means,), np.mean, method="percentile", rng=np.random.default_rng(1))
    ours = cluster_bootstrap(values, identities, np.random.default_rng(2))
    # Two independent sets of 10000 resamples: their ends scatter by about 1 % of the width.
    width = ours.high - ours.low
    assert ours.low == approx(theirs.confidence_interval.low, abs=0.05 * width)
    assert ours.high == approx(theirs.confidence_interval.high, abs=0.05 * width)


def test_bootstrap_is_the_same_for_the_same_generator_and_any_order_of_videos():
    values, identities = grid(4, 5)
    order = np.random.default_rng(3).permutation(values.size)
    first = cluster_bootstrap(values, identities, np.random.default_rng(0))
    second = cluster_bootstrap(values[order], [identities[i] for i in order], np.random.default_rng(0))
    assert (first.low, first.high) == approx((second.low, second.high))


@pytest.mark.parametrize("interval", [t_interval, lambda v, i: cluster_bootstrap(v, i, np.random.default_rng(0))])
def test_one_identity_allows_no_interval(interval):
    result = interval(np.array([1.0, 2.0, 3.0]), ["a", "a", "a"])
    assert math.isnan(result.low)
    assert math.isnan(result.high)


def test_undefined_values_are_refused_rather_than_averaged():
    with pytest.raises(ValueError, match="leave undefined videos out"):
        t_interval(np.array([1.0, math.nan]), ["a", "b"])
    with pytest.raises(ValueError, match="one identity a value"):
        t_interval(np.array([1.0, 2.0]), ["a"])
    with pytest.raises(ValueError, match="leave undefined identities out"):
        sign_flip_p(np.array([1.0, math.nan]), np.random.default_rng(0))


def test_jackknife_of_a_mean_is_the_t_interval():
    values = np.random.default_rng(0).normal(size=7)
    left_one_out = np.array([np.delete(values, i).mean() for i in range(7)])
    expected = scipy_stats.ttest_1samp(values, 0.0).confidence_interval()
    interval = jackknife_interval(values.mean(), left_one_out)
    assert (interval.low, interval.high) == approx((expected.low, expected.high))


def test_jackknife_needs_two_values_that_exist():
    assert math.isnan(jackknife_interval(1.0, np.array([1.0])).low)
    assert math.isnan(jackknife_interval(1.0, np.array([1.0, math.nan])).low)


def test_an_interval_stays_within_what_the_quantity_can_reach():
    interval = Interval(-0.2, 1.3, 0.95, "t over identities").within((0.0, 1.0))
    assert (interval.low, interval.high) == (0.0, 1.0)


@pytest.mark.parametrize("seed", range(5))
def test_sign_flip_is_scipys_exact_permutation_test(seed):
    differences = np.random.default_rng(seed).normal(0.4, 1.0, size=9)
    expected = scipy_stats.permutation_test(
        (differences,), np.sum, permutation_type="samples", n_resamples=np.inf, alternative="two-sided"
    ).pvalue
    assert sign_flip_p(differences, np.random.default_rng(0)) == approx(expected)


def test_sign_flip_worked_by_hand():
    # Of the eight sign patterns of 1, 2, 4 only +++ and --- reach a sum of 7.
    assert sign_flip_p(np.array([1.0, 2.0, 4.0]), np.random.default_rng(0)) == 0.25
    # 1 + 2 - 4 = -1 is reached or exceeded by every pattern.
    assert sign_flip_p(np.array([1.0, 2.0, -4.0]), np.random.default_rng(0)) == 1.0


def test_sums_equal_but_for_rounding_count_as_equal():
    # 0.1 + 0.2 and 0.3 differ in the last bit; all patterns that tie with the observed one must count.
    assert sign_flip_p(np.array([0.1, 0.2, -0.3]), np.random.default_rng(0)) == 1.0


def test_no_difference_at_all_has_p_one():
    assert sign_flip_p(np.zeros(6), np.random.default_rng(0)) == 1.0
    assert sign_flip_p(np.zeros(0), np.random.default_rng(0)) == 1.0


def test_sign_flip_of_many_identities_is_drawn_and_near_the_t_test():
    differences = np.random.default_rng(5).normal(0.35, 1.0, size=40)
    p = sign_flip_p(differences, np.random.default_rng(0))
    # The two tests agree to first order; the draw's own standard error at p about 0.02 is 0.0006.
    assert p == approx(scipy_stats.ttest_1samp(differences, 0.0).pvalue, abs=0.005)


@pytest.mark.parametrize("identities", [1, 2, 4, 8, 16])
def test_the_smallest_p_is_what_unanimous_identities_give(identities):
    p = sign_flip_p(np.ones(identities), np.random.default_rng(0))
    assert p == smallest_sign_flip_p(identities) == 2 / 2**identities


def test_the_smallest_p_of_a_drawn_test_never_reaches_zero():
    assert sign_flip_p(np.ones(50), np.random.default_rng(0)) == smallest_sign_flip_p(50) == 1 / (EXACT_FLIPS + 1)


def test_holm_worked_by_hand():
    # Sorted 0.01 x4, 0.02 x3, 0.03 x2, 0.5 x1: 0.04, 0.06, 0.06, 0.5; none falls below the one before it.
    assert holm([0.03, 0.01, 0.5, 0.02]) == approx((0.06, 0.04, 0.5, 0.06))
    assert holm([0.6, 0.7]) == (1.0, 1.0)
    assert holm([]) == ()


def test_holm_lies_between_no_correction_and_bonferroni():
    p_values = np.random.default_rng(0).uniform(size=12)
    adjusted = np.array(holm(list(p_values)))
    assert (adjusted >= p_values).all()
    assert (adjusted <= np.minimum(1.0, p_values * 12) + 1e-12).all()


def crossed(people, prompts, of_people, of_prompts, noise, seed):
    """Values of a full grid with a mean of zero, and whom and what each shows."""
    rng = np.random.default_rng(seed)
    effects = rng.normal(0, of_people, (people, 1)) + rng.normal(0, of_prompts, (1, prompts))
    values = effects + rng.normal(0, noise, (people, prompts))
    names = [f"person{i}" for i in range(people) for _ in range(prompts)]
    return values.ravel(), names, [f"prompt{i}" for _ in range(people) for i in range(prompts)]


@pytest.mark.parametrize(("people", "prompts", "of_prompts"), [(20, 16, 1.0), (8, 16, 0.5), (20, 16, 0.0)])
def test_the_crossed_interval_covers_the_truth_as_often_as_it_says(people, prompts, of_prompts):
    hits, plain_hits, runs = 0, 0, 400
    for seed in range(runs):
        grid_ = crossed(people, prompts, 1.0, of_prompts, 1.0, seed)
        found, plain = crossed_interval(*grid_), t_interval(*grid_[:2])
        hits += found.low <= 0 <= found.high
        plain_hits += plain.low <= 0 <= plain.high
    assert 0.91 <= hits / runs <= 0.99
    # People alone know nothing of prompts.
    assert plain_hits <= hits


def test_the_crossed_interval_worked_by_hand():
    """Two people, four prompts, no interaction: people's means 2.5 and 4.5, prompts' means 2, 3, 4, 5.

    V(people) = 2/1 * 2 * 4**2 / 8**2 = 1, V(prompts) = 4/3 * 2 * (3**2 + 1**2) / 8**2 = 5/12, rest 0; the degrees of
    freedom are (17/12)**2 / (1 + (5/12)**2 / 3) = 1.897.
    """
    values = np.array([1.0, 2.0, 3.0, 4.0, 3.0, 4.0, 5.0, 6.0])
    found = crossed_interval(values, ["a"] * 4 + ["b"] * 4, ["w", "x", "y", "z"] * 2)
    half = scipy_stats.t.ppf(0.975, (17 / 12) ** 2 / (1 + (5 / 12) ** 2 / 3)) * math.sqrt(17 / 12)
    assert (found.low, found.high) == approx((3.5 - half, 3.5 + half))
    assert found.kind == "t over identities and prompts"


@pytest.mark.parametrize("prompts", [1, 2, 3])
def test_of_few_prompts_nothing_is_known_of_others(prompts):
    """Two prompts have one degree of freedom: the interval would be as wide as the scale."""
    values, people, texts = crossed(6, prompts, 1.0, 1.0, 1.0, 0)
    found = crossed_interval(values, people, texts)
    assert found == t_interval(values, people)
    assert found.kind == "t over identities"


def test_several_seeds_of_a_cell_are_one_observation():
    values, people, prompts = crossed(6, 5, 1.0, 1.0, 1.0, 0)
    once = crossed_interval(values, people, prompts)
    twice = crossed_interval(np.concatenate([values, values]), people * 2, prompts * 2)
    assert (twice.low, twice.high) == approx((once.low, once.high))


def test_the_crossed_interval_does_not_rest_on_the_order_of_videos():
    values, people, prompts = crossed(5, 4, 1.0, 1.0, 1.0, 3)
    order = np.random.default_rng(0).permutation(len(values))[:-3]
    found = crossed_interval(values[order], [people[i] for i in order], [prompts[i] for i in order])
    order = np.sort(order)
    again = crossed_interval(values[order], [people[i] for i in order], [prompts[i] for i in order])
    assert (found.low, found.high) == approx((again.low, again.high))


def test_equal_values_have_an_interval_of_no_width():
    found = crossed_interval(np.full(12, 0.5), [name for name in "abc" for _ in range(4)], ["w", "x", "y", "z"] * 3)
    assert (found.low, found.high) == (0.5, 0.5)


def test_the_jackknife_p_of_a_mean_is_the_t_tests():
    values = np.random.default_rng(1).normal(0.4, 1, 9)
    without = (values.sum() - values) / 8
    assert jackknife_p(float(values.mean()), without) == approx(scipy_stats.ttest_1samp(values, 0.0).pvalue)


def test_a_jackknife_of_one_person_decides_nothing():
    assert jackknife_p(3.0, np.array([1.0])) == 1.0
    assert jackknife_p(3.0, np.array([1.0, math.nan, 2.0])) == 1.0


def test_a_value_far_from_the_others_stands_apart():
    near = [1.0, 1.2, 0.9, 1.1, 1.05, 0.95]
    assert outlying(np.array([*near, 3.0])) == (6,)
    assert outlying(np.array(near)) == ()
    # Median 1, deviations 0, .1, .1, .2 and 10: the limit is 3.5 / .6745 * .1 = .52.
    assert outlying(np.array([1.0, 1.1, 0.9, 1.2, -9.0])) == (4,)


def test_few_or_equal_values_do_not_stand_apart():
    assert outlying(np.array([1.0, 1.0, 1.0, 50.0])) == ()
    assert outlying(np.array([1.0, 1.0, 1.0, 1.0, 50.0])) == ()
    assert outlying(np.array([])) == ()


@pytest.mark.parametrize("people", [8, 20])
def test_four_of_five_samples_find_the_difference_that_is_called_detectable(people):
    rng = np.random.default_rng(3)
    # Of a true spread of 2.
    exact = np.array([-1.0, 1.0] * (people // 2)) * 2 * np.sqrt((people - 1) / people)
    assert exact.std(ddof=1) == pytest.approx(2)
    samples = rng.normal(detectable_difference(exact), 2, (4000, people))
    found = scipy_stats.ttest_1samp(samples, 0, axis=1).pvalue < 0.05
    assert found.mean() == pytest.approx(0.8, abs=0.02)


def test_one_person_says_nothing_of_what_is_detectable():
    assert np.isnan(detectable_difference(np.array([1.0])))
