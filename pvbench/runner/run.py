"""A run from Python: what `pvbench run` does, in one call."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pvbench.runner.grid import run_grid
from pvbench.runner.observer import Observer, Silent
from pvbench.runner.plan import Choice, make_plan
from pvbench.runner.report import report_run
from pvbench.store import Store


def run(
    out: Path,
    *,
    profile: str = "mini",
    methods: str | None = None,
    identities: str | None = None,
    class_noun: str | None = None,
    prompts: str | None = None,
    seeds: str | None = None,
    metrics: str | None = None,
    split: str = "benchmark",
    weights: Sequence[str] = (),
    refined: str | None = None,
    device: str = "auto",
    workers: int | None = None,
    observer: Observer | None = None,
) -> Path:
    """Tunes, generates, measures and reports a grid; the folder of the report.

    What the folder `out` holds already is not made again; a cell that fails is listed in the report, and the next call
    tries it again. Arguments are what the options of `pvbench run` take.

    Args:
        observer: shows how the run goes; nothing is shown by default.

    Raises:
        PvbenchError: an input cannot be used, or every further cell would fail too.
    """
    plan = make_plan(
        Choice(profile, methods, identities, prompts, seeds, split, metrics, tuple(weights), refined, class_noun)
    )
    result = run_grid(plan, Store(out), observer or Silent(), device=device, workers=workers)
    folder, _ = report_run(result)
    return folder
