"""Seconds a frame of the miniature world at two sizes; skipped without the extra `world`."""

from __future__ import annotations

import numpy as np
import pytest


@pytest.mark.parametrize("size", [64, 256])
def test_rendering_a_video(benchmark, size):
    pytest.importorskip("anny", reason='needs pip install "pvbench[world]"')
    from pvbench.world.benchmark import benchmark_person
    from pvbench.world.figure import load_figure
    from pvbench.world.render import Shot, render

    figure = load_figure()
    person = benchmark_person(figure, "ada")
    draw = lambda: render(figure, person, Shot("nod"), np.random.default_rng(0), size=size)  # noqa: E731
    benchmark.pedantic(draw, rounds=3, warmup_rounds=1)
