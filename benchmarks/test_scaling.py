"""How a run grows: eight workers against one, and planning at up to 5000 cells.

Jobs sleep, as work on a GPU leaves the processor alone: what is measured is the handing out, not the machine.
"""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

import pytest
from example_inputs import EXAMPLE_PROFILE, make_identity
from example_jobs import Sleep, start

from pvbench.executors.executor import Executor
from pvbench.executors.local import LocalExecutor
from pvbench.runner.plan import Choice, make_plan
from pvbench.runner.survey import take_survey
from pvbench.store import Store

WORKERS, JOBS, SECONDS = 8, 80, 0.5


def seconds_of(executor: Executor, jobs: int) -> float:
    """How long an executor takes for so many jobs, once its workers have started."""

    def go(left: int) -> None:
        while left or executor.running:
            while left and executor.idle:
                executor.submit(Sleep(SECONDS))
                left -= 1
            executor.wait()

    go(WORKERS)
    began = time.perf_counter()
    go(jobs)
    return time.perf_counter() - began


@pytest.fixture(params=["local", "ray"])
def executor(request, tmp_path):
    if request.param == "local":
        with LocalExecutor(start, 10, WORKERS) as found:
            yield found
        return
    pytest.importorskip("ray")
    from pvbench.executors.ray_executor import RayCluster, RayExecutor

    with RayCluster.connected("local", WORKERS + 1), RayExecutor(start, 10, workers=WORKERS, shared=tmp_path) as found:
        yield found


def test_eight_workers_against_one(executor, capsys):
    took = seconds_of(executor, JOBS)
    alone = JOBS * SECONDS
    with capsys.disabled():
        print(
            f"\n{type(executor).__name__}: {alone:.0f} s of work in {took:.2f} s with {WORKERS} workers: "
            f"{alone / took:.2f} times as fast, {alone / took / WORKERS:.0%} of what there could be"
        )
    assert 0.9 <= alone / took / WORKERS <= 1


def test_planning_grows_with_the_cells(tmp_path, capsys):
    for number in range(20):
        make_identity(tmp_path / "people", f"p{number:02d}", brightness=60 + 8 * number)
    people = ",".join(str(folder) for folder in sorted((tmp_path / "people").iterdir()))
    plan = make_plan(Choice(EXAMPLE_PROFILE, "base,example_stamp", people))
    lines = []
    for cells in (500, 1000, 2500, 5000):
        # Seeds multiply cells without another person or prompt.
        seeds = tuple(range(cells // (len(plan.cells) // len(plan.seeds)) + 1))
        larger = dataclasses.replace(plan, seeds=seeds)
        began = time.perf_counter()
        found = take_survey(larger, Store(Path(tmp_path) / "run"))
        took = time.perf_counter() - began
        assert len(larger.cells) >= cells
        assert not found.made
        lines.append((len(larger.cells), took))
    with capsys.disabled():
        print()
        for cells, took in lines:
            print(f"{cells} cells planned in {took:.2f} s, {1e6 * took / cells:.0f} microseconds each")
    (few, first), *_, (many, last) = lines
    assert last / many <= 1.5 * first / few
