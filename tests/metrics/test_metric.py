"""What holds for every metric: names, signatures, independence of the batch, refusal of broken features."""

import dataclasses
import json
import math

import numpy as np
import pytest

from pvbench.metrics import COLUMNS, EXTRA_COLUMNS, MetricError, load_metrics, score
from pvbench.metrics.dynamic_degree import DynamicDegree
from pvbench.metrics.fvd import Fvd
from pvbench.metrics.metric import Column

METRICS = [type(metric) for metric in load_metrics()]

EVALUATORS: dict[str, dict[str, object]] = {
    "face": {"name": "arc", "weights": "0" * 64, "size": 48},
    "clip": {"name": "clip", "weights": "1" * 64},
    "flow": {"name": "dis", "preset": "medium"},
    "video": {"name": "c3d", "weights": "2" * 64},
}


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


def features_of(seed: int, frames: int = 6, missing: tuple[int, ...] = (2,)) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    detected = np.ones(frames, np.float32)
    face, crop = unit(rng.normal(size=(frames, 16))), unit(rng.normal(size=(frames, 12)))
    for frame in missing:
        detected[frame] = 0
        face[frame] = crop[frame] = np.nan
    return {
        "face/embedding": face,
        "face/detected": detected,
        "face/box": np.zeros((frames, 4), np.float32),
        "face/count": detected.copy(),
        "clip/frame": unit(rng.normal(size=(frames, 12))),
        "clip/face": crop,
        "flow/top5": rng.uniform(0, 4, size=frames - 1).astype(np.float32),
        "flow/mean": rng.uniform(0, 1, size=frames - 1).astype(np.float32),
        "flow/size": np.array([64, 64], np.float32),
        "flow/fps": np.array([8], np.float32),
        "video/embedding": rng.normal(size=20).astype(np.float32),
        "reference/face": unit(rng.normal(size=(5, 16))),
        "reference/clip": unit(rng.normal(size=(5, 12))),
        "reference/clip_face": unit(rng.normal(size=(5, 12))),
        "text/clip": unit(rng.normal(size=12)),
    }


def test_the_columns_are_those_of_the_scores_file():
    per_video = [column.name for metric in METRICS for column in metric.columns]
    assert per_video == [
        "face_sim",
        "face_sim_detected",
        "face_detected",
        "dynamic_degree",
        "flow_magnitude",
        "temporal_consistency",
        "clip_t",
        "clip_i",
        "clip_i_face",
    ]
    assert [column.name for column in Fvd.columns] == ["fvd", "fvd_base", "kvd"]
    assert set(COLUMNS) == {*per_video, "fvd", "fvd_base", "kvd", *EXTRA_COLUMNS}


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_a_score_does_not_depend_on_the_other_videos_of_the_batch(metric):
    batch = [features_of(seed) for seed in range(4)]
    together = metric().rows(batch)
    alone = np.concatenate([metric().rows([features]) for features in batch])
    np.testing.assert_array_equal(together, alone)
    np.testing.assert_array_equal(metric().rows(batch[::-1]), together[::-1])


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_scores_stay_within_their_columns_limits(metric):
    rows = metric().rows([features_of(seed) for seed in range(20)])
    for column, values in zip(metric.columns, rows.T, strict=True):
        assert (values >= column.limits[0]).all()
        assert (values <= column.limits[1]).all()


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_every_declared_need_is_read_and_named_when_it_is_missing(metric):
    for needed in metric.needs:
        features = features_of(0)
        del features[needed]
        with pytest.raises(MetricError, match=f"{metric.name} needs the feature '{needed}'"):
            metric().rows([features])


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_only_the_declared_needs_are_read(metric):
    features = features_of(0)
    needed = {name: features[name] for name in metric.needs}
    np.testing.assert_array_equal(metric().rows([needed]), metric().rows([features]))


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_broken_features_are_refused_and_never_become_a_number(metric):
    for needed in metric.needs:
        for value in (np.nan, np.inf):
            features = features_of(0)
            broken = features[needed].copy()
            broken[0] = value
            features[needed] = broken
            with pytest.raises(MetricError):
                metric().rows([features])


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_no_videos_give_no_rows_and_an_undefined_mean(metric):
    rows = metric().rows([])
    assert rows.shape == (0, len(metric.columns))
    assert all(math.isnan(value) for value in metric().aggregate(rows).values())


def test_the_aggregate_is_the_mean_over_the_videos_that_have_a_value():
    faces = METRICS[0]()
    rows = np.array([[0.0, math.nan, 0.0], [0.6, 0.8, 0.75]])
    assert faces.aggregate(rows) == {"face_sim": 0.3, "face_sim_detected": 0.8, "face_detected": 0.375}


def test_score_gives_every_column_by_name():
    assert list(score(features_of(0), load_metrics())) == [c.name for metric in METRICS for c in metric.columns]


def test_a_signature_is_short_under_a_table_and_complete_in_json():
    signature = METRICS[0]().signature(EVALUATORS).having(n=160)
    assert signature.short.startswith("face_sim.v1 | face:arc@")
    assert signature.short.endswith("missing:0 | mean:frames | reference:template | n:160")
    assert signature.long["evaluators"] == {"face": EVALUATORS["face"]}
    assert json.loads(json.dumps(signature.long)) == signature.long


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_another_weight_file_gives_another_signature(metric):
    def with_weights(letter: str) -> dict[str, dict[str, object]]:
        return {part: {**made_by, "weights": letter * 64} for part, made_by in EVALUATORS.items()}

    assert metric().signature(with_weights("a")).short != metric().signature(with_weights("b")).short
    assert metric().signature(EVALUATORS) == metric().signature(EVALUATORS)


def test_settings_of_a_profile_reach_the_metric_and_its_signature():
    metrics = load_metrics({"dynamic_degree": {"threshold_scale": 0.5}, "face_sim": {"reference": "nearest"}})
    signatures = {metric.name: metric.signature(EVALUATORS).short for metric in metrics}
    assert "threshold_scale:0.5" in signatures["dynamic_degree"]
    assert "reference:nearest" in signatures["face_sim"]


def test_unknown_metrics_and_settings_are_refused_with_the_nearest_name():
    with pytest.raises(MetricError, match="did you mean 'face_sim'"):
        load_metrics({"face_simm": {}})
    with pytest.raises(MetricError, match="did you mean 'threshold_scale'"):
        load_metrics({"dynamic_degree": {"treshold_scale": 1.0}})
    with pytest.raises(MetricError, match="one of template, nearest"):
        load_metrics({"face_sim": {"reference": "mean"}})
    with pytest.raises(MetricError, match="above 0"):
        load_metrics({"dynamic_degree": {"threshold_scale": 0.0}})
    with pytest.raises(MetricError, match="is a float, not 'high'"):
        load_metrics({"dynamic_degree": {"threshold_scale": "high"}})


def test_a_whole_number_is_a_float_setting_too():
    assert load_metrics({"dynamic_degree": {"threshold_scale": 2}})[1] == DynamicDegree(threshold_scale=2.0)


@pytest.mark.parametrize("metric", [*METRICS, Fvd], ids=lambda metric: metric.name)
def test_settings_cannot_be_changed_after_they_were_signed(metric):
    assert dataclasses.fields(metric) == () or metric.__dataclass_params__.frozen
    assert metric.__dataclass_params__.frozen


def test_columns_print_as_the_papers_table_does():
    assert COLUMNS["face_sim"].text(0.62351) == "62.35"
    assert COLUMNS["temporal_consistency"].text(0.99351) == "0.9935"
    assert COLUMNS["fvd"].text(1272.321) == "1272.32"
    assert COLUMNS["face_sim_detected"].text(math.nan) == "–"
    assert COLUMNS["face_sim"].text(-0.00001) == "0.00"
    assert COLUMNS["fvd"].header == "FVD ↓"
    assert Column("x", "X", "px", True).header == "X ↑"
