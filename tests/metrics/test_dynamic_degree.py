"""VBench's dynamic degree, against its rule worked by hand and against values that VBench itself recorded."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pytest import approx

from pvbench.metrics import MetricError
from pvbench.metrics.dynamic_degree import (
    DynamicDegree,
    flow_threshold,
    is_dynamic,
    passes_needed,
    sampling_interval,
)


def video(magnitudes: list[float], size: tuple[int, int] = (256, 256), fps: float = 8.0) -> dict[str, np.ndarray]:
    return {
        "flow/top5": np.array(magnitudes, np.float32),
        "flow/size": np.array(size, np.float32),
        "flow/fps": np.array([fps], np.float32),
    }


def row(magnitudes, size=(256, 256), fps=8.0, **settings) -> tuple[float, ...]:
    return tuple(DynamicDegree(**settings).rows([video(magnitudes, size, fps)])[0])


@pytest.mark.parametrize(
    ("fps", "interval"), [(1, 1), (8, 1), (11.9, 1), (12, 2), (16, 2), (20, 2), (24, 3), (28, 4), (30, 4), (60, 8)]
)
def test_frames_are_kept_about_eight_times_a_second_with_halves_to_even(fps, interval):
    assert sampling_interval(float(fps)) == interval


@pytest.mark.parametrize(
    ("frames", "needed"),
    [(1, 0), (2, 0), (3, 1), (6, 2), (8, 2), (10, 2), (14, 4), (16, 4), (24, 6), (33, 8), (43, 11), (49, 12), (61, 15)],
)
def test_a_quarter_of_the_frames_must_pass_with_halves_to_even(frames, needed):
    assert passes_needed(frames) == needed


@pytest.mark.parametrize(
    ("size", "threshold"), [((512, 512), 12.0), ((480, 720), 11.25), ((720, 1280), 16.875), ((64, 64), 1.5)]
)
def test_the_threshold_grows_with_the_short_side(size, threshold):
    assert flow_threshold(*size) == threshold
    assert flow_threshold(size[1], size[0]) == threshold
    assert flow_threshold(size[0], size[1], scale=0.5) == threshold / 2


def test_enough_passes_make_a_video_dynamic_worked_by_hand():
    # Eight frames: two of the seven pairs must move more than 6.
    assert row([0, 0, 7, 0, 0, 0, 8])[0] == 1.0
    assert row([0, 0, 7, 0, 0, 0, 6])[0] == 0.0


def test_the_flow_is_the_mean_over_pairs_at_a_short_side_of_256():
    assert row([1, 2, 3], size=(64, 128))[1] == approx(2 * 256 / 64)


def test_the_flow_is_that_of_an_eighth_of_a_second():
    assert row([8.0] * 4, fps=6.0)[1] == approx(6.0)
    assert row([6.0] * 4, fps=8.0)[1] == approx(6.0)
    assert row([4.8] * 4, fps=10.0)[1] == approx(6.0)


def test_the_resolution_changes_neither_number():
    magnitudes = [0.5, 3.0, 7.0, 9.0, 1.0, 6.5, 2.0]
    small = row([value / 4 for value in magnitudes], size=(64, 64))
    assert small == approx(row(magnitudes, size=(256, 256)))


def test_the_threshold_itself_does_not_pass():
    assert not is_dynamic(np.full(7, 6.0), 6.0)
    assert is_dynamic(np.full(7, np.nextafter(6.0, 7.0)), 6.0)


def test_a_still_video_is_not_dynamic():
    assert row([0.0] * 15) == (0.0, 0.0)


def test_one_frame_is_not_dynamic():
    assert row([]) == (0.0, 0.0)


def test_two_frames_are_always_dynamic_as_in_vbench():
    assert row([0.0])[0] == 1.0


def test_the_order_of_the_pairs_does_not_matter():
    magnitudes = np.random.default_rng(0).uniform(0, 12, 15).tolist()
    assert row(magnitudes[::-1]) == approx(row(magnitudes))


def test_a_scaled_threshold_decides_between_slow_videos():
    assert row([4.0] * 7)[0] == 0.0
    assert row([4.0] * 7, threshold_scale=0.5)[0] == 1.0
    assert row([4.0] * 7, threshold_scale=0.5)[1] == row([4.0] * 7)[1]


def test_pairs_closer_in_time_than_the_rules_are_refused():
    with pytest.raises(MetricError, match="keep every 3th frame"):
        row([1.0] * 10, fps=24.0)


def test_flow_that_failed_is_refused_where_vbench_calls_the_video_static():
    with pytest.raises(MetricError, match="NaN or infinite"):
        row([1.0, float("nan")])


def recorded(reference: Path) -> list[tuple[str, dict[str, Any]]]:
    everything = json.loads((reference / "expected" / "dynamic_degree.json").read_text())
    return [*everything["clips"].items(), *everything["mp4"].items()]


def test_vbenchs_own_verdicts_thresholds_and_counts_are_reproduced(reference):
    checked = 0
    for name, case in recorded(reference):
        frames = len(case["scores"]) + 1
        assert passes_needed(frames) == case["count_num"], name
        assert is_dynamic(np.array(case["scores"]), case["thres"]) == case["moves"], name
        if "size" in case:
            assert flow_threshold(*case["size"]) == case["thres"], name
            magnitudes, size = case["scores"], tuple(case["size"])
            assert bool(row(magnitudes, size)[0]) == case["moves"], name
        checked += 1
    assert checked >= 8


def test_vbenchs_sampling_of_real_videos_is_reproduced(reference):
    av = pytest.importorskip("av")
    everything = json.loads((reference / "expected" / "dynamic_degree.json").read_text())["mp4"]
    for name, case in everything.items():
        with av.open(str(reference / "inputs" / "videos" / name)) as container:
            stream = container.streams.video[0]
            frames = sum(1 for _ in container.decode(stream))
            interval = sampling_interval(float(stream.average_rate))
            threshold = flow_threshold(stream.height, stream.width)
        kept = len(range(0, frames, interval))
        assert kept == len(case["scores"]) + 1, name
        assert threshold == case["thres"], name
