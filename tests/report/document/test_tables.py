"""What the tables show of planted truths: places, letters, separation, tests, floors, people who stand apart."""

import dataclasses
import math

import pytest

from pvbench.report.document.tables import (
    beside_tables,
    comparison_table,
    extra_table,
    fvd_table,
    identity_table,
    kept_table,
    listed,
    main_table,
    outlying_table,
    row_letters,
)
from pvbench.report.statistics.aggregate import aggregate

ROWS = {"base": 0.1, "dreambooth_lora": 0.3, "personalvideo": 0.5, "oracle": 0.9}


def rows_of(table):
    """The table's rows by the name that stands in them, without its role."""
    return {row[1].text.partition(" (")[0]: row for row in table.rows}


def column(table, header):
    return next(i for i, head in enumerate(table.header) if head.startswith(header))


class TestTheMainTable:
    def test_rows_stand_in_the_order_of_roles_with_their_letters_and_roles(self, make_run):
        labels = ("oracle", "retake", "still_photo", "personalvideo", "base")
        data = make_run(labels=labels)
        table = main_table(data, aggregate(data))
        names = [row[1].text for row in table.rows]
        assert names[:5] == [
            "base (floor)",
            "personalvideo",
            "still_photo (control)",
            "oracle (ceiling)",
            "retake (ceiling again)",
        ]
        assert [row[0].text for row in table.rows[:5]] == ["a", "b", "c", "d", "e"]
        # A rule between any two roles, and one above the line of separation.
        assert table.rules == (1, 2, 3, 4, 5)

    def test_a_planted_winner_is_bold_and_says_whom_it_beats(self, planted):
        data = planted(**ROWS)
        table = main_table(data, aggregate(data))
        face = column(table, "Face Sim.")
        rows, letters = rows_of(table), row_letters(data)
        assert rows["personalvideo"][face].place == "best"
        assert set(rows["personalvideo"][face].letters) == {letters["dreambooth_lora"], letters["base"]}
        assert rows["dreambooth_lora"][face].place == ""
        assert rows["oracle"][face].place == ""

    def test_the_line_of_separation_says_yes_no_reversed_and_not_tested(self, planted):
        for oracle, expected in ((0.9, "yes"), (0.1, "no"), (-0.5, "reversed")):
            data = planted(**{**ROWS, "oracle": oracle})
            table = main_table(data, aggregate(data))
            last = table.rows[-1]
            assert last[1].text == "ceiling above floor?"
            assert last[column(table, "Face Sim.")].text == expected
            # Without a retake FVD has no row that could stand for the ceiling.
            assert last[column(table, "FVD")].text == "–"
            assert last[column(table, "FVD")].below == "not tested"

    def test_the_effect_is_above_zero_where_the_ceiling_is_better_also_where_low_is_good(self, planted, make_run):
        data = planted(**ROWS)
        face = main_table(data, aggregate(data)).rows[-1][2]
        assert face.below.startswith("d ")
        assert float(face.below.split(",")[0][2:]) > 0
        drift = planted(column="identity_drift", **{**ROWS, "oracle": 0.0})
        asked = dataclasses.replace(drift, metrics=("face_sim", "identity_consistency"))
        scores = {
            label: {cell: {"identity_consistency": 0.5, **values} for cell, values in of_label.items()}
            for label, of_label in asked.scores.items()
        }
        asked = dataclasses.replace(asked, scores=scores)
        table = extra_table(asked, aggregate(asked))
        entry = table.rows[-1][column(table, "ID drift")]
        assert entry.text == "yes"
        assert float(entry.below.split(",")[0][2:]) > 0

    def test_without_floor_and_ceiling_there_is_no_such_line(self, make_run):
        data = make_run(labels=("dreambooth_lora", "personalvideo"))
        table = main_table(data, aggregate(data))
        assert len(table.rows) == 2

    def test_videos_are_counted_and_missing_ones_named(self, make_run):
        data = make_run(failed=(("personalvideo", "ada", "p01"),))
        table = main_table(data, aggregate(data))
        assert rows_of(table)["personalvideo"][-1].text == "31/32"
        assert rows_of(table)["base"][-1].text == "32/32"

    def test_more_than_twenty_six_rows_have_letters_of_two(self, make_run):
        data = make_run(people=2, prompts=1)
        many = tuple(dataclasses.replace(data.variants[1], label=f"row{i}") for i in range(28))
        letters = list(row_letters(dataclasses.replace(data, variants=many)).values())
        assert letters[:2] == ["a", "b"]
        assert letters[25:] == ["z", "aa", "ab"]


class TestOtherTables:
    def test_companions_and_extra_metrics_are_tables_of_their_own(self, make_run):
        data = make_run()
        numbers = aggregate(data)
        who, rest = beside_tables(data, numbers)
        assert any(head.startswith("Faces found") for head in who.header)
        assert any(head.startswith("Flow") for head in rest.header)
        assert not set(who.header[2:-1]) & set(rest.header)
        assert extra_table(data, numbers) is None
        only = dataclasses.replace(data, metrics=("clip_t",))
        assert beside_tables(only, aggregate(only)) == ()

    def test_every_test_is_listed_with_its_winner(self, planted):
        data = planted(**ROWS)
        table = comparison_table(data, aggregate(data))
        face = table.rows[: next(i for i, row in enumerate(table.rows) if i and row[0].text)]
        pairs = {(row[1].text, row[2].text): row for row in face}
        methods = pairs["dreambooth_lora", "personalvideo"]
        assert methods[3].text == "-20.00" or float(methods[3].text) == pytest.approx(-20, abs=1)
        assert methods[3].place == "best"
        assert methods[6].text == "8"
        assert methods[7].text == "32"

    def test_people_who_stand_apart_are_named(self, planted):
        data = planted(**ROWS)
        broken = data.people[3].name
        scores = {
            label: {
                cell: {**values, "face_sim": -0.9} if (label, cell.identity) == ("dreambooth_lora", broken) else values
                for cell, values in of_label.items()
            }
            for label, of_label in data.scores.items()
        }
        named = self.faces_apart(dataclasses.replace(data, scores=scores))
        assert named
        assert self.faces_apart(data) == []
        assert {row[3].text for row in named} == {broken}
        assert all("dreambooth_lora" in (row[1].text, row[2].text) for row in named)

    def faces_apart(self, data):
        table = outlying_table(aggregate(data))
        return [row for row in table.rows if row[0].text == "Face Sim."] if table else []

    def test_face_sim_of_each_person_is_the_mean_of_the_persons_videos(self, planted):
        data = planted(**ROWS)
        table = identity_table(data, aggregate(data))
        assert [row[0].text for row in table.rows] == [one.name for one in data.identities]
        values = [values["face_sim"] for cell, values in data.scores["base"].items() if cell.identity == "ada"]
        assert float(table.rows[0][1].text) == pytest.approx(100 * sum(values) / len(values), abs=0.01)

    def test_shares_are_of_the_way_from_floor_to_ceiling(self, planted):
        data = planted(**ROWS)
        table = kept_table(data, aggregate(data))
        gained = table.header.index("Face gained")
        rows = {row[0].text: row for row in table.rows}
        assert float(rows["personalvideo"][gained].text) == pytest.approx(50, abs=1)
        assert float(rows["dreambooth_lora"][gained].text) == pytest.approx(25, abs=1)
        assert rows["oracle (ceiling)"][gained].text == "–"

    def test_the_floor_of_fvd_is_the_retakes_where_there_is_one(self, make_run):
        with_retake = make_run(labels=("base", "personalvideo", "oracle", "retake"))
        without = dataclasses.replace(with_retake, variants=with_retake.variants[:-1])
        for data, said in ((with_retake, "the distance of the retake"), (without, "The row `retake` gives a better")):
            table = fvd_table(data, aggregate(data))
            assert any(said in note for note in table.notes)
            floors = {row[5].text for row in table.rows if row[0].text == "rendered"}
            assert len(floors) == 1
        retake = next(
            row
            for row in fvd_table(with_retake, aggregate(with_retake)).rows
            if (row[0].text, row[1].text) == ("rendered", "retake (ceiling again)")
        )
        assert retake[2].text == retake[5].text

    def test_fvd_is_the_sum_of_its_terms(self, make_run):
        data = make_run()
        for row in fvd_table(data, aggregate(data)).rows:
            total, means, covariances = (float(entry.text) for entry in row[2:5])
            assert total == pytest.approx(means + covariances, abs=0.02)

    def test_without_a_reference_set_there_is_no_table_of_fvd(self, make_run):
        data = make_run(labels=("dreambooth_lora", "personalvideo"))
        assert fvd_table(data, aggregate(data)) is None


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({}, "–"),
        ({"steps": 45, "mask": True, "scr": False}, "steps 45, mask on, scr off"),
        ({"weights": "ab" * 32}, f"weights {'ab' * 6}…"),
        ({"size": (64, 64), "inner": {"a": 1}}, "size 64 64, inner (a 1)"),
    ],
)
def test_facts_are_listed_in_one_line(facts, expected):
    assert listed(facts) == expected


def test_a_number_that_is_not_there_is_a_dash(make_run):
    data = make_run(people=2, prompts=1)
    numbers = aggregate(data)
    assert math.isnan(numbers.scores["oracle"]["fvd"].value)
    table = main_table(data, numbers)
    entry = rows_of(table)["oracle"][column(table, "FVD")]
    assert (entry.text, entry.below) == ("–", "is the reference set")
