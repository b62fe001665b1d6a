"""The published numbers, as they stand in the paper and its notes."""

import dataclasses

import pytest

from pvbench.metrics import COLUMNS
from pvbench.report.document.contents import contents
from pvbench.report.document.paper import ablation_table, agreement_table, is_published, paper_table, statements_table
from pvbench.report.published import published_ablations, published_statements
from pvbench.report.statistics.aggregate import aggregate


def test_ours_stand_beside_the_papers_in_the_same_unit(make_run):
    data = make_run()
    numbers = aggregate(data)
    table = paper_table(data, numbers)
    rows = {row[0].text: [entry.text for entry in row[1:]] for row in table.rows}
    ours = COLUMNS["face_sim"].text(numbers.scores["personalvideo"]["face_sim"].value)
    assert rows["PersonalVideo"][:2] == [ours, "62.35"]
    assert rows["MagicMe"][:2] == ["–", "50.51"]
    assert all(len(row) == len(table.header) for row in table.rows)


@pytest.mark.parametrize(("labels", "shown"), [(("base", "oracle"), False), (("base", "magicme"), True)])
def test_published_numbers_stand_beside_published_methods_alone(make_run, labels, shown):
    data = make_run(people=2, prompts=2, labels=labels)
    titles = [section.title for section in contents(data, aggregate(data), ()).sections]
    assert ("Beside the published numbers" in titles) == shown


def test_a_folder_of_videos_is_no_published_method(make_run):
    data = make_run(people=2, prompts=2, labels=("personalvideo",))
    ours = dataclasses.replace(data.variants[0], method="videos")
    assert is_published(data)
    assert not is_published(dataclasses.replace(data, variants=(ours,)))


def test_the_first_variant_of_a_method_stands_for_it(make_run):
    data = make_run(labels=("personalvideo", "personalvideo[scr=off]"))
    numbers = aggregate(data)
    row = paper_table(data, numbers).rows[-1]
    assert row[1].text == COLUMNS["face_sim"].text(numbers.scores["personalvideo"]["face_sim"].value)


def test_every_number_of_the_ablations_is_labelled_secondary():
    for ablation in published_ablations():
        table = ablation_table(ablation)
        assert all("(secondary)" in head for head in table.header[1:])
        assert ablation.direction in table.notes[0]


def test_the_pairs_of_every_number_are_counted(planted):
    rows = {"dreambooth_lora": 0.2, "magicme": 0.4, "personalvideo": 0.6}
    data = planted(people=12, base=0.05, oracle=0.95, **rows)
    table = agreement_table(data, aggregate(data))
    assert len(table.rows) == 6
    face = [entry.text for entry in table.rows[0]]
    # Three of the ten pairs have both rows.
    assert face == ["Face Sim.", "3", "0", "0", "7", "3", "1.00"]
    assert table.rows[0][-1].below == "[1.00, 1.00]"
    assert all(sum(int(entry.text) for entry in row[1:5]) == 10 for row in table.rows)


def test_every_statement_has_our_number_and_a_verdict(planted):
    data = planted(base=0.05, oracle=0.95, dreambooth_lora=0.2, personalvideo=0.6)
    table = statements_table(data, aggregate(data))
    assert len(table.rows) == len(published_statements())
    first, second = ([entry.text for entry in row] for row in table.rows[:2])
    assert first[0] == "Face Sim.: personalvideo > dreambooth_lora"
    assert (first[1], first[2], first[-1]) == ("1 of 1", "safe", "reproduced")
    assert float(first[3]) == pytest.approx(40, abs=1)
    assert second[0] == "Face Sim.: consisid > id_animator"
    assert second[3:] == ["–", "–", "not tested"]
    assert any(row[0].text == "FVD: dreambooth_lora < magicme" for row in table.rows)
