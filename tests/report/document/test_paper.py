"""The published numbers, as they stand in the paper and its notes."""

from pvbench.metrics import COLUMNS
from pvbench.report.document.paper import ablation_table, paper_table, published_ablations, published_table
from pvbench.report.statistics.aggregate import aggregate


def test_table_one_is_the_papers():
    table = published_table()
    rows = {row.name: [row.values[name] for name in table.columns] for row in table.rows}
    assert rows == {
        "DreamBooth": [42.62, 13.86, 1325.89, 0.9919, 26.26, 44.27],
        "MagicMe": [50.51, 11.88, 1336.73, 0.9928, 25.48, 73.03],
        "IDAnimator": [43.88, 14.33, 1538.44, 0.9912, 24.33, 50.23],
        "ConsisID": [53.22, 15.22, 1622.21, 0.9923, 25.39, 74.58],
        "PersonalVideo": [62.35, 17.80, 1272.32, 0.9935, 26.30, 76.48],
    }
    assert set(table.columns) <= set(COLUMNS)


def test_ours_stand_beside_the_papers_in_the_same_unit(make_run):
    data = make_run()
    numbers = aggregate(data)
    table = paper_table(data, numbers)
    rows = {row[0].text: [entry.text for entry in row[1:]] for row in table.rows}
    ours = COLUMNS["face_sim"].text(numbers.scores["personalvideo"]["face_sim"].value)
    assert rows["PersonalVideo"][:2] == [ours, "62.35"]
    assert rows["MagicMe"][:2] == ["–", "50.51"]
    assert all(len(row) == len(table.header) for row in table.rows)


def test_the_first_variant_of_a_method_stands_for_it(make_run):
    data = make_run(labels=("personalvideo", "personalvideo[scr=off]"))
    numbers = aggregate(data)
    row = paper_table(data, numbers).rows[-1]
    assert row[1].text == COLUMNS["face_sim"].text(numbers.scores["personalvideo"]["face_sim"].value)


def test_every_number_of_the_ablations_is_labelled_secondary():
    for ablation in published_ablations():
        assert "secondary" in ablation.source
        table = ablation_table(ablation)
        assert all("(secondary)" in head for head in table.header[1:])
        assert ablation.direction in table.notes[0]
    names = {row.name: row.values for ablation in published_ablations() for row in ablation.rows}
    assert names["without SCR"] == {"face_sim": 61.08, "clip_t": 26.38, "dynamic_degree": 13.22}
    assert len(published_ablations()) == 3
