"""Searches a method's settings on the people and prompts for development, the same number of trials for each method.

    python -m workshop.search personalvideo --trials 20 --people 4 --prompts 6
    python -m workshop.search personalvideo --by-hand --people 4 --prompts 6
    python -m workshop.search personalvideo --best 3 --people 12 --prompts 12
    python -m workshop.search personalvideo_plus --leave-one-out --people 4 --prompts 6

Trial 0 has the method's defaults; the others are drawn at random from its space, seeded by method and number. Those
of `--by-hand` were set after the drawn ones were seen, equally many for each method. Every trial is a line of
docs/lab/search.csv. The same command goes on where it was stopped. The people and prompts of the benchmark are never
touched.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
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

from .trials import ADDITIONS, ALONG, BY_HAND, SPACES, STANDS_FOR

LOG = Path("docs/lab/search.csv")
FIELDS = (
    "method", "trial", "people", "prompts", "cells", "face_sim", "faces_found", "clip_t", "motion_kept",
    "base_face_sim", "base_faces_found", "base_clip_t", "fault", "tune_seconds", "photos", "precision", "settings",
    "oracle_clip_t",
)  # fmt: skip
PHOTOS = "apart"
"""With which photos videos are compared, see `ReportData.photos_fact`; earlier rows have others, and other levels."""


@dataclass(frozen=True)
class Outcome:
    """Means over the same cells of a trial and of the untuned model; cosines, shares and flow in pixels.

    Attributes:
        cells: how many of the `planned` ones have a video.
        base: of the untuned model.
        oracle: of the true person.
    """

    planned: int
    cells: int
    face_sim: float
    faces_found: float
    clip_t: float
    flow: float
    base: Outcome | None = None
    oracle: Outcome | None = None

    @property
    def fault(self) -> float:
        """By how much a trial misses what every method must keep; 0 where it keeps all.

        Faces found within one point of the untuned model's, motion at least 90 %, CLIP-T at least 95 % of the untuned
        model's or of the true person's, whichever is lower: a CLIP that sees hair and beards finds less of a prompt in
        a person who is not its idea of one. A cell that failed is one that misses everything.
        """
        if self.base is None or not self.cells:
            return 1.0
        return (
            1
            - self.cells / self.planned
            + max(0.0, self.base.faces_found - 0.01 - self.faces_found)
            + max(0.0, 0.95 - self.clip_t / min(one.clip_t for one in (self.base, self.oracle) if one))
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
    name, fixed = STANDS_FOR.get(method, (method, {}))
    below = load_profile("mini").methods.get(name, {})
    made = settings_from(METHODS.get(name).Settings, {**below, **fixed, **settings})
    of_words = SPACES["keyword"] if getattr(made, "token", "") == "inverted" else ()
    by_hand = {name for trial in BY_HAND.get(method, ()) for name in trial}
    names = {*SPACES[method], *ADDITIONS.get(method, {}), *of_words, *by_hand}
    return {name: getattr(made, name) for name in names}


def as_run(row: Mapping[str, str]) -> dict[str, Any]:
    """The settings of a line of the log. Additions that it does not name came later: they were off then."""
    before = read(row["settings"])
    return {name: off for name, off in ADDITIONS.get(row["method"], {}).items() if name not in before} | before


def ran(row: Mapping[str, str], values: Mapping[str, Any]) -> bool:
    """Whether a line of the log ran with these values of `resolved`."""
    name, _ = STANDS_FOR.get(row["method"], (row["method"], {}))
    before = dataclasses.asdict(METHODS.get(name).Settings()) | as_run(row)
    return all(str(before.get(one)) == str(value) for one, value in values.items())


def leave_one_out(method: str) -> dict[str, dict[str, Any]]:
    """The settings of a method's defaults without each of the additions that they have, by what is left out."""
    defaults = dataclasses.asdict(METHODS.get(method).Settings())
    on = {name: value for name, value in ADDITIONS.get(method, {}).items() if defaults[name] != value}
    return {f"without {name}": {name: value, **ALONG.get(name, {})} for name, value in on.items()}


def run_trial(
    method: str, settings: Mapping[str, Any], people: int, prompts: int, out: Path, console: Console
) -> tuple[Outcome, float]:
    """What a variant reaches on the first so many people and prompts for development, and seconds of its tunings."""
    name, fixed = STANDS_FOR.get(method, (method, {}))
    chosen = {**fixed, **settings}
    label = f"{name}[{written(chosen)}]" if chosen else name
    choice = Choice(methods=f"base,oracle,{label}", identities=str(people), prompts=str(prompts), split="development")
    plan, store = make_plan(choice), Store(out)
    before = len(store.read_log())
    data = score_run(run_grid(plan, store, RichObserver(console), device="cpu")).data
    assert data.photos_fact == PHOTOS, "the development people have photos that are kept for scoring"
    *others, tuned = (data.scores[variant.label] for variant in plan.variants)
    planned = len(plan.cells) // 3
    base, oracle = (_outcome({cell: one[cell] for cell in tuned if cell in one}, planned) for one in others)
    seconds = [entry["seconds"] for entry in store.read_log()[before:] if entry["stage"] == "tune"]
    mean = float(np.mean(seconds)) if seconds else math.nan
    return replace(_outcome(tuned, planned), base=base, oracle=oracle), mean


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
    done = [row for row in same if (int(row["people"]), int(row["prompts"])) == (given.people, given.prompts)]
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
        trials = {row["trial"]: as_run(row) for row in whole[: given.best]}
    for trial, settings in trials.items():
        if any(ran(row, resolved(given.method, settings)) for row in done):
            continue
        console.print(f"[bold]{given.method}[/] trial {trial}: {written(settings) or 'defaults'}", highlight=False)
        began = time.perf_counter()
        found, tune = run_trial(given.method, settings, given.people, given.prompts, given.out, console)
        assert found.base is not None and found.oracle is not None
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
            "oracle_clip_t": round(found.oracle.clip_t, 4),
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
