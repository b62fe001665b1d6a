"""Numbers of sets, worked by hand on embeddings of one number: which set, which cells, the floor, the jackknife."""

import dataclasses
import math

import numpy as np
import pytest
from pytest import approx

from pvbench.identity import NOBODY
from pvbench.metrics import MetricError
from pvbench.metrics.fvd import frechet_distance, reference_floor
from pvbench.report import CellKey, ReferenceSet
from pvbench.report.statistics.comparison import report_rng
from pvbench.report.statistics.set_score import set_scores
from pvbench.stats import jackknife_interval


@pytest.fixture
def made(make_run):
    """Makes a run of one prompt whose rows have these embeddings, a number a person; None where a video is missing."""

    def make(**rows):
        (people,) = {len(row) for row in rows.values()}
        data = make_run(people=people, prompts=1, labels=tuple(rows))
        embeddings = {
            label: {cell: np.array([value]) for cell, value in zip(data.cells, row, strict=True) if value is not None}
            for label, row in rows.items()
        }
        return dataclasses.replace(data, embeddings=embeddings)

    return make


def given_set(data, name, *values):
    """The run with a reference set of the same cells beside it."""
    embeddings = {cell: np.array([value]) for cell, value in zip(data.cells, values, strict=True)}
    return dataclasses.replace(data, reference_sets=(ReferenceSet(name, "given", embeddings),))


def given_pool(data, *values):
    """The run with a reference set of other videos beside it."""
    pool = {f"{place}.mp4": np.array([value]) for place, value in enumerate(values)}
    return dataclasses.replace(data, reference_sets=(ReferenceSet("real", "films", pool=pool),))


def fvd(data, label, reference="rendered"):
    name = "fvd" if reference == "rendered" else "fvd_base"
    return set_scores(data, reference).scores[label][name]


def test_the_distances_are_those_of_the_two_sets(made):
    # Means 5 and 1, variances 8 and 2.
    scores = set_scores(made(personalvideo=(3.0, 7.0), oracle=(0.0, 2.0)), "rendered").scores["personalvideo"]
    assert scores["fvd"].value == approx((5 - 1) ** 2 + (math.sqrt(8) - math.sqrt(2)) ** 2)
    assert scores["fvd"].terms == approx({"mean": 16.0, "covariance": 2.0})
    # k(a, b) = (ab + 1)^3: within the row k(3, 7), within the set k(0, 2), across them k(3, 2) and k(7, 0).
    assert scores["kvd"].value == approx(22**3 + 1 - 7**3 - 1)
    assert (scores["fvd"].n, scores["fvd"].planned, scores["fvd"].identities) == (2, 2, 2)


def test_each_number_is_of_its_own_set(made):
    data = made(base=(0.0, 0.0), personalvideo=(1.0, 1.0), oracle=(3.0, 3.0))
    rendered, base = (set_scores(data, reference).scores["personalvideo"] for reference in ("rendered", "base"))
    assert set(rendered) == {"fvd", "kvd"}
    assert set(base) == {"fvd_base"}
    assert rendered["fvd"].value == approx(4.0)
    assert base["fvd_base"].value == approx(1.0)
    assert rendered["fvd"].signature.facts["reference"] == "rendered"
    assert base["fvd_base"].signature.facts["reference"] == "base"


def test_the_ceilings_row_goes_before_a_set_that_is_given(made):
    data = made(personalvideo=(1.0, 1.0), oracle=(3.0, 3.0))
    assert fvd(given_set(data, "rendered", 6.0, 6.0), "personalvideo").value == approx(4.0)
    alone = made(personalvideo=(1.0, 1.0))
    assert fvd(given_set(alone, "rendered", 6.0, 6.0), "personalvideo").value == approx(25.0)
    # A set of the untuned model's videos is none of the true ones.
    assert fvd(given_set(alone, "base", 6.0, 6.0), "personalvideo").note == "no reference set 'rendered'"


def test_videos_of_ones_own_choice_go_before_the_ceilings_row(made):
    data = given_pool(made(base=(0.0, 0.0), personalvideo=(1.0, 3.0), oracle=(3.0, 3.0)), 5.0, 5.0, 5.0)
    score = fvd(data, "personalvideo")
    assert score.value == approx((5 - 2) ** 2 + 2.0)
    assert fvd(data, "oracle").value == approx(4.0)
    facts = score.signature.facts
    assert (facts["reference"], facts["sets"], facts["n"], facts["n_reference"]) == (
        "real",
        "cells of all methods",
        2,
        3,
    )
    assert fvd(data, "personalvideo", "base").signature.facts["sets"] == "same cells"


def test_videos_of_ones_own_choice_are_compared_in_no_order(made):
    data = given_pool(made(personalvideo=(1.0, 2.0)), 0.0, 3.0)
    score = set_scores(data, "rendered").scores["personalvideo"]["kvd"]
    # Within k(1, 2) and k(0, 3), each once; across all four pairs.
    assert score.value == approx(3**3 + 1 - 2 * (1 + 4**3 + 1 + 7**3) / 4)
    assert score.interval is None


def test_a_video_that_one_row_lacks_is_left_out_of_all(made):
    data = made(base=(9.0, 0.0, 0.0), personalvideo=(None, 1.0, 1.0), oracle=(5.0, 3.0, 3.0))
    scores = set_scores(data, "rendered").scores
    assert scores["base"]["fvd"].value == approx(9.0)
    assert scores["personalvideo"]["fvd"].value == approx(4.0)
    assert {scores[label]["fvd"].n for label in ("base", "personalvideo")} == {2}
    assert scores["base"]["fvd"].planned == 3


def test_a_row_with_few_videos_is_left_out_itself(made):
    data = made(base=(0.0, 0.0, 0.0), personalvideo=(None, None, 1.0), oracle=(3.0, 3.0, 3.0))
    assert fvd(data, "base").n == 3
    few = fvd(data, "personalvideo")
    assert few.note == "too few cells"
    assert math.isnan(few.value)
    assert (few.n, few.planned, few.signature.facts["n"]) == (0, 3, 0)


@pytest.mark.parametrize("videos", [1, 2])
def test_one_cell_is_no_set(made, videos):
    data = made(personalvideo=(1.0, 1.0)[:videos], oracle=(3.0, 3.0)[:videos])
    assert fvd(data, "personalvideo").note == ("too few cells" if videos == 1 else "")


def test_a_set_that_is_missing_is_told(made):
    data = made(personalvideo=(1.0, 1.0), dreambooth_lora=(2.0, 2.0))
    assert fvd(data, "personalvideo").note == "no reference set 'rendered'"
    assert fvd(data, "personalvideo", "base").note == "no reference set 'base'"
    # Videos that were made elsewhere come with a set that is asked for.
    planned = dict.fromkeys(data.embeddings, frozenset(data.cells))
    elsewhere = dataclasses.replace(data, expected=planned)
    assert fvd(elsewhere, "personalvideo").note == "no --reference"
    assert fvd(elsewhere, "personalvideo", "base").note == "no reference set 'base'"
    assert fvd(made(base=(0.0, 0.0), oracle=(3.0, 3.0)), "oracle").note == "is the reference set"


def test_a_retakes_distance_is_the_floor(made):
    data = made(base=(0.0,) * 4, oracle=(3.0,) * 4, retake=(3.5,) * 4)
    floor = set_scores(data, "rendered").floor
    assert (floor.value, floor.cells, floor.width, floor.retake) == (approx(0.25), 4, 1, "retake")
    assert set_scores(data, "base").floor.retake == ""
    assert set_scores(given_pool(data, 1.0, 2.0, 3.0, 4.0), "rendered").floor.retake == ""


def test_without_a_retake_the_floor_is_between_halves_of_the_set(made):
    reference = (0.0, 1.0, 3.0, 6.0)
    floor = set_scores(made(base=(0.0,) * 4, oracle=reference), "rendered").floor
    rows = np.array(reference)[:, np.newaxis]
    assert floor.value == approx(reference_floor(rows, report_rng("floor", "rendered")))
    # Halves are pairs: between the three ways to halve four, whatever was drawn.
    halves = [frechet_distance(rows[[0, one]], np.delete(rows, [0, one], axis=0)).value for one in (1, 2, 3)]
    assert min(halves) < floor.value < max(halves)
    assert (floor.cells, floor.width, floor.retake) == (4, 1, "")


def test_three_videos_have_no_halves(made):
    assert set_scores(made(base=(0.0,) * 3, oracle=(0.0, 1.0, 3.0)), "rendered").floor is None


def test_a_number_is_known_without_each_person(made):
    found = set_scores(made(personalvideo=(1.0, 1.0, 0.0, None), oracle=(0.0, 0.0, 0.0, 9.0)), "rendered")
    left = found.left["fvd"]["personalvideo"]
    assert left.value == approx((2 / 3) ** 2 + 1 / 3)
    assert left.without == approx({"ada": 1 / 4 + 1 / 2, "boris": 1 / 4 + 1 / 2, "chen": 1.0})
    assert left.cells == 3
    # Of a pair of videos the kernel adds (ab + 1)^3 - 1, which is 7 for ada and boris and 0 for the others.
    assert found.left["kvd"]["personalvideo"].without == approx({"ada": 0.0, "boris": 0.0, "chen": 7.0})
    score = found.scores["personalvideo"]["kvd"]
    half = 4.302653 * math.sqrt(2 / 3 * (2 * (7 / 3) ** 2 + (14 / 3) ** 2))
    assert score.value == approx(7 / 3)
    assert (score.interval.low, score.interval.high) == approx((7 / 3 - half, 7 / 3 + half))
    assert found.scores["personalvideo"]["fvd"].interval is None
    assert "oracle" not in found.left["fvd"]


def test_two_people_of_one_video_each_leave_no_set_behind(made):
    assert set_scores(made(personalvideo=(1.0, 2.0), oracle=(0.0, 0.0)), "rendered").left == {}


def test_nobody_is_left_out_where_somebody_is_not_known(made):
    data = made(personalvideo=(1.0, 1.0, 0.0), oracle=(0.0, 0.0, 0.0))
    unknown = dataclasses.replace(data.identities[0], name=NOBODY)
    names = {data.identities[0].name: NOBODY}
    embeddings = {
        label: {CellKey(names.get(cell.identity, cell.identity), *cell[1:]): row for cell, row in of_label.items()}
        for label, of_label in data.embeddings.items()
    }
    renamed = dataclasses.replace(data, identities=(unknown, *data.identities[1:]), embeddings=embeddings)
    found = set_scores(renamed, "rendered")
    assert found.left == {}
    assert found.scores["personalvideo"]["fvd"].value == approx((2 / 3) ** 2 + 1 / 3)
    assert found.scores["personalvideo"]["fvd"].identities == 2
    # Two videos of the same unknown person would count as two people.
    assert found.scores["personalvideo"]["kvd"].interval is None


def test_metrics_that_were_not_asked_for_have_no_numbers(made):
    data = dataclasses.replace(made(personalvideo=(1.0, 1.0), oracle=(0.0, 0.0)), metrics=("face_sim",))
    found = set_scores(data, "rendered")
    assert found.scores == {"personalvideo": {}, "oracle": {}}
    assert (found.left, found.floor) == ({}, None)


def test_an_embedding_that_is_no_number_stops_the_report(made):
    with pytest.raises(MetricError, match="NaN or infinite"):
        set_scores(made(personalvideo=(math.nan, 1.0), oracle=(0.0, 0.0)), "rendered")


def test_the_numbers_left_are_of_the_same_kind_as_the_whole(made):
    """Paired cells are compared as pairs when a person is left out, too: the mean of these is near the whole."""
    rng = np.random.default_rng(4)
    shared = rng.normal(0, 3, 8)
    rows = {"personalvideo": shared + 0.01 * rng.normal(size=8), "oracle": shared}
    found = set_scores(made(**{label: tuple(row) for label, row in rows.items()}), "rendered")
    left = found.left["kvd"]["personalvideo"]
    interval = found.scores["personalvideo"]["kvd"].interval
    values = np.array(list(left.without.values()))
    assert values.mean() == approx(left.value, abs=(interval.high - interval.low) / 2)
    assert len(values) == 8
    assert jackknife_interval(left.value, values) == interval
