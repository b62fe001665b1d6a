"""Seconds to measure a video: all features of one pass, for the paper's numbers and for every column of the report."""

from __future__ import annotations

import pytest

FRAMES = 8
VIDEOS = 24


@pytest.mark.parametrize("columns", ["the paper's", "all"])
def test_all_features_of_a_video(benchmark, profile, columns):
    """True videos, in which every frame has a face: in noise no network but the detector would have anything to do."""
    from pvbench.evaluator import Evaluators, FeaturePlan
    from pvbench.metrics import choose, metric_class
    from pvbench.weights import weights_folder
    from pvbench.world.benchmark import read_archive

    wanted = None
    if columns == "all":
        default = {name for group in FeaturePlan(profile).groups for name in group.features}
        wanted = default | {need for name in choose(None, profile.metrics_default) for need in metric_class(name).needs}
    evaluators = Evaluators(FeaturePlan(profile, wanted), "cpu")
    folder = weights_folder(profile.evaluators["weights"])
    videos = list(read_archive(folder / "oracle" / "ada.mkv", FRAMES, profile.sampling.fps))[:VIDEOS]

    def measure() -> None:
        for video in videos:
            evaluators.all("video", video)

    benchmark.pedantic(measure, rounds=5, warmup_rounds=1)
