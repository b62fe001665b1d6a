"""Where the workers of a run are: processes on this machine, or what Ray places on a cluster."""

from __future__ import annotations

from functools import partial
from typing import Literal

from pvbench.executors.ray_executor import RayCluster, RayExecutor, refuse_address
from pvbench.machine.devices import resolve_device
from pvbench.runner.grid import run_grid
from pvbench.runner.jobs import RunSetup, start_worker
from pvbench.runner.memory import check_memory, gpu_gib
from pvbench.runner.observer import Observer
from pvbench.runner.plan import Plan
from pvbench.runner.result import RunResult
from pvbench.store import Store


def run_at(
    executor: Literal["local", "ray"],
    address: str | None,
    plan: Plan,
    store: Store,
    observer: Observer,
    device: str,
    workers: int | None,
) -> RunResult:
    """`run_grid`, on this machine or on a Ray cluster.

    On a cluster there is a worker for each GPU, and where the nodes have CPUs left as many workers without one, which
    measure; on a cluster without GPUs there is a worker for each CPU.

    Raises:
        SettingError: an address, and no cluster.
        DeviceError: a row is expected to take more memory than this machine's GPU has, or the smallest of a cluster.
        PvbenchError: as `run_grid` and `RayCluster.connected`.
    """
    refuse_address(executor, address)
    if executor == "local":
        check_memory(plan, resolve_device(device))
        return run_grid(plan, store, observer, device=device, workers=workers)
    with RayCluster.connected(address, workers) as cluster:
        chosen = cluster.device(device)
        if chosen != "cpu":
            check_memory(plan, chosen, cluster.least(gpu_gib))
        count = workers or cluster.workers(chosen)
        spare = max(0, min(count, cluster.cpus - count)) if chosen != "cpu" else 0

        def start(setup: RunSetup, number: int) -> RayExecutor:
            return RayExecutor(start_worker, setup, number, shared=store.folder, spare=spare)

        return run_grid(
            plan, store, observer, device=chosen, workers=count, executor=start, device_of=partial(_as_chosen, chosen)
        )


def _as_chosen(chosen: str, device: str) -> str:
    """The cluster's device: this machine may have none like it."""
    return chosen
