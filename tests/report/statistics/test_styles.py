"""Rows in a style: what is reached and kept, of numbers that were planted."""

import dataclasses
import json
import math

import pytest

from pvbench.report.document.style_table import style_table
from pvbench.report.formats.files import aggregates_json
from pvbench.report.statistics.aggregate import aggregate
from pvbench.report.statistics.styles import rows_in_styles

PLAIN = {"base": 0.1, "personalvideo": 0.5, "oracle": 0.9}
STYLED = {"base": 0.0, "personalvideo": 0.15, "oracle": 0.6}


@pytest.fixture
def styled(make_run):
    """A run with each row twice, the second time in a style; everything exact, so that shares come out as planned."""

    def make(left_out=(), reached=0.8, drift=0.0):
        rows = {f"{name}[style=cartoon]": name for name in STYLED} | {name: name for name in PLAIN}
        rows = {label: name for label, name in rows.items() if label not in left_out}
        data = make_run(people=8, prompts=2, labels=tuple(PLAIN))
        roles = {one.label: one.role for one in data.variants}
        variants = [
            dataclasses.replace(
                data.variants[0], label=label, method=name, plain=name, style="cartoon" if "[" in label else "",
                role="control" if "[" in label else roles[name],
            )
            for label, name in rows.items()
        ]  # fmt: skip
        scores = {}
        for label, name in rows.items():
            in_style = "[" in label
            face = (STYLED if in_style else PLAIN)[name]
            scores[label] = {
                cell: {
                    "face_sim": face + drift * (number % 2 - 0.5),
                    "flow_magnitude": 4.0 if name == "base" else 3.0,
                    "clip_t": 0.5 if name == "base" else 0.45,
                    "action_right": 0.8 if name == "base" else 0.6,
                    "style_cartoon": reached if in_style else 0.02,
                }
                for number, cell in enumerate(data.cells)
            }
        metrics = (*(data.metrics or ("face_sim", "dynamic_degree", "clip_t")), "prompt_parts", "style")
        return dataclasses.replace(data, variants=tuple(variants), scores=scores, metrics=metrics)

    return make


def test_shares_stand_between_floor_and_ceiling_of_the_same_style(styled):
    rows = {row.label: row for row in rows_in_styles(styled())}
    own = rows["personalvideo[style=cartoon]"]
    assert own.reached == pytest.approx(0.8)
    assert own.face.value == pytest.approx(0.15 / 0.6)
    assert own.face_without.value == pytest.approx(0.4 / 0.8)
    assert own.face_lost.value == pytest.approx(0.25)
    assert (own.flow.value, own.clip_t.value, own.action.value) == pytest.approx((0.75, 0.9, 0.75))
    assert own.p == pytest.approx(2**-8)


def test_the_ends_are_related_to_nothing_that_they_are_themselves(styled):
    rows = {row.label: row for row in rows_in_styles(styled())}
    base, oracle = rows["base[style=cartoon]"], rows["oracle[style=cartoon]"]
    assert base.face is base.flow is oracle.face is None
    assert math.isnan(base.p) and math.isnan(oracle.p)
    assert oracle.flow.value == pytest.approx(0.75)


@pytest.mark.parametrize("lacking", ["base[style=cartoon]", "oracle[style=cartoon]", "personalvideo", "oracle"])
def test_without_a_row_that_a_share_needs_there_is_no_share(styled, lacking):
    rows = {row.label: row for row in rows_in_styles(styled(left_out=(lacking,)))}
    own = rows["personalvideo[style=cartoon]"]
    assert own.face_lost is None
    assert (own.face is None) == (lacking != "personalvideo")
    assert (own.flow is None) == (lacking == "base[style=cartoon]")


def test_a_run_without_styles_has_no_table(make_run):
    assert rows_in_styles(make_run()) == ()
    assert style_table(make_run()) is None


def test_the_table_and_the_file_say_the_same(styled):
    data = styled(drift=0.02)
    table = style_table(data)
    row = next(row for row in table.rows if row[0].text.startswith("personalvideo"))
    assert [entry.text for entry in row[1:5]] == ["80.0", "25.0", "50.0", "25.0"]
    (told,) = (
        one
        for one in json.loads(aggregates_json(data, aggregate(data)))["styles"]
        if one["method"].startswith("personalvideo")
    )
    assert told["reached"] == pytest.approx(0.8)
    assert told["face"]["value"] == pytest.approx(0.25)
    assert told["face_without"]["value"] == pytest.approx(0.5)


def test_where_the_style_was_not_measured_a_dash_stands(styled):
    data = styled(reached=math.nan)
    assert {row[1].text for row in style_table(data).rows} == {"–"}
