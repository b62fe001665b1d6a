"""Verdicts on published orders: planted truths of both signs, ties, missing rows, numbers that tell nothing."""

import dataclasses
import math

import pytest

from pvbench.report.published import published_table
from pvbench.report.statistics.aggregate import aggregate
from pvbench.report.statistics.agreement import agreements, judged

ROWS = {"base": 0.05, "oracle": 0.95}
AS_PUBLISHED = {"dreambooth_lora": 0.2, "id_animator": 0.3, "magicme": 0.4, "consisid": 0.5, "personalvideo": 0.6}
"""Face Sim of Table 1 has this order."""


def verdict(data, better="personalvideo", worse="dreambooth_lora", column="face_sim"):
    return judged(data, aggregate(data), column, better, worse)


def test_a_planted_difference_of_the_published_sign_is_reproduced(planted):
    found = verdict(planted(**ROWS, dreambooth_lora=0.3, personalvideo=0.5))
    assert found.verdict == "reproduced"
    assert found.gain == pytest.approx(0.2, abs=0.01)


def test_a_planted_difference_of_the_other_sign_is_contradicted(planted):
    found = verdict(planted(**ROWS, dreambooth_lora=0.5, personalvideo=0.3))
    assert found.verdict == "contradicted"
    assert found.gain == pytest.approx(-0.2, abs=0.01)


def test_a_planted_tie_and_too_few_people_are_undecided(planted):
    assert verdict(planted(**ROWS, dreambooth_lora=0.5, personalvideo=0.5)).verdict == "undecided"
    assert verdict(planted(**ROWS, people=3, dreambooth_lora=0.3, personalvideo=0.5)).verdict == "undecided"


def test_a_number_that_tells_no_ceiling_from_the_floor_decides_nothing(planted):
    data = planted(base=0.5, oracle=0.5, dreambooth_lora=0.3, personalvideo=0.6)
    assert verdict(data).test.winner == "personalvideo"
    assert verdict(data).verdict == "undecided"


def test_a_row_that_is_not_there_is_not_tested(planted):
    found = verdict(planted(**ROWS, dreambooth_lora=0.3, personalvideo=0.5), better="magicme")
    assert found.verdict == "not tested"
    assert math.isnan(found.gain)


def test_the_order_in_which_rows_were_asked_for_does_not_matter(planted):
    data = planted(**ROWS, personalvideo=0.5, dreambooth_lora=0.3)
    turned = dataclasses.replace(data, variants=data.variants[::-1])
    assert verdict(data).verdict == verdict(turned).verdict == "reproduced"
    assert verdict(data).gain == pytest.approx(verdict(turned).gain)


def test_the_whole_published_order_has_ten_pairs_and_a_tau_of_one(planted):
    data = planted(people=12, **ROWS, **AS_PUBLISHED)
    face = agreements(data, aggregate(data), published_table())[0]
    assert face.column == "face_sim"
    assert dict(face.counts) == {"reproduced": 10}
    assert face.methods == 5
    assert face.tau == pytest.approx(1.0)
    assert (face.interval.low, face.interval.high) == pytest.approx((1.0, 1.0))


def test_the_turned_order_is_contradicted_with_a_tau_of_minus_one(planted):
    turned = dict(zip(AS_PUBLISHED, reversed(AS_PUBLISHED.values()), strict=True))
    data = planted(people=12, **ROWS, **turned)
    face = agreements(data, aggregate(data), published_table())[0]
    assert dict(face.counts) == {"contradicted": 10}
    assert face.tau == pytest.approx(-1)


def test_a_tau_over_noise_has_a_wide_interval(planted):
    data = planted(people=8, **ROWS, **dict.fromkeys(AS_PUBLISHED, 0.5))
    face = agreements(data, aggregate(data), published_table())[0]
    assert face.counts["undecided"] == 10
    assert face.interval.high - face.interval.low > 0.5


def test_two_methods_have_no_tau_and_numbers_of_sets_no_interval(planted):
    two = planted(**ROWS, dreambooth_lora=0.3, personalvideo=0.5)
    face = agreements(two, aggregate(two), published_table())[0]
    assert face.methods == 2
    assert math.isnan(face.tau)
    five = planted(people=12, **ROWS, **AS_PUBLISHED)
    fvd = next(one for one in agreements(five, aggregate(five), published_table()) if one.column == "fvd")
    assert fvd.methods == 5
    assert math.isnan(fvd.interval.low)
