"""Means, intervals, places, comparisons and FVD of a run, failed cells included."""

import dataclasses
import math

import numpy as np
import pytest
from pytest import approx

from pvbench.metrics import load_metrics
from pvbench.report.statistics.aggregate import aggregate
from pvbench.report.statistics.comparison import comparisons
from pvbench.report.statistics.score import Left
from pvbench.stats import crossed_interval


def values(data, label, column):
    return np.array([data.scores[label][cell][column] for cell in data.done(label)])


def with_score(data, label, cell, **changed):
    scores = {**data.scores[label], cell: {**data.scores[label][cell], **changed}}
    return dataclasses.replace(data, scores={**data.scores, label: scores})


def test_a_score_is_the_mean_over_videos_with_its_interval_over_people_and_prompts(make_run):
    data = make_run()
    score = aggregate(data).scores["personalvideo"]["face_sim"]
    expected = values(data, "personalvideo", "face_sim")
    assert score.value == approx(expected.mean())
    cells = data.done("personalvideo")
    interval = crossed_interval(expected, [cell.identity for cell in cells], [cell.prompt for cell in cells])
    assert (score.interval.low, score.interval.high) == approx((interval.low, interval.high))
    assert (score.n, score.planned, score.identities) == (32, 32, 8)
    assert score.bootstrap.low < score.value < score.bootstrap.high


def test_a_score_is_the_metrics_own_aggregate(make_run):
    data = make_run()
    numbers = aggregate(data)
    for metric in load_metrics():
        names = [column.name for column in metric.columns]
        rows = np.array([[data.scores["base"][cell][name] for name in names] for cell in data.cells])
        for name, value in metric.aggregate(rows).items():
            assert numbers.scores["base"][name].value == approx(value)


def test_a_failed_cell_is_left_out_and_counted(make_run):
    data = make_run(failed=(("personalvideo", "ada", "p02"), ("personalvideo", "boris", "p01")))
    score = aggregate(data).scores["personalvideo"]["face_sim"]
    assert (score.n, score.planned) == (30, 32)
    assert score.value == approx(values(data, "personalvideo", "face_sim").mean())
    assert score.signature.facts["n"] == 30


def test_a_method_without_any_video_has_no_numbers_and_wins_nothing(make_run):
    everything = tuple(("dreambooth_lora", name, f"p0{i}") for name in ("ada", "boris") for i in (1, 2, 3, 4))
    data = make_run(people=2, failed=everything)
    numbers = aggregate(data)
    for name, score in numbers.scores["dreambooth_lora"].items():
        assert math.isnan(score.value), name
        assert score.n == 0
    assert numbers.scores["personalvideo"]["fvd"].n == 8
    assert not any("dreambooth_lora" in (test.first, test.second) for test in numbers.comparisons)
    assert "dreambooth_lora" not in numbers.best["face_sim"]


def test_an_undefined_value_is_left_out_and_counted(make_run):
    data = make_run()
    cell = data.cells[3]
    data = with_score(data, "personalvideo", cell, face_sim_detected=math.nan, face_sim=0.0, face_detected=0.0)
    scores = aggregate(data).scores["personalvideo"]
    assert scores["face_sim_detected"].n == 31
    assert scores["face_sim"].n == 32


def test_a_number_that_no_video_has_says_why(make_run):
    data = make_run(people=2, prompts=1)
    for cell in data.cells:
        data = with_score(data, "base", cell, face_sim_detected=math.nan)
    score = aggregate(data).scores["base"]["face_sim_detected"]
    assert math.isnan(score.value)
    assert score.note == "no frame of the video has a face"


def test_intervals_stay_within_what_a_number_can_reach(make_run):
    data = make_run(people=3, prompts=1)
    for number, cell in enumerate(data.cells):
        data = with_score(data, "base", cell, dynamic_degree=float(number == 0))
    interval = aggregate(data).scores["base"]["dynamic_degree"].interval
    assert (interval.low, interval.high) == (0.0, 1.0)


OTHER = "personalvideo[scr=off]"


def test_a_planted_order_gives_a_best_and_a_second(planted):
    data = planted(base=0.1, dreambooth_lora=0.3, personalvideo=0.5, oracle=0.9, **{OTHER: 0.4})
    assert aggregate(data).best["face_sim"] == {"personalvideo": "best", OTHER: "second"}


def test_neither_floor_nor_ceiling_nor_a_second_without_a_third_is_placed(planted):
    data = planted(base=0.9, dreambooth_lora=0.3, personalvideo=0.5, oracle=0.95)
    assert aggregate(data).best["face_sim"] == {"personalvideo": "best"}


def test_a_planted_tie_is_called_a_tie(planted):
    data = planted(base=0.1, dreambooth_lora=0.5, personalvideo=0.5, oracle=0.9)
    found = aggregate(data)
    assert found.best["face_sim"] == {}
    test = next(one for one in found.comparisons if one.column == "face_sim" and one.family == "methods")
    assert test.winner == ""


def test_two_that_tie_leave_the_first_place_empty_but_beat_the_third(planted):
    data = planted(base=0.1, dreambooth_lora=0.5, personalvideo=0.5, oracle=0.9, **{OTHER: 0.2})
    found = aggregate(data)
    assert found.best["face_sim"] == {}
    assert OTHER in found.beaten_by("personalvideo", "face_sim")


def test_a_number_that_cannot_tell_ceiling_from_floor_crowns_nobody(planted):
    """Whatever the methods differ by: it may be noise of the prompts, or what cheats the number."""
    blind = planted(base=0.5, dreambooth_lora=0.3, personalvideo=0.6, oracle=0.5)
    turned = planted(base=0.6, dreambooth_lora=0.3, personalvideo=0.5, oracle=0.4)
    for data in (blind, turned):
        found = aggregate(data)
        assert found.separates("face_sim") is False
        assert "dreambooth_lora" in found.beaten_by("personalvideo", "face_sim")
        assert found.best["face_sim"] == {}
    assert aggregate(turned).separation("face_sim").winner == "base"


def test_a_column_of_noise_crowns_nobody_in_most_runs(make_run):
    crowned = 0
    for seed in range(12):
        data, rng = make_run(people=8, prompts=4), np.random.default_rng(seed)
        for label in ("dreambooth_lora", "personalvideo"):
            for cell in data.cells:
                data = with_score(data, label, cell, clip_i_face=float(rng.normal()))
        for cell in data.cells:
            data = with_score(data, "base", cell, clip_i_face=-50.0)
            data = with_score(data, "oracle", cell, clip_i_face=50.0 + float(rng.normal()))
        found = aggregate(data)
        assert found.separates("clip_i_face") is True
        crowned += bool(found.best["clip_i_face"])
    assert crowned <= 2


def test_separation_is_not_known_without_both_ends(make_run):
    found = aggregate(make_run(labels=("base", "dreambooth_lora", "personalvideo")))
    assert found.separates("face_sim") is None
    assert found.best["face_sim"] == {"personalvideo": "best"}


def test_the_effect_is_the_mean_difference_in_deviations_of_people(make_run):
    data = make_run()
    test = aggregate(data).separation("face_sim")
    people = [person.name for person in data.people]
    differences = [
        np.mean([
            data.scores["oracle"][cell]["face_sim"] - data.scores["base"][cell]["face_sim"]
            for cell in data.cells if cell.identity == person
        ])
        for person in people
    ]  # fmt: skip
    assert test.effect == approx(np.mean(differences) / np.std(differences, ddof=1))


def test_a_planted_outlier_is_named_and_nobody_else(planted):
    data = planted(people=8, base=0.1, dreambooth_lora=0.5, personalvideo=0.7, oracle=0.9)
    broken = data.people[3].name
    for cell in data.cells:
        if cell.identity == broken:
            data = with_score(data, "dreambooth_lora", cell, face_sim=0.0)
    tests = [one for one in aggregate(data).comparisons if one.column == "face_sim"]
    assert {one.outlying for one in tests if "dreambooth_lora" in (one.first, one.second)} == {(broken,)}
    assert {one.outlying for one in tests if "dreambooth_lora" not in (one.first, one.second)} == {()}


def test_a_difference_of_a_single_prompt_is_no_win(planted):
    """Every person agrees, so that people alone would be sure; other prompts could turn it round."""
    data = planted(base=0.1, dreambooth_lora=0.5, personalvideo=0.5, oracle=0.9)
    for cell in data.cells:
        if cell.prompt == data.prompts[0].id:
            data = with_score(data, "personalvideo", cell, face_sim=0.9 + 0.001 * len(cell.identity))
    test = next(t for t in aggregate(data).comparisons if t.column == "face_sim" and t.family == "methods")
    assert test.p_holm < 0.05
    assert not test.interval.excludes_zero
    assert test.winner == ""


def test_numbers_of_sets_are_compared_by_leaving_out_each_person(make_run):
    found = aggregate(make_run(people=8, prompts=8))
    tests = {(one.first, one.second): one for one in found.comparisons if one.column == "fvd"}
    test = tests["dreambooth_lora", "personalvideo"]
    scores = {label: found.scores[label]["fvd"].value for label in ("dreambooth_lora", "personalvideo")}
    assert test.test == "jackknife"
    assert test.difference == approx(scores["dreambooth_lora"] - scores["personalvideo"])
    assert test.identities == 8
    assert (test.p < 0.05) == test.interval.excludes_zero
    # The ceiling is the reference set itself and has no distance to it.
    assert not any("oracle" in pair for pair in tests)


def test_numbers_of_sets_are_not_compared_with_five_people(make_run):
    found = aggregate(make_run(people=5, prompts=8))
    assert not [one for one in found.comparisons if one.column in ("fvd", "kvd")]


@pytest.mark.parametrize(("column", "better"), [("kvd", "personalvideo"), ("fvd", "dreambooth_lora")])
def test_the_kernel_distance_nearest_to_zero_is_the_best(make_run, column, better):
    """Chance can put an unbiased distance below zero; -9 is no better than 2."""
    data = make_run(people=8, prompts=2)
    near = {name: 0.01 * number for number, name in enumerate(person.name for person in data.people)}
    sets = {
        column: {
            "dreambooth_lora": Left(-9.0, {name: -9 - off for name, off in near.items()}, 16),
            "personalvideo": Left(2.0, {name: 2 + off for name, off in near.items()}, 16),
        }
    }
    (test,) = (one for one in comparisons(data, sets) if one.column == column and one.family == "methods")
    assert test.winner == better


def test_a_control_stands_apart_and_is_never_best_nor_compared(make_run):
    """It does what a metric can be cheated by, so that the best of all numbers may be its own."""
    data = make_run(labels=("base", "still_photo", "personalvideo", "dreambooth_lora", "oracle"))
    photo = data.scores["still_photo"]
    best = {cell: {**values, "face_sim": 0.99} for cell, values in photo.items()}
    found = aggregate(dataclasses.replace(data, scores={**data.scores, "still_photo": best}))
    assert found.scores["still_photo"]["face_sim"].value == pytest.approx(0.99)
    assert all("still_photo" not in places for places in found.best.values())
    assert found.best["face_sim"] == {"personalvideo": "best"}
    assert not any("still_photo" in (test.first, test.second) for test in found.comparisons)
    order = [variant.label for variant in data.in_table_order]
    assert order == ["base", "personalvideo", "dreambooth_lora", "still_photo", "oracle"]


def test_the_order_of_section_nine_is_significant_with_eight_people(make_run):
    numbers = aggregate(make_run(prompts=8))
    assert numbers.beaten_by("dreambooth_lora", "face_sim") == ("base",)
    assert numbers.beaten_by("personalvideo", "face_sim") == ("dreambooth_lora", "base")
    assert numbers.beaten_by("oracle", "face_sim") == ("dreambooth_lora", "personalvideo", "base")
    assert numbers.beaten_by("base", "face_sim") == ()


def test_a_lower_number_can_be_the_significantly_worse_one_of_the_first(make_run):
    # Freezing: the untuned model moves more than dreambooth_lora.
    numbers = aggregate(make_run(prompts=8))
    assert "dreambooth_lora" in numbers.beaten_by("base", "flow_magnitude")
    test = next(t for t in numbers.comparisons if t.column == "flow_magnitude" and t.family == "against the floor")
    assert test.first == "dreambooth_lora"
    assert test.difference < 0
    assert test.winner == "base"


def test_four_people_can_show_no_significance(make_run):
    numbers = aggregate(make_run(people=4))
    assert {test.winner for test in numbers.comparisons} == {""}
    assert min(test.p for test in numbers.comparisons) == 0.125


def test_comparisons_use_the_cells_that_both_have(make_run):
    data = make_run(failed=(("personalvideo", "ada", "p02"), ("dreambooth_lora", "boris", "p01")))
    test = next(t for t in aggregate(data).comparisons if t.family == "methods")
    assert test.cells == 30


def test_holm_is_applied_within_a_column_and_a_question(make_run):
    numbers = aggregate(make_run(labels=("base", "dreambooth_lora", "personalvideo", "personalvideo[scr=off]")))
    for column in ("face_sim", "clip_t"):
        tests = [t for t in numbers.comparisons if t.column == column and t.family == "methods"]
        assert len(tests) == 3
        smallest = min(tests, key=lambda test: test.p)
        assert smallest.p_holm == approx(min(1.0, 3 * smallest.p))


def test_signatures_say_how_many_frames_were_seen(make_run):
    data = make_run(labels=("personalvideo",))
    seen = {"face": 16, "clip": 16, "video": "first 16", "flow": "all"}
    evaluators = {part: {**made_by, "frames_seen": seen[part]} for part, made_by in data.evaluators.items()}

    def frames(**sizes):
        numbers = aggregate(dataclasses.replace(data, evaluators=evaluators, **sizes)).scores["personalvideo"]
        return [numbers[name].signature.facts["frames"] for name in ("face_sim", "clip_i", "fvd", "dynamic_degree")]

    assert frames(frames=24) == [16, 16, 16, 24]
    assert frames(frames=12) == [12] * 4
    assert frames(frames=24, fewest_frames=8) == ["8-16", "8-16", "8-16", "8-24"]
    assert frames(frames=24, fewest_frames=20) == [16, 16, 16, "20-24"]


def test_kept_is_relative_to_the_untuned_model_and_the_way_to_the_ceiling(make_run):
    data = make_run()
    kept = aggregate(data).kept
    means = {label: values(data, label, "face_sim").mean() for label in ("base", "personalvideo", "oracle")}
    expected = (means["personalvideo"] - means["base"]) / (means["oracle"] - means["base"])
    assert kept["personalvideo"]["face_gained"].value == approx(expected)
    flows = values(data, "personalvideo", "flow_magnitude").mean() / values(data, "base", "flow_magnitude").mean()
    share = kept["personalvideo"]["flow_kept"]
    assert share.value == approx(flows)
    assert share.interval.low < share.value < share.interval.high
    assert "base" not in kept
    assert "face_gained" not in kept["oracle"]


def test_a_still_untuned_model_leaves_the_kept_motion_undefined(make_run):
    data = make_run(people=2, prompts=1)
    for cell in data.cells:
        data = with_score(data, "base", cell, flow_magnitude=0.0)
    assert math.isnan(aggregate(data).kept["personalvideo"]["flow_kept"].value)


def test_one_person_has_numbers_and_no_intervals(make_run):
    score = aggregate(make_run(people=1)).scores["base"]["clip_t"]
    assert not math.isnan(score.value)
    assert math.isnan(score.interval.low)
