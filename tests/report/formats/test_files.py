"""scores.csv and aggregates.json: complete, readable by other programs, honest about what is missing."""

import csv
import dataclasses
import io
import json
import math

from pytest import approx

from pvbench.metrics import VIDEO_COLUMNS
from pvbench.report.formats.files import aggregates_json, scores_csv
from pvbench.report.statistics.aggregate import aggregate


def lines(data):
    return list(csv.DictReader(io.StringIO(scores_csv(data))))


def test_there_is_a_line_for_every_cell_and_number(make_run):
    data = make_run(people=2, prompts=3)
    rows = lines(data)
    assert list(rows[0]) == ["method", "identity", "prompt", "seed", "metric", "value", "video", "text"]
    assert len(rows) == 4 * 2 * 3 * len(VIDEO_COLUMNS)
    assert [row["metric"] for row in rows[:9]] == list(VIDEO_COLUMNS)
    row = next(r for r in rows if r["method"] == "base" and r["metric"] == "clip_t")
    assert float(row["value"]) == approx(data.scores["base"][data.cells[0]]["clip_t"], rel=1e-8)


def test_a_failed_cell_has_empty_values_and_never_a_number(make_run):
    rows = lines(make_run(people=2, prompts=2, failed=(("base", "ada", "p02"),)))
    failed = [r for r in rows if (r["method"], r["identity"], r["prompt"]) == ("base", "ada", "p02")]
    assert len(failed) == len(VIDEO_COLUMNS)
    assert {row["value"] for row in failed} == {""}
    assert "" not in {row["value"] for row in rows if row not in failed}


def test_an_undefined_value_is_nan_and_not_empty(make_run):
    data = make_run(people=1, prompts=1)
    cell = data.cells[0]
    changed = {**data.scores["base"], cell: {**data.scores["base"][cell], "face_sim_detected": math.nan}}
    data = dataclasses.replace(data, scores={**data.scores, "base": changed})
    row = next(r for r in lines(data) if r["method"] == "base" and r["metric"] == "face_sim_detected")
    assert row["value"] == "nan"


def test_a_label_with_commas_survives_the_file(make_run):
    data = make_run(people=1, prompts=1, labels=("personalvideo[scr=off]",))
    variant = dataclasses.replace(data.variants[0], label="personalvideo[scr=off,span=0.5]")
    data = dataclasses.replace(data, variants=(variant,))
    assert lines(data)[0]["method"] == "personalvideo[scr=off,span=0.5]"


def test_aggregates_hold_value_interval_size_and_signature(make_run):
    data = make_run()
    content = json.loads(aggregates_json(data, aggregate(data)))
    score = content["methods"]["personalvideo"]["scores"]["face_sim"]
    assert score["interval"]["low"] < score["value"] < score["interval"]["high"]
    assert (score["n"], score["planned"]) == (32, 32)
    assert score["signature"].startswith("face_sim.v1 | face:score-face@")
    assert score["signature_long"]["evaluators"]["face"]["weights"] == "ab" * 32
    assert set(score["by_identity"]) == {identity.name for identity in data.identities}
    fvd = content["methods"]["personalvideo"]["scores"]["fvd"]
    assert fvd["interval"] is None
    assert "reference:rendered" in fvd["signature"]
    assert content["columns"]["face_sim"]["shown_times"] == 100


def test_aggregates_have_no_nan_which_json_does_not_know(make_run):
    data = make_run(people=1, prompts=1)
    text = aggregates_json(data, aggregate(data))
    assert "NaN" not in text
    content = json.loads(text)
    assert content["methods"]["oracle"]["scores"]["fvd"]["value"] is None
    assert content["methods"]["oracle"]["scores"]["fvd"]["note"] == "is the reference set"


def test_every_comparison_of_the_report_is_in_the_file(make_run):
    data = make_run()
    content = json.loads(aggregates_json(data, aggregate(data)))
    faces = [test for test in content["comparisons"] if test["metric"] == "face_sim"]
    # One pair of methods, two against the floor, two against the ceiling, and the ceiling against the floor.
    assert [test["question"] for test in faces].count("methods") == 1
    assert len(faces) == 6
    assert {"p", "p_holm", "better", "interval", "identities", "test", "effect", "outlying"} <= faces[0].keys()
    assert content["ceiling_above_floor"]["face_sim"] is True
    assert "fvd" not in content["ceiling_above_floor"]
