"""Seconds to measure a video: all features of one pass."""

from __future__ import annotations

import numpy as np

from pvbench.video import Video


def test_all_features_of_a_video(benchmark, profile):
    from pvbench.evaluator import Evaluators, FeaturePlan

    evaluators = Evaluators(FeaturePlan(profile), "cpu")
    frames = np.random.default_rng(0).integers(0, 256, (8, 64, 64, 3), dtype=np.uint8)
    benchmark.pedantic(evaluators.all, args=("video", Video(frames, 8.0)), rounds=5, warmup_rounds=1)
