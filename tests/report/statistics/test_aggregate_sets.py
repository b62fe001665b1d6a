"""FVD and KVD in a report: which cells, which reference set, what a second rendering of the true person says."""

import dataclasses
import math

import numpy as np
import pytest
from pytest import approx

from pvbench.metrics import MetricError
from pvbench.metrics.fvd import frechet_distance
from pvbench.report import CellKey, ReferenceSet
from pvbench.report.statistics.aggregate import aggregate


def test_fvd_is_over_the_same_cells_for_all_methods(make_run):
    data = make_run(failed=(("personalvideo", "ada", "p02"),))
    numbers = aggregate(data)
    sizes = {numbers.scores[label]["fvd"].n for label in ("base", "dreambooth_lora", "personalvideo")}
    assert sizes == {31}
    cells = [cell for cell in data.cells if cell != CellKey("ada", "p02", 0)]
    videos = np.stack([data.embeddings["base"][cell] for cell in cells]).astype(float)
    rendered = np.stack([data.embeddings["oracle"][cell] for cell in cells]).astype(float)
    assert numbers.scores["base"]["fvd"].value == approx(frechet_distance(videos, rendered).value)
    assert numbers.floors["rendered"].cells == 31


def test_a_method_with_few_cells_does_not_shrink_the_others_fvd(make_run):
    failed = tuple(("dreambooth_lora", "ada", f"p0{i}") for i in (1, 2, 3))
    data = make_run(people=1, prompts=4, failed=failed)
    numbers = aggregate(data)
    assert numbers.scores["personalvideo"]["fvd"].n == 4
    assert numbers.scores["dreambooth_lora"]["fvd"].note == "too few cells"


def test_the_reference_set_has_no_distance_to_itself(make_run):
    scores = aggregate(make_run()).scores
    assert scores["oracle"]["fvd"].note == "is the reference set"
    assert scores["base"]["fvd_base"].note == "is the reference set"
    assert not math.isnan(scores["base"]["fvd"].value)
    assert not math.isnan(scores["oracle"]["fvd_base"].value)


class TestARetake:
    """The ceiling filmed again is the floor of distances between sets, and stands for the ceiling in them."""

    @pytest.fixture(scope="class")
    @classmethod
    def data(cls, make_run):
        return make_run(labels=("base", "dreambooth_lora", "personalvideo", "oracle", "retake"))

    def test_its_distance_is_the_floor_and_not_that_of_halves(self, data):
        numbers = aggregate(data)
        floor = numbers.floors["rendered"]
        assert floor.retake == "retake"
        assert floor.value == numbers.scores["retake"]["fvd"].value
        without = dataclasses.replace(data, variants=data.variants[:-1])
        assert aggregate(without).floors["rendered"].retake == ""
        # Distances to the untuned model have no retake.
        assert numbers.floors["base"].retake == ""

    def test_no_method_is_nearer_to_the_ceiling(self, data):
        scores = aggregate(data).scores
        assert all(scores[label]["fvd"].value > scores["retake"]["fvd"].value for label in ("base", "dreambooth_lora"))

    def test_fvd_tells_it_from_the_floor_or_says_that_it_does_not(self, data):
        numbers = aggregate(data)
        test = numbers.separation("fvd")
        assert (test.first, test.second, test.test) == ("retake", "base", "jackknife")
        assert numbers.separates("fvd")
        blind = {cell: data.embeddings["base"][cell] for cell in data.cells}
        same = dataclasses.replace(data, embeddings={**data.embeddings, "retake": blind})
        assert aggregate(same).separates("fvd") is False

    def test_numbers_of_videos_are_tested_with_the_ceiling_itself(self, data):
        numbers = aggregate(data)
        assert numbers.separation("face_sim").first == "oracle"
        assert not any("retake" in (test.first, test.second) for test in numbers.comparisons if test.column == "clip_t")

    def test_it_stands_last_and_is_never_best(self, data):
        assert [variant.label for variant in data.in_table_order][-2:] == ["oracle", "retake"]
        assert all("retake" not in places for places in aggregate(data).best.values())


def test_a_reference_set_that_is_no_row_can_be_given(make_run):
    complete = make_run()
    rows = tuple(variant for variant in complete.variants if variant.label != "oracle")
    rendered = ReferenceSet("rendered", "drawn by the renderer", complete.embeddings["oracle"])
    data = dataclasses.replace(complete, variants=rows, reference_sets=(rendered,))
    assert aggregate(data).scores["base"]["fvd"].value == approx(aggregate(complete).scores["base"]["fvd"].value)


def test_without_a_reference_set_there_is_no_fvd(make_run):
    numbers = aggregate(make_run(labels=("dreambooth_lora", "personalvideo")))
    assert numbers.scores["personalvideo"]["fvd"].note == "no reference set 'rendered'"
    assert numbers.floors == {}
    assert numbers.kept == {}


def test_the_kernel_distance_has_an_interval_and_fvd_has_none(make_run):
    scores = aggregate(make_run()).scores["dreambooth_lora"]
    assert scores["fvd"].interval is None
    assert scores["kvd"].interval.kind == "jackknife over identities"
    assert scores["fvd"].terms["mean"] + scores["fvd"].terms["covariance"] == approx(scores["fvd"].value)


def test_a_broken_embedding_stops_the_report(make_run):
    data = make_run(people=2, prompts=2)
    data.embeddings["base"][data.cells[0]][0] = np.nan
    with pytest.raises(MetricError, match="NaN or infinite"):
        aggregate(data)
