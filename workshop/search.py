"""Searches a method's settings on the people and prompts for development, the same number of trials for each method.

    python -m workshop.search personalvideo --trials 20 --people 4 --prompts 6
    python -m workshop.search personalvideo --by-hand --people 4 --prompts 6
    python -m workshop.search personalvideo --best 3 --people 12 --prompts 12
    python -m workshop.search personalvideo_plus --leave-one-out --people 4 --prompts 6

Trial 0 has the method's defaults; the others are drawn at random from its space, seeded by method and number. Those
of `--by-hand` were set after the drawn ones were seen, equally many for each method. Every trial is a line of
docs/lab/search.csv. The same command goes on where it was stopped. The benchmark's people and
prompts are never touched.
"""

from __future__ import annotations

import argparse
import csv
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from pvbench.backbone import backbone_loader
from pvbench.digest import stable_seed
from pvbench.method import METHODS, settings_from
from pvbench.profile import load_profile
from pvbench.runner.grid import run_grid
from pvbench.runner.plan import Choice, make_plan
from pvbench.runner.progress import RichObserver
from pvbench.runner.scoring import score_run
from pvbench.store import Store

Space = Mapping[str, Sequence[Any]]

_KEYWORD: Space = {"token": ("none", "rare", "inverted")}
_REWARDS: Space = {
    "rate": (1e-3, 2e-3, 4e-3, 8e-3),
    "steps": (40, 80, 120),
    "temperature": (10.0, 25.0, 100.0),
    "gradient_steps": (1, 0),
    "rank": (4, 16),
    "targets": ("qkv", "qkv_motion"),
    "scr_frames": (4, 8),
    "prefixes": (6, 12),
    "jitter": (0.1, 0.2),
}
SPACES: Mapping[str, Space] = {
    # The keyword alone, which all methods share.
    "keyword": {
        "token_words": (2, 3, 5),
        "token_steps": (100, 200, 300),
        "token_rate": (5e-3, 1e-2, 2e-2, 4e-2),
    },
    "dreambooth_lora": {
        **_KEYWORD,
        "rate": (5e-4, 1e-3, 2e-3, 4e-3),
        "steps": (120, 240, 400),
        "rank": (4, 16, 32),
        "targets": ("qkv", "qkvo"),
    },
    "magicme": {
        "rate": (5e-3, 1e-2, 2e-2, 4e-2),
        "steps": (200, 400),
        "decay": (0.0, 1e-2),
        "correlation": (0.05, 0.15),
        "smallest": (0.6, 0.8, 1.0),
        "largest": (1.0, 1.4),
    },
    # The paper's prompts hold a keyword; with a rare one hair and skin stay the untuned model's (trial 1).
    "personalvideo": {"token": ("inverted",), **_REWARDS},
    "personalvideo_plus": {
        **_KEYWORD,
        **_REWARDS,
        "rate": (4e-4, 8e-4, 2e-3, 4e-3),
        "steps": (20, 40, 80),
        "warm_steps": (0, 140, 280),
        "warm_rate": (4e-3, 8e-3),
        "icr_frames": (1, 4),
        "scr_weight": (0.2, 1.0),
        "ceiling": (0.5, 0.7, 1.0),
        "finish": (0.0, 0.125),
        "pixel_anchor": (0.0, 8.0, 24.0),
    },
}

_WORDS: Mapping[str, Any] = {"token": "inverted"}
_GENTLE: Mapping[str, Any] = {**_WORDS, "rank": 16, "targets": "qkvo", "rate": 5e-4}
_PLAIN: Mapping[str, Any] = {
    "decay": 0.0, "smallest": 1.0, "largest": 1.0, "correlation": 0.05, "rate": 5e-3, "steps": 200,
}  # fmt: skip
_SHARP: Mapping[str, Any] = {"temperature": 100.0, "scr_frames": 8}
_EVEN: Mapping[str, Any] = {"temperature": 50.0, "scr_frames": 8}
_EARLY: Mapping[str, Any] = {**_EVEN, "span_noise": 0.86}
# The printed method as the second stage chose it, whose pictures have a grid and a tint: additions one after another.
_PRINTED: Mapping[str, Any] = {
    **_WORDS, **_EVEN, "targets": "qkv_motion", "gradient_steps": 0, "prefixes": 6,
    "jitter": 0.2, "rate": 2e-3, "steps": 120, "warm_steps": 0, "icr_frames": 1, "scr_weight": 1.0, "ceiling": 1.0,
    "finish": 0.0, "pixel_anchor": 24.0,
}  # fmt: skip
BY_HAND: Mapping[str, Sequence[Mapping[str, Any]]] = {
    "dreambooth_lora": (
        {**_GENTLE, "steps": 240},
        {**_GENTLE, "steps": 240, "rate": 1e-3},
        {**_GENTLE, "steps": 400, "rank": 32},
        {**_GENTLE, "steps": 160},
        {**_GENTLE, "steps": 120, "rate": 1e-3},
        {**_GENTLE, "steps": 120, "rank": 32},
        {**_GENTLE, "steps": 240, "targets": "qkv"},
        {**_GENTLE, "steps": 240, "targets": "qkv", "rank": 32},
        {**_GENTLE, "steps": 240, "rate": 2.5e-4, "rank": 32},
        {**_GENTLE, "steps": 240, "prior_weight": 0.3},
        {**_GENTLE, "steps": 120, "rate": 1e-3, "rank": 32},
        {**_GENTLE, "steps": 120, "rate": 1.5e-3},
        {**_GENTLE, "steps": 160, "rate": 1e-3, "targets": "qkv"},
        {**_GENTLE, "steps": 120, "rate": 2e-3},
        {**_GENTLE, "steps": 90, "rate": 1e-3},
        {**_GENTLE, "steps": 160, "rate": 1e-3, "rank": 32},
    ),
    "magicme": (
        {**_PLAIN},
        {**_PLAIN, "smallest": 0.8},
        {**_PLAIN, "smallest": 0.8, "rate": 1e-2},
        {**_PLAIN, "token_words": 6},
        {**_PLAIN, "token_words": 8},
        {**_PLAIN, "rate": 2e-3},
        {**_PLAIN, "steps": 400},
        {**_PLAIN, "whole": 0.2},
        {**_PLAIN, "correlation": 0.15},
        {**_PLAIN, "correlation": 0.0},
        {**_PLAIN, "smallest": 0.9},
        {**_PLAIN, "rate": 7e-3},
        {**_PLAIN, "steps": 300},
        {**_PLAIN, "steps": 150},
        {**_PLAIN, "rate": 3e-3},
        {**_PLAIN, "whole": 0.1},
    ),
    "personalvideo": (
        {**_SHARP},
        {**_EVEN},
        {**_SHARP, "rate": 4e-3},
        {**_EARLY},
        {**_EARLY, "temperature": 100.0},
        {**_EARLY, "temperature": 75.0},
        {**_EVEN, "prefixes": 24},
        {**_EVEN, "prefixes": 24, "steps": 240},
        {**_EVEN, "prefixes": 0, "rate": 4e-3},
    ),
    "personalvideo_plus": (
        {**_WORDS},
        {**_WORDS, **_SHARP, "targets": "qkv_motion", "rank": 4, "rate": 4e-4, "steps": 80, "warm_rate": 4e-3,
         "gradient_steps": 1, "ceiling": 0.7, "finish": 0.0, "jitter": 0.2},
        {**_WORDS, **_SHARP, "targets": "qkv_motion", "rate": 2e-3, "steps": 120, "warm_steps": 0, "gradient_steps": 0,
         "ceiling": 1.0, "finish": 0.0, "jitter": 0.2, "scr_weight": 1.0, "pixel_anchor": 8.0},
        {**_PRINTED},
        {**_PRINTED, "finish": 0.125},
        {**_PRINTED, "finish": 0.125, "icr_frames": 4, "ceiling": 0.7},
        {**_PRINTED, "pixel_anchor": 8.0},
        {**_PRINTED, "pixel_anchor": 8.0, "rate": 4e-3, "ceiling": 0.7},
        {**_PRINTED, "pixel_anchor": 16.0, "icr_frames": 4},
        {**_PRINTED, "warm_steps": 280, "warm_rate": 8e-3, "steps": 80, "rate": 8e-4},
    ),
}  # fmt: skip
"""What was tried after the drawn trials: the defaults of their time, changed where a trial or a picture said so."""

LOOKS: Mapping[str, int] = {"personalvideo": 7}
"""Tries that are not in the log, and are told in docs/lab/README.md; other methods get as many trials for them."""

# A learned keyword without an adapter is a method whose adapter learns nothing.
_STANDS_FOR: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "keyword": ("personalvideo", {"token": "inverted", "steps": 1, "rate": 1e-12, "prefixes": 1, "scr": "off"}),
}

ADDITIONS: Mapping[str, Mapping[str, Any]] = {
    "personalvideo_plus": {
        "warm_steps": 0,
        "icr_frames": 1,
        "scr_weight": 1.0,
        "scr_floor": 0.0,
        "ceiling": 1.0,
        "finish": 0.0,
        "pixel_anchor": 0.0,
        "crop_jitter": 0.0,
    },
}
"""What a method adds to the one that it builds on, each with the value that takes it away."""

LOG = Path("docs/lab/search.csv")
FIELDS = (
    "method", "trial", "people", "prompts", "cells", "face_sim", "faces_found", "clip_t", "motion_kept",
    "base_face_sim", "base_faces_found", "base_clip_t", "fault", "tune_seconds", "photos", "precision", "settings",
)  # fmt: skip
PHOTOS = "apart"
"""With which photos videos are compared, see `ReportData.photos_fact`; earlier rows have others, and other levels."""


@dataclass(frozen=True)
class Outcome:
    """Means over the same cells of a trial and of the untuned model; cosines, shares and flow in pixels.

    Attributes:
        cells: how many of the `planned` ones have a video.
    """

    planned: int
    cells: int
    face_sim: float
    faces_found: float
    clip_t: float
    flow: float
    base: Outcome | None = None

    @property
    def fault(self) -> float:
        """By how much a trial misses what every method must keep; 0 where it keeps all.

        Faces found within one point of the untuned model's, CLIP-T within 5 %, motion at least 90 %; and a cell that
        failed is one that misses everything.
        """
        if self.base is None or not self.cells:
            return 1.0
        return (
            1
            - self.cells / self.planned
            + max(0.0, self.base.faces_found - 0.01 - self.faces_found)
            + max(0.0, 0.95 - self.clip_t / self.base.clip_t)
            + max(0.0, 0.90 - self.flow / self.base.flow)
        )


def draw(method: str, trial: int) -> dict[str, Any]:
    """A trial's settings: none, which is the method's defaults, for trial 0; else one value of each of its space."""
    if trial == 0:
        return {}

    def chosen(name: str, values: Sequence[Any]) -> Any:
        # Each by a seed of its own: a space that grows leaves the other draws as they were.
        return values[int(np.random.default_rng(stable_seed("search", method, trial, name)).integers(len(values)))]

    return {name: chosen(name, values) for name, values in SPACES[method].items()}


def written(settings: Mapping[str, Any]) -> str:
    """Settings as the command line takes them."""
    return ",".join(f"{name}={value}" for name, value in sorted(settings.items()))


def read(text: str) -> dict[str, Any]:
    """Settings as `written` wrote them, as texts."""
    return dict(part.split("=", 1) for part in text.split(",") if part)


def resolved(method: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The values that a trial has of everything in its method's space, those of the profile and defaults included."""
    name, fixed = _STANDS_FOR.get(method, (method, {}))
    below = load_profile("mini").methods.get(name, {})
    made = settings_from(METHODS.get(name).Settings, {**below, **fixed, **settings})
    of_words = SPACES["keyword"] if getattr(made, "token", "") == "inverted" else ()
    by_hand = {name for trial in BY_HAND.get(method, ()) for name in trial}
    names = {*SPACES[method], *ADDITIONS.get(method, {}), *of_words, *by_hand}
    return {name: getattr(made, name) for name in names}


def leave_one_out(method: str) -> dict[str, dict[str, Any]]:
    """The settings of a method's defaults without each of its additions, by what is left out."""
    return {f"without {name}": {name: value} for name, value in ADDITIONS.get(method, {}).items()}


def run_trial(
    method: str, settings: Mapping[str, Any], people: int, prompts: int, out: Path, console: Console
) -> tuple[Outcome, float]:
    """What a variant reaches on the first so many people and prompts for development, and seconds of its tunings."""
    name, fixed = _STANDS_FOR.get(method, (method, {}))
    chosen = {**fixed, **settings}
    label = f"{name}[{written(chosen)}]" if chosen else name
    choice = Choice(methods=f"base,{label}", identities=str(people), prompts=str(prompts), split="development")
    plan, store = make_plan(choice), Store(out)
    before = len(store.read_log())
    data = score_run(run_grid(plan, store, RichObserver(console), device="cpu")).data
    assert data.photos_fact == PHOTOS, "the development people have photos that are kept for scoring"
    untuned, tuned = (data.scores[variant.label] for variant in plan.variants)
    planned = len(plan.cells) // 2
    base = _outcome({cell: values for cell, values in untuned.items() if cell in tuned}, planned)
    seconds = [entry["seconds"] for entry in store.read_log()[before:] if entry["stage"] == "tune"]
    mean = float(np.mean(seconds)) if seconds else math.nan
    return replace(_outcome(tuned, planned), base=base), mean


def precision_here() -> str:
    """In which precision the miniature backbone computes on this processor; rows of another have other levels."""
    profile = load_profile("mini")
    return str(backbone_loader(profile).signature(profile)["precision"])


def _outcome(scores: Mapping[Any, Mapping[str, float]], planned: int) -> Outcome:
    def mean(name: str) -> float:
        return float(np.mean([values[name] for values in scores.values()]))

    if not scores:
        return Outcome(planned, 0, -1.0, 0.0, 0.0, 0.0)
    return Outcome(
        planned, len(scores), mean("face_sim"), mean("face_detected"), mean("clip_t"), mean("flow_magnitude")
    )


def read_log(path: Path = LOG) -> list[dict[str, str]]:
    """The lines of the log; none where there is no file yet."""
    if not path.is_file():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def order(rows: Sequence[Mapping[str, str]]) -> list[Mapping[str, str]]:
    """Trials, best first: those without a fault by Face Sim, then the others by how small their fault is."""
    return sorted(rows, key=lambda row: (float(row["fault"]) > 0, float(row["fault"]), -float(row["face_sim"])))


def main() -> None:
    """Runs the trials that the log does not have."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("method", choices=sorted(SPACES))
    parser.add_argument("--trials", type=int, default=20, help="trials 0 up to so many")
    parser.add_argument("--best", type=int, default=0, help="instead: the best so many trials of smaller grids again")
    parser.add_argument("--by-hand", action="store_true", help="instead: the trials that were set by hand")
    parser.add_argument("--leave-one-out", action="store_true", help="instead: the defaults without each addition")
    parser.add_argument("--people", type=int, default=4)
    parser.add_argument("--prompts", type=int, default=6)
    parser.add_argument("--out", type=Path, default=Path("runs/search"))
    given = parser.parse_args()
    console = Console()
    here = {"method": given.method, "photos": PHOTOS, "precision": precision_here()}
    same = [row for row in read_log() if row.items() >= here.items()]
    sizes = {(int(row["people"]), int(row["prompts"])) for row in same}
    done = {
        row["settings"] for row in same if (int(row["people"]), int(row["prompts"])) == (given.people, given.prompts)
    }
    below = max((size for size in sizes if size < (given.people, given.prompts)), default=None)
    smaller = [row for row in same if (int(row["people"]), int(row["prompts"])) == below]
    trials: dict[int | str, dict[str, Any]] = {trial: draw(given.method, trial) for trial in range(given.trials)}
    if given.leave_one_out:
        trials = {0: {}}
        for left_out, settings in leave_one_out(given.method).items():
            trials[left_out] = settings
    if given.by_hand:
        trials = {f"by hand {number}": dict(settings) for number, settings in enumerate(BY_HAND[given.method])}
    if given.best:
        # As they were run: a method's defaults, and with them trial 0, may have changed since.
        whole = [row for row in order(smaller) if not row["trial"].startswith("without")]
        trials = {row["trial"]: read(row["settings"]) for row in whole[: given.best]}
    for trial, settings in trials.items():
        if written(resolved(given.method, settings)) in done:
            continue
        console.print(f"[bold]{given.method}[/] trial {trial}: {written(settings) or 'defaults'}", highlight=False)
        began = time.perf_counter()
        found, tune = run_trial(given.method, settings, given.people, given.prompts, given.out, console)
        assert found.base is not None
        row = {
            "method": given.method,
            "trial": trial,
            "people": given.people,
            "prompts": given.prompts,
            "cells": found.cells,
            "face_sim": round(found.face_sim, 4),
            "faces_found": round(found.faces_found, 4),
            "clip_t": round(found.clip_t, 4),
            "motion_kept": round(found.flow / found.base.flow, 4) if found.cells else 0.0,
            "base_face_sim": round(found.base.face_sim, 4),
            "base_faces_found": round(found.base.faces_found, 4),
            "base_clip_t": round(found.base.clip_t, 4),
            "fault": round(found.fault, 4),
            "tune_seconds": round(tune, 1),
            "photos": PHOTOS,
            "precision": here["precision"],
            "settings": written(resolved(given.method, settings)),
        }
        fresh = not LOG.exists()
        with LOG.open("a", newline="") as file:
            writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
            if fresh:
                writer.writeheader()
            writer.writerow(row)
        console.print(f"{row} in {time.perf_counter() - began:.0f} s", highlight=False)


if __name__ == "__main__":
    main()
