"""Seconds a video, and what float32 costs beside bfloat16."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize("half", [True, False], ids=["bfloat16", "float32"])
def test_sampling_a_video(benchmark, backbone, half):
    kept, backbone.half = backbone.half, half
    try:
        benchmark.pedantic(backbone.sample, args=("a man in a red T-shirt on a beach", 1), rounds=3, warmup_rounds=1)
    finally:
        backbone.half = kept
