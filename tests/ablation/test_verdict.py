"""Planted truths: a direction is found, its reverse contradicted, a tie called a tie, four people prove nothing."""

import math

import numpy as np
import pytest

from pvbench.ablation.study import Claim
from pvbench.ablation.verdict import differences, judge_claims
from pvbench.report import CellKey, ReportData, ReportIdentity, ReportPrompt, ReportVariant
from pvbench.stats import equivalence_p, sign_flip_greater_p

PROMPTS = tuple(f"p{k}" for k in range(6))


def data(people, second, column="face_sim", noise=0.02, seed=0):
    """Scores of two rows: the first around .5, the second `second` higher, for so many people."""
    rng = np.random.default_rng(seed)
    names = tuple(f"person{k}" for k in range(people))
    ease = {name: rng.normal() * 0.05 for name in names}

    def scores(level):
        return {
            CellKey(name, prompt, 0): {column: level + ease[name] + noise * rng.normal()}
            for name in names
            for prompt in PROMPTS
        }

    return ReportData(
        profile="mini",
        variants=(
            ReportVariant("first", "m"),
            ReportVariant("second", "m"),
            ReportVariant("base", "base", role="floor"),
        ),
        identities=tuple(ReportIdentity(name, "woman") for name in names),
        prompts=tuple(ReportPrompt(prompt, "a <V>") for prompt in PROMPTS),
        seeds=(0,),
        scores={"first": scores(0.5), "second": scores(0.5 + second), "base": scores(0.1)},
        evaluators={},
    )


def verdict(given, claim):
    (one,) = judge_claims(given, [(claim, claim.first, claim.second)])
    return one


HIGHER = Claim("face_sim", "first", "second")
EQUAL = Claim("face_sim", "first", "second", margin=0.02)


def test_a_planted_direction_is_found_and_its_reverse_contradicted():
    found = verdict(data(10, -0.1), HIGHER)
    assert found.verdict == "reproduced"
    assert found.difference.mean == pytest.approx(0.1, abs=0.02)
    assert found.p < 0.01
    assert verdict(data(10, +0.1), HIGHER).verdict == "contradicted"


def test_lower_is_better_where_the_number_says_so():
    claim = Claim("warping_error", "first", "second")
    assert verdict(data(10, +0.1, "warping_error"), claim).verdict == "reproduced"
    assert verdict(data(10, -0.1, "warping_error"), claim).verdict == "contradicted"


def test_a_planted_tie_is_no_direction():
    assert verdict(data(10, 0.0), HIGHER).verdict == "undecided"


def test_a_planted_tie_is_called_equal_and_a_difference_is_not():
    assert verdict(data(10, 0.0), EQUAL).verdict == "reproduced"
    assert verdict(data(10, 0.1), EQUAL).verdict == "contradicted"
    # Too noisy to say.
    assert verdict(data(10, 0.0, noise=0.3), EQUAL).verdict == "undecided"


@pytest.mark.parametrize("claim", [HIGHER, EQUAL])
@pytest.mark.parametrize("second", [-0.2, 0.0])
def test_nothing_is_said_of_four_people(claim, second):
    assert verdict(data(4, second), claim).verdict == "undecided"


def test_claims_are_corrected_together():
    given = data(7, -0.1)
    alone = verdict(given, HIGHER).p
    many = judge_claims(given, [(HIGHER, "first", "second")] * 8)
    assert alone < 0.05 < many[0].p == pytest.approx(8 * alone)
    assert {one.verdict for one in many} == {"undecided"}


def test_a_row_without_videos_leaves_its_claim_undecided():
    found = verdict(data(10, 0.1), Claim("clip_t", "first", "second"))
    assert found.difference is None
    assert math.isnan(found.p)
    assert found.verdict == "undecided"


def test_every_row_is_compared_with_the_complete_one_and_floors_are_not():
    found = differences(data(10, -0.1), "first", ["face_sim"])
    assert [(one.first, one.second) for one in found] == [("second", "first")]
    assert found[0].significant
    assert found[0].mean == pytest.approx(-0.1, abs=0.02)
    assert not differences(data(10, 0.0), "first", ["face_sim"])[0].significant


def test_a_sign_flip_from_one_side_counts_patterns():
    rng = np.random.default_rng(0)
    assert sign_flip_greater_p(np.array([1.0, 2.0, 3.0]), rng) == 1 / 8
    assert sign_flip_greater_p(np.array([-1.0, -2.0, -3.0]), rng) == 1
    assert sign_flip_greater_p(np.zeros(0), rng) == 1
    assert sign_flip_greater_p(np.ones(20), rng) < 0.001
    with pytest.raises(ValueError, match="NaN"):
        sign_flip_greater_p(np.array([np.nan]), rng)


def test_equivalence_is_two_t_tests():
    from scipy.stats import ttest_1samp

    values = np.array([0.01, -0.02, 0.015, 0.0, -0.005])
    expected = max(
        ttest_1samp(values, 0.03, alternative="less").pvalue, ttest_1samp(values, -0.03, alternative="greater").pvalue
    )
    assert equivalence_p(values, 0.03) == pytest.approx(expected)
    assert equivalence_p(values[:1], 0.03) == 1
    assert equivalence_p(np.zeros(3), 0.03) == 0
    assert equivalence_p(np.full(3, 0.05), 0.03) == 1
