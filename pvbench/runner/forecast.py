"""What a run will take, before anything of it is started: pieces of work, hours, disk, memory, licences."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pvbench.evaluator import evaluator_loaders
from pvbench.runner.estimate import Costs
from pvbench.runner.licences import licences_of
from pvbench.runner.memory import expected_gib, expected_host_gib
from pvbench.runner.missing import Missing
from pvbench.runner.plan import Plan
from pvbench.runner.scales import scales_of
from pvbench.runner.survey import STAGES, Survey, take_survey
from pvbench.store import Store

_LOSSLESS = 0.6
"""Of a video's raw size, where no video was made yet: about what the lossless encoder leaves of a generated one."""
_FEATURES = 40_000
"""Bytes of one video's features, where none were made yet."""


@dataclass(frozen=True)
class Work:
    """One stage of one row.

    Attributes:
        total, left: pieces of work: adapters to be tuned, videos to be made or measured.
        seconds: of one piece on one worker.
        measured: how many pieces `seconds` is the median of; 0 where it is the profile's own figure.
    """

    stage: str
    row: str
    total: int
    left: int
    seconds: float
    measured: int

    @property
    def hours(self) -> float:
        """Of one worker, for what is left."""
        return self.left * self.seconds / 3600


@dataclass(frozen=True)
class Forecast:
    """What is left of a run.

    Attributes:
        cells, made: videos of the grid, and those that are there.
        disk_bytes: of what is still to be written.
        memory_gib: by part of the evaluators, about how much its network and work take.
        licences: by part, what the publishers of its weights allow.
        gpu_gib: by row, about how much memory of a GPU it takes, where the backbone says so.
        host_gib: by row, about how much of the machine's memory a worker keeps checkpoints in.
        missing: what is said of weights that are missing; without them no run begins.
    """

    cells: int
    made: int
    work: tuple[Work, ...]
    workers: int
    disk_bytes: int
    memory_gib: Mapping[str, float]
    licences: Mapping[str, str]
    gpu_gib: Mapping[str, float] = field(default_factory=dict)
    host_gib: Mapping[str, float] = field(default_factory=dict)
    missing: tuple[str, ...] = ()

    @property
    def worker_hours(self) -> float:
        """Of all workers together."""
        return sum(one.hours for one in self.work)

    @property
    def hours(self) -> float:
        """Until the run ends, if the workers share the work evenly."""
        return self.worker_hours / self.workers

    def in_words(self) -> dict[str, Any]:
        """Everything, for a program."""
        return {
            "format": 1,
            "cells": self.cells,
            "made": self.made,
            "workers": self.workers,
            "worker_hours": self.worker_hours,
            "hours": self.hours,
            "disk_bytes": self.disk_bytes,
            "memory_gib": dict(self.memory_gib),
            "licences": dict(self.licences),
            "gpu_gib": dict(self.gpu_gib),
            "host_gib": dict(self.host_gib),
            "missing": list(self.missing),
            "work": [{**asdict(one), "hours": one.hours} for one in self.work],
        }


def forecast(plan: Plan, store: Store, device: str, workers: int, missing: Missing | None = None) -> Forecast:
    """What the folder lacks of the plan, and what it will take on a device; nothing is made or loaded.

    Seconds come from the folder's log, of the same device, where it has some, and from the profile otherwise.

    Args:
        missing: what the plan noted of weights that are missing.
    """
    missing, memory, host = missing or Missing(), {}, {}
    scales: Mapping[tuple[str, str], float] = {}
    with missing.noted():
        memory, host = expected_gib(plan), expected_host_gib(plan)
    survey, log = take_survey(plan, store), store.read_log()
    with missing.noted():
        scales = scales_of(plan)
    costs = Costs(plan.profile.cost, device, log, scales)
    seen = Counter((entry.get("stage"), entry.get("method")) for entry in log if entry.get("device") == device)
    work = [
        Work(stage, variant.label, total, left, costs.seconds(stage, name), seen[stage, name])
        for variant in plan.variants
        for stage, (total, left) in _pieces(plan, survey, variant.label).items()
        for name in [variant.variant.method]
        if total
    ]
    loaders = {part: loader for part, loader in evaluator_loaders(plan.profile).items() if part in plan.features.parts}
    return Forecast(
        cells=len(plan.cells),
        made=len(survey.made),
        work=tuple(sorted(work, key=lambda one: STAGES.index(one.stage))),
        workers=workers,
        disk_bytes=_disk(plan, store, work),
        memory_gib={part: loader.memory_gib for part, loader in loaders.items() if loader.memory_gib},
        licences=licences_of(plan),
        gpu_gib=memory,
        host_gib=host,
        missing=tuple(missing.messages),
    )


def _pieces(plan: Plan, survey: Survey, label: str) -> dict[str, tuple[int, int]]:
    """By stage, how many pieces a row has in all and how many are left."""
    cells = [cell for cell in plan.cells if cell.variant == label]
    tuned = plan.variant(label).tuned.label
    # An adapter that rows share is counted in the first of them.
    first = plan.tuning_rows.get(tuned) == label
    return {
        "tune": (len(plan.identities), sum(what == tuned for what, _ in survey.tunings)) if first else (0, 0),
        "generate": (len(cells), sum(cell not in survey.made for cell in cells)),
        "measure": (len(cells), sum(cell not in survey.measured for cell in cells)),
    }


def _disk(plan: Plan, store: Store, work: Iterable[Work]) -> int:
    """Bytes of the adapters, videos and features that are left, by the size of those that are there."""
    sampling = plan.profile.sampling
    raw = sampling.frames * sampling.height * sampling.width * 3
    each = {
        "tune": _typical(store.folder / "adapters", "*/*.safetensors", 0),
        "generate": _typical(store.folder / "videos", "*/*/*.mkv", round(raw * _LOSSLESS)),
        "measure": _typical(store.folder / "features" / "video", "*.safetensors", _FEATURES),
    }
    return sum(one.left * each[one.stage] for one in work)


def _typical(folder: Path, pattern: str, otherwise: int) -> int:
    """The median size of files in a folder."""
    sizes = [path.stat().st_size for path in folder.glob(pattern)]
    return round(statistics.median(sizes)) if sizes else otherwise
