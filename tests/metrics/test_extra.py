"""The extra metrics, on values worked by hand."""

import math
from pathlib import Path

import numpy as np
import pytest

from pvbench.features.differences import frame_differences
from pvbench.features.flow import flow_fields, warping_errors
from pvbench.metrics import (
    EXTRA_COLUMNS,
    PAPER,
    SETS,
    Metric,
    MetricError,
    choose,
    installed,
    load_metrics,
    metric_class,
)
from pvbench.metrics.background_consistency import BackgroundConsistency
from pvbench.metrics.hps_score import HpsScore
from pvbench.metrics.identity_consistency import IdentityConsistency
from pvbench.metrics.metric import Signed
from pvbench.metrics.subject_consistency import SubjectConsistency
from pvbench.metrics.temporal_flickering import TemporalFlickering
from pvbench.metrics.warping_error import WarpingError

EXTRA = [one for one in installed() if one.name not in PAPER and issubclass(one, Metric)]


def unit(*degrees):
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def faces(*degrees, missing=()):
    embedding, detected = unit(*degrees), np.ones(len(degrees), np.float32)
    embedding[list(missing)], detected[list(missing)] = np.nan, 0
    return {"face/embedding": embedding, "face/detected": detected}


def test_pairs_of_faces_and_first_with_last():
    found = IdentityConsistency().rows([faces(0, 60, 90), faces(0, 45, 90, missing=[1]), faces(10, 10, 10)])
    expected = [((0.5 + 0 + math.cos(math.radians(30))) / 3, 1.0), (0.0, 1.0), (1.0, 0.0)]
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_with_fewer_than_two_faces_there_is_no_consistency():
    assert np.isnan(IdentityConsistency().rows([faces(0, 1, missing=[0]), faces(5)])).all()


def test_the_order_of_frames_moves_drift_and_not_consistency():
    one, other = IdentityConsistency().rows([faces(0, 50, 20), faces(0, 20, 50)])
    assert one[0] == pytest.approx(other[0])
    assert one[1] < other[1]


def test_the_frame_before_and_the_first_count_alike_and_negatives_nothing():
    (value,) = BackgroundConsistency().rows([{"clip/frame": unit(0, 60, 120)}])[0]
    # Second: 0.5 and 0.5; third: 0.5 to the one before, -0.5 to the first, which counts 0.
    assert value == pytest.approx((0.5 + 0.25) / 2, abs=1e-6)
    assert BackgroundConsistency().rows([{"clip/frame": unit(0, 0)}])[0, 0] == pytest.approx(1)
    assert math.isnan(BackgroundConsistency().rows([{"clip/frame": unit(0)}])[0, 0])


def test_subject_consistency_is_the_same_of_dinos_features():
    (value,) = SubjectConsistency().rows([{"dino/frame": unit(0, 60, 120)}])[0]
    assert value == pytest.approx((0.5 + 0.25) / 2, abs=1e-6)
    assert math.isnan(SubjectConsistency().rows([{"dino/frame": unit(0)}])[0, 0])


def test_the_hps_score_is_the_mean_of_bare_cosines():
    (value,) = HpsScore().rows([{"hps/frame": unit(0, 60, 90), "text/hps": unit(0)[0]}])[0]
    assert value == pytest.approx(0.5, abs=1e-6)
    with pytest.raises(MetricError, match="text/hps"):
        HpsScore().rows([{"hps/frame": unit(0), "text/hps": np.ones(3, np.float32)}])


def test_the_mean_error_over_pairs():
    assert WarpingError().rows([{"flow/warp_error": np.array([0.1, 0.3], np.float32)}])[0, 0] == pytest.approx(0.2)
    assert math.isnan(WarpingError().rows([{"flow/warp_error": np.empty(0, np.float32)}])[0, 0])
    with pytest.raises(MetricError):
        WarpingError().rows([{"flow/warp_error": np.array([np.nan], np.float32)}])


def steadiness(frames):
    return TemporalFlickering().rows([{"pixels/difference": frame_differences(frames)}])[0, 0]


def test_temporal_flickering_is_what_is_left_of_255():
    grey = np.stack([np.full((24, 32, 3), level, np.uint8) for level in (0, 51, 51)])
    # Changes of 51 and 0 of 255 levels: .1 on average.
    assert steadiness(grey) == pytest.approx(0.9, abs=1e-7)
    assert steadiness(grey[::-1]) == pytest.approx(0.9, abs=1e-7)
    assert steadiness(np.stack([grey[0], grey[0] + np.uint8(255)])) == 0


def test_of_a_single_frame_there_is_no_flicker_and_what_is_not_finite_is_told():
    assert math.isnan(steadiness(np.zeros((1, 24, 32, 3), np.uint8)))
    with pytest.raises(MetricError, match="pixels/difference"):
        TemporalFlickering().rows([{"pixels/difference": np.array([np.nan], np.float32)}])


def test_a_frozen_video_has_the_best_flicker_and_movement_costs_as_flicker_does():
    moving = shifted(6, 3)
    frozen = np.repeat(moving[:1], 6, axis=0)
    flickering = frozen.copy()
    flickering[1::2] = (flickering[1::2] * 0.7).astype(np.uint8)
    assert steadiness(frozen) == 1
    assert steadiness(moving) < steadiness(flickering) < 1


def shifted(count, step):
    """A picture of noise that moves `step` pixels to the right each frame."""
    wide = np.random.default_rng(0).integers(0, 256, (24, 60, 3), dtype=np.uint8)
    return np.stack([wide[:, 20 - step * t : 52 - step * t] for t in range(count)])


def constant(x, pairs=1):
    return [np.broadcast_to(np.array([x, 0], np.float32), (24, 32, 2)).copy()] * pairs


def test_a_picture_that_moves_as_the_flow_says_has_no_error():
    frames = shifted(2, 3)
    assert warping_errors(frames, constant(3.0), constant(-3.0))[0] == pytest.approx(0, abs=1e-9)
    assert warping_errors(frames, constant(0.0), constant(0.0))[0] > 0.05


def test_what_is_hidden_in_one_frame_does_not_count():
    frames = shifted(2, 3)
    frames[1, :, :16] = 0
    there, back = constant(3.0), constant(-3.0)
    back[0] = back[0].copy()
    back[0][:, :16] = 9.0  # the black half leads back to nowhere
    assert warping_errors(frames, there, back)[0] == pytest.approx(0, abs=1e-9)


def test_a_squared_difference_by_hand():
    frames = np.stack([np.full((24, 32, 3), level, np.uint8) for level in (0, 51, 51)])
    still = constant(0.0, 2)
    np.testing.assert_allclose(warping_errors(frames, still, still), [0.04, 0], atol=1e-6)


def test_flicker_has_a_larger_error_than_smooth_motion():
    smooth = shifted(6, 1)
    smooth = np.stack([np.asarray(frame, np.uint8) for frame in smooth])
    flicker = smooth.copy()
    flicker[1::2] = (flicker[1::2] * 0.7).astype(np.uint8)

    def error(frames):
        return warping_errors(frames, flow_fields(frames), list(flow_fields(frames[::-1]))[::-1]).mean()

    assert error(flicker) > 2 * error(smooth)


def test_extra_metrics_are_made_where_they_are_named_alone():
    assert {metric.name for metric in load_metrics()} == set(PAPER) - {"fvd"}
    named = load_metrics({}, ("warping_error", "clip_t"))
    assert [metric.name for metric in named] == ["clip_t", "warping_error"]
    assert set(EXTRA_COLUMNS) == {column.name for metric in EXTRA for column in metric.columns}


@pytest.mark.parametrize("name", SETS)
def test_a_protocol_stands_for_metrics_that_there_are(name):
    assert choose(name) == SETS[name]
    assert all(issubclass(metric_class(metric), Signed) for metric in SETS[name])


def test_protocols_and_metrics_are_named_together_and_each_is_made_once():
    assert choose("opens2v,ipvg,consisid,clip_t") == (*SETS["opens2v"], *SETS["consisid"], "clip_t")


def test_a_protocol_that_is_unknown_is_refused_with_the_nearest():
    with pytest.raises(MetricError, match=r"unknown metric 'opensv2' \(did you mean 'opens2v'\?\); known: all, "):
        choose("opensv2")


def test_every_protocol_is_on_the_page_of_published_numbers():
    page = (Path(__file__).parents[2] / "docs" / "published_numbers.md").read_text(encoding="utf-8")
    assert [name for name in SETS if f"`{name}`" not in page] == []


def test_sets_name_what_their_networks_compute():
    assert SETS["opens2v"] == ("opens2v_face", "opens2v_aesthetic", "opens2v_motion")
    assert SETS["vbench"][-1] == "aesthetic_quality"
