"""A folder of videos to be measured by evaluators that are quick, and its numbers."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
from example_inputs import EXAMPLE_PROFILE

from pvbench.measuring.measure import Measured
from pvbench.measuring.request import MeasureRequest
from pvbench.profile import load_profile
from pvbench.video import Video, write_video


def clip(path: Path, seed: int = 0, frames: int = 6) -> None:
    """Writes a video of noise, which the seed draws."""
    path.parent.mkdir(parents=True, exist_ok=True)
    array = np.random.default_rng(seed).integers(1, 255, (frames, 32, 24, 3), dtype=np.uint8)
    # A level of its own for each video, so that no two have the same numbers.
    write_video(path, Video(array // 2 + np.uint8(9 * (seed % 12)), 8.0))


def order(world: Path, *sources: Path, **options: Any) -> MeasureRequest:
    """A request to measure sources, by default all videos of the folder."""
    given: dict[str, Any] = {"identities": world / "people", "out": world / "out", "workers": 1} | options
    return MeasureRequest(sources or (world / "videos",), load_profile(EXAMPLE_PROFILE), **given)


def scores(measured: Measured) -> dict[tuple[str, ...], str]:
    """The values of scores.csv by method, identity, prompt, seed and metric."""
    with (measured.report / "scores.csv").open() as file:
        return {tuple(list(row.values())[:5]): row["value"] for row in csv.DictReader(file)}


def report_of(measured: Measured, method: str = "mine") -> dict[str, Any]:
    """A method's scores in aggregates.json."""
    found: dict[str, Any] = json.loads((measured.report / "aggregates.json").read_text())["methods"][method]["scores"]
    return found
