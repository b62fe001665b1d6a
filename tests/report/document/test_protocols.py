"""Planted orders by two protocols: places, arrows, rank correlation, and when there is nothing to show."""

import dataclasses

import pytest

from pvbench.report.document.contents import contents
from pvbench.report.document.protocols import protocols_table, ranked
from pvbench.report.statistics.aggregate import aggregate

LABELS = ("base", "dreambooth_lora", "personalvideo", "magicme", "oracle")
FACE = {"base": 0.1, "dreambooth_lora": 0.3, "personalvideo": 0.5, "magicme": 0.2, "oracle": 0.9}
OPENS2V = {"base": 0.2, "dreambooth_lora": 0.6, "personalvideo": 0.55, "magicme": 0.3, "oracle": 0.9}


@pytest.fixture
def data(planted):
    """A run whose Face Sim. and FaceSim of OpenS2V order the two best methods differently."""
    run = planted(**FACE)
    scores = {
        label: {
            cell: {**of_cell, "opens2v_cur": OPENS2V[label], "opens2v_arc": FACE[label]}
            for cell, of_cell in of_label.items()
        }
        for label, of_label in run.scores.items()
    }
    return dataclasses.replace(run, scores=scores, metrics=("face_sim", "opens2v_face"))


def test_places_are_from_the_best_on_and_equal_values_share_one():
    assert ranked({"a": 0.1, "b": 0.5, "c": 0.5, "d": 0.3}) == {"a": 4, "b": 1, "c": 1, "d": 3}


def test_a_changed_place_has_an_arrow_and_floor_and_ceiling_have_none(data):
    table = protocols_table(data, aggregate(data))
    header = [head.partition(" ")[0] for head in table.header]
    assert header[0] == "Method"
    first = 1
    cur = next(i for i, head in enumerate(table.header) if head.startswith("OpenS2V FaceSim"))
    arc = next(i for i, head in enumerate(table.header) if head.startswith("OpenS2V Arc"))
    rows = {row[0].text: row for row in table.rows}
    assert rows["personalvideo"][first].below == "1."
    assert rows["personalvideo"][cur].below == "2. ↓"
    assert rows["dreambooth_lora"][cur].below == "1. ↑"
    assert rows["magicme"][cur].below == "3."
    assert rows["personalvideo"][arc].below == "1."
    assert rows["personalvideo"][cur].text == "55.00"
    assert rows["base"][cur].below == rows["oracle"][cur].below == ""
    tau = rows["tau to Face Sim."]
    assert (tau[first].text, tau[cur].text, tau[arc].text) == ("1.00", "0.33", "1.00")


def test_it_is_a_section_of_the_report_and_only_where_a_protocol_was_asked_for(data):
    numbers = aggregate(data)
    titles = [section.title for section in contents(data, numbers, ()).sections]
    assert "By every face protocol" in titles
    without = dataclasses.replace(data, metrics=("face_sim",))
    assert protocols_table(without, numbers) is None
    assert protocols_table(dataclasses.replace(data, metrics=None), numbers) is None


def test_one_method_has_no_order(data):
    alone = dataclasses.replace(
        data, variants=tuple(v for v in data.variants if v.label in ("base", "personalvideo", "oracle"))
    )
    assert protocols_table(alone, aggregate(alone)) is None
