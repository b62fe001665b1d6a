"""The published numbers and statements, as they stand in the paper, its notes and other papers."""

import pytest

from pvbench.metrics import COLUMNS
from pvbench.report import published
from pvbench.report.published import published_ablations, published_statements, published_table


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


def test_every_number_of_the_ablations_is_labelled_secondary():
    for ablation in published_ablations():
        assert "secondary" in ablation.source
    names = {row.name: row.values for ablation in published_ablations() for row in ablation.rows}
    assert names["without SCR"] == {"face_sim": 61.08, "clip_t": 26.38, "dynamic_degree": 13.22}
    assert len(published_ablations()) == 3


def test_statements_name_methods_and_numbers_of_the_table_and_agree_with_it():
    """Table 1 is one of the papers that are counted, so no statement may hold in none."""
    table = published_table()
    values = {row.method: row.values for row in table.rows}
    for one in published_statements():
        assert one.column in table.columns
        assert 0 < one.holds <= one.of
        assert one.because
        difference = values[one.better][one.column] - values[one.worse][one.column]
        assert (difference > 0) == COLUMNS[one.column].higher_is_better, one


def test_an_expectation_of_another_word_is_refused(monkeypatch):
    line = {"column": "fvd", "better": "a", "worse": "b", "holds": 1, "of": 1, "expected": "sure", "because": "."}
    monkeypatch.setattr(published, "_read", lambda name: {"statement": [line]})
    with pytest.raises(ValueError, match="expects 'sure'; expected one of"):
        published_statements.__wrapped__()
