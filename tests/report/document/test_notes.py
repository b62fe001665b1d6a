"""What a reader is told below the tables: who competes, what the intervals cover, what could not have been decided."""

import dataclasses
import re

from pvbench.report.document.notes import detectable_notes, main_notes, power_notes, separation_notes, signature_lines
from pvbench.report.statistics.aggregate import aggregate

ROWS = {"base": 0.1, "dreambooth_lora": 0.3, "personalvideo": 0.5, "oracle": 0.9}


def told(data, notes=main_notes):
    return "\n".join(notes(data, aggregate(data)))


class TestTheMainNotes:
    def test_bold_and_underline_are_explained_where_there_are_rivals_enough(self, planted):
        two, three = planted(**ROWS), planted(**ROWS, magicme=0.2)
        assert "Bold: significantly better than every other method" in told(two)
        assert "underlined" not in told(two)
        assert "underlined: than every other but the best" in told(three)

    def test_a_single_method_has_no_rival_to_be_better_than(self, make_run):
        data = make_run(labels=("base", "personalvideo", "oracle"))
        assert "Bold:" not in told(data)
        assert "`base` is the untuned model (floor)" in told(data)

    def test_every_row_that_does_not_compete_is_named_by_its_role(self, make_run):
        labels = ("base", "dreambooth_lora", "personalvideo", "still_photo", "oracle", "retake")
        text = told(make_run(labels=labels))
        for said in ("`base` is the untuned", "`oracle` the true person", "`retake` the same once more", "controls do"):
            assert said in text
        assert "they do not compete" in text

    def test_intervals_say_how_many_people_and_prompts_they_are_over(self, make_run):
        assert "over the 8 people and the 4 prompts" in told(make_run())
        assert "over the 3 people. FVD" in told(make_run(people=3, prompts=1))
        assert "over the 8 people, under these prompts: 2 say nothing of others" in told(make_run(prompts=2))
        assert "Small print" not in told(make_run(people=1))

    def test_missing_cells_are_told(self, make_run):
        assert "measured/planned" not in told(make_run())
        assert "measured/planned" in told(make_run(failed=(("base", "ada", "p01"),)))

    def test_a_reports_own_remarks_are_told(self, make_run):
        data = dataclasses.replace(make_run(), remarks=("Two videos were cut short.",))
        assert "Two videos were cut short." in told(data)


class TestSeparation:
    def test_numbers_that_do_not_separate_are_named(self, planted):
        blind = planted(**{**ROWS, "oracle": 0.1})
        assert "no row is best: Face Sim." in told(blind, separation_notes)
        assert "Face Sim." not in told(planted(**ROWS), separation_notes)

    def test_without_a_floor_or_a_ceiling_nothing_is_said(self, make_run):
        for labels in (("dreambooth_lora", "oracle"), ("base", "dreambooth_lora")):
            assert told(make_run(labels=labels), separation_notes) == ""


class TestPower:
    def test_few_people_can_prove_nothing(self, make_run):
        assert "With 4 people the smallest p of the sign-flip test is 0.125" in told(make_run(people=4), power_notes)
        assert "With 1 person" in told(make_run(people=1), power_notes)

    def test_many_rivals_need_more_people(self, make_run):
        labels = ("base", "dreambooth_lora", "magicme", "id_animator", "consisid", "personalvideo", "oracle")
        text = told(make_run(labels=labels), power_notes)
        # Ten pairs of five methods at 2 / 2^8 each.
        assert "With 8 people and 10 tests (methods) the smallest p after Holm is 0.0781" in text
        assert told(make_run(people=10, labels=labels), power_notes) == ""

    def test_enough_people_are_told_nothing(self, make_run):
        assert told(make_run(), power_notes) == ""


class TestWhatIsDetectable:
    def test_the_size_of_a_difference_that_would_be_found_is_said_of_each_number(self, make_run):
        text = told(make_run(), detectable_notes)
        assert re.search(r"With these 8 people .* in four of five such runs .*: Face Sim\. \d+\.\d", text)
        assert "which does not make methods equal" in text

    def test_where_nothing_could_be_significant_nothing_is_said(self, make_run):
        assert told(make_run(people=4), detectable_notes) == ""

    def test_a_single_method_has_no_pair(self, make_run):
        assert told(make_run(labels=("base", "personalvideo", "oracle")), detectable_notes) == ""


def test_signatures_stand_once_each_without_the_number_of_videos(make_run):
    data = make_run(failed=(("base", "ada", "p01"),))
    lines = list(signature_lines(data, aggregate(data), ("face_sim", "face_detected", "clip_t")))
    assert len(lines) == 2
    assert all("n:" not in line.split("|")[-1] for line in lines)
    assert lines[0].startswith("face_sim.v1 | face:score-face@")
