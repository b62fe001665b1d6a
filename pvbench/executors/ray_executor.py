"""Workers on a Ray cluster, or on this machine through Ray: they write into a folder that all nodes share."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import re
import secrets
import sys
import traceback
from collections import deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pvbench.errors import DeviceError, ExtraError, SettingError, StoreError, first_line
from pvbench.executors.executor import Done, Event, Executor, Failed, Job, Noted, affinity, reads
from pvbench.executors.worker import THREAD_VARIABLES, prepare_process

HANDED_ON = ("PVBENCH_", "HF_")
"""Variables of the environment that begin so go to the workers: where weights lie, and whether anything is fetched."""


def refuse_address(executor: str, address: str | None) -> None:
    """Nothing comes out; an address is for workers on Ray alone.

    Args:
        executor: `local` or `ray`.

    Raises:
        SettingError: an address, and another executor than Ray.
    """
    if executor != "ray" and address is not None:
        raise SettingError(f"--address {address}: it is Ray's; add --executor ray")


def _ray() -> Any:
    try:
        import ray
    except ImportError as error:
        raise ExtraError('--executor ray needs ray, not installed here: pip install "pvbench[ray]"') from error
    return ray


@dataclass(frozen=True)
class RayCluster:
    """A cluster that this process is connected to."""

    cpus: int
    gpus: int

    @classmethod
    @contextlib.contextmanager
    def connected(cls, address: str | None = None, workers: int | None = None) -> Iterator[RayCluster]:
        """Inside of the block this process is connected; one that was before stays so.

        Args:
            address: of a running cluster, or `auto` for the one of this machine; by default what RAY_ADDRESS names,
                else a cluster of this machine alone, for as long as the block lasts.
            workers: how many CPUs a cluster of this machine alone has; by default what Ray finds.

        Raises:
            ExtraError: Ray is not installed.
            DeviceError: there is no such cluster.
        """
        ray = _ray()
        before = ray.is_initialized()
        address = address or os.environ.get("RAY_ADDRESS") or "local"
        own: dict[str, Any] = {"include_dashboard": False, "num_cpus": workers} if address == "local" else {}
        try:
            if not before:
                ray.init(address=address, log_to_driver=False, configure_logging=False, **own)
            found = ray.cluster_resources()
        except (ConnectionError, ValueError, RuntimeError, TimeoutError) as error:
            raise DeviceError(
                f"no Ray cluster at {address!r}: {first_line(error)}; start one with `ray start --head`, or leave "
                f"--address out for this machine alone"
            ) from error
        try:
            yield cls(int(found.get("CPU", 0)), int(found.get("GPU", 0)))
        finally:
            if not before:
                ray.shutdown()

    def device(self, asked: str) -> str:
        """What `auto` stands for on the cluster, or the device that was asked for: `cpu` or `cuda`.

        Raises:
            DeviceError: an unknown device, one GPU of several by number, or CUDA where the cluster has no GPU.
        """
        if asked not in ("auto", "cpu", "cuda"):
            raise DeviceError(f"unknown device {asked!r} for a cluster, whose GPUs Ray gives out; expected cpu or cuda")
        if asked == "cuda" and not self.gpus:
            raise DeviceError("device 'cuda' was asked for, but no node of the cluster has a GPU; use --device cpu")
        return "cpu" if asked == "cpu" or not self.gpus else "cuda"

    def least(self, measured: Callable[[], float]) -> float:
        """The least of what a function finds where it is given a GPU, once for each GPU of the cluster."""
        import ray

        asked = ray.remote(num_cpus=0, num_gpus=1)(measured)
        return float(min(ray.get([asked.remote() for _ in range(self.gpus)])))

    def workers(self, device: str) -> int:
        """One for each GPU, or for each CPU where there is none to use."""
        return max(1, self.cpus if device == "cpu" else self.gpus)


class RayExecutor(Executor):
    """Workers that Ray places; each calls `start(argument)` once, before its first job.

    On CUDA there are two kinds: `workers` with a GPU each, and workers with a CPU for jobs that ask for none
    (`needs_device` False), whose argument has the device `cpu`. A worker or node that is lost is reported as a crash,
    and the caller gives the piece to another. All nodes must see `shared`, the folder that jobs write into, at the same
    path.

    Args:
        argument: a dataclass with a field `device`.
        spare: how many workers with a CPU there are beside those with a GPU.

    Raises:
        DeviceError: the cluster is smaller than that.
    """

    attempts = 5

    def __init__(
        self,
        start: Callable[[Any], Any],
        argument: Any,
        workers: int,
        *,
        shared: Path,
        spare: int = 0,
    ) -> None:
        self._ray = _ray()
        self._mark = shared.absolute() / f".ray-{secrets.token_hex(8)}"
        on_gpus = getattr(argument, "device", "cpu") != "cpu"
        self._demand = {True: {"num_gpus": 1, "num_cpus": 1} if on_gpus else {"num_cpus": 1}, False: {"num_cpus": 1}}
        self._arguments = {True: argument, False: dataclasses.replace(argument, device="cpu") if spare else argument}
        self._size = {True: workers, False: spare}
        self._check_size(on_gpus)
        self._start = start
        self._events: deque[Event] = deque()
        self._idle: dict[bool, list[_Hand]] = {True: [], False: []}
        self._busy: dict[Any, _Task] = {}
        self._number = 0
        self._mailbox = self._on_this_node(_Mailbox).remote()
        self._mail = self._mailbox.take.remote()
        self._mark.parent.mkdir(parents=True, exist_ok=True)
        self._mark.write_text(self._mark.name)

    def _check_size(self, on_gpus: bool) -> None:
        found = self._ray.cluster_resources()
        gpus, cpus = int(found.get("GPU", 0)), int(found.get("CPU", 0))
        wanted = self._size[True] + self._size[False]
        if self._size[True] < 1:
            raise ValueError(f"an executor needs at least one worker, got {self._size[True]}")
        if (on_gpus and self._size[True] > gpus) or wanted > cpus:
            raise DeviceError(
                f"{wanted} workers{f', {self._size[True]} of them with a GPU,' if on_gpus else ''} were asked for, and "
                f"the cluster has {cpus} CPUs and {gpus} GPUs; take fewer --workers"
            )

    def _on_this_node(self, actor: type) -> Any:
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        here = NodeAffinitySchedulingStrategy(self._ray.get_runtime_context().get_node_id(), soft=False)
        return self._ray.remote(actor).options(num_cpus=0, scheduling_strategy=here)

    @property
    def idle(self) -> int:
        """How many jobs may be submitted now."""
        return sum(self._free(kind) for kind in self._size)

    def accepts(self, job: Job) -> bool:
        """Whether a worker of the job's kind has nothing to do."""
        return self._free(self._kind(job)) > 0

    def _free(self, kind: bool) -> int:
        ended = sum(not isinstance(event, Noted) and self._kind(event.job) == kind for event in self._events)
        return self._size[kind] - ended - sum(task.hand.kind == kind for task in self._busy.values())

    def _kind(self, job: Job) -> bool:
        return bool(getattr(job, "needs_device", True)) or not self._size[False]

    @property
    def running(self) -> int:
        """How many jobs are under way, those whose end `wait` has not reported included."""
        return len(self._busy) + sum(not isinstance(event, Noted) for event in self._events)

    def choose(self, jobs: Sequence[Job]) -> Job:
        """One for whose affinity an idle worker is ready; else one that no worker is ready for."""
        idle = {hand.affinity for hand in self._idle[True]}
        ready = idle | {task.hand.affinity for task in self._busy.values()}
        for job in jobs:
            if affinity(job) is not None and affinity(job) in idle:
                return job
        return next((job for job in jobs if affinity(job) not in ready), jobs[0])

    def submit(self, job: Job) -> None:
        """Hands a job to the idle worker that suits its affinity best, or to a new one.

        Raises:
            RuntimeError: no worker of its kind is idle.
        """
        kind, wanted = self._kind(job), affinity(job)
        if self._free(kind) < 1:
            raise RuntimeError("submit() without an idle worker")
        idle = sorted(self._idle[kind], key=lambda one: (one.affinity != wanted, one.affinity is not None))
        fresh = len(self._idle[kind]) + sum(t.hand.kind == kind for t in self._busy.values()) < self._size[kind]
        hand = idle[0] if idle and (idle[0].affinity == wanted or not fresh) else self._hired(kind)
        if hand in self._idle[kind]:
            self._idle[kind].remove(hand)
        hand.affinity = hand.affinity if wanted is None else wanted
        self._number += 1
        self._busy[hand.actor.run.remote(self._number, job)] = _Task(job, hand, self._number)

    def _hired(self, kind: bool) -> _Hand:
        own = {name: value for name, value in os.environ.items() if name.startswith(HANDED_ON)}
        # What is installed is found by itself; plug-ins in other folders are not.
        paths = [path for path in sys.path if path and not Path(path).is_relative_to(sys.prefix)]
        own["PYTHONPATH"] = os.pathsep.join(paths)
        environment = {"env_vars": {**dict.fromkeys(THREAD_VARIABLES, "1"), **own}}
        actor = self._ray.remote(_RayWorker).options(max_restarts=0, runtime_env=environment, **self._demand[kind])
        return _Hand(actor.remote(self._start, self._arguments[kind], self._mailbox, self._mark, Path.cwd()), kind)

    def wait(self) -> Event:
        """The next event, once there is one.

        Raises:
            RuntimeError: no job is under way.
        """
        while not self._events:
            if not self._busy:
                raise RuntimeError("wait() without a job under way")
            ready, _ = self._ray.wait([self._mail, *self._busy], num_returns=1)
            if self._mail in ready:
                self._open_mail()
            for ref in ready:
                if ref in self._busy:
                    self._finish(ref)
        return self._events.popleft()

    def _open_mail(self) -> None:
        notes = self._ray.get(self._mail)
        self._mail = self._mailbox.take.remote()
        tasks = {task.number: task for task in self._busy.values()}
        for number, note in notes:
            task = tasks.get(number)
            if task is not None:
                task.noted += 1
                self._events.append(Noted(task.job, note))

    def _finish(self, ref: Any) -> None:
        task = self._busy[ref]
        try:
            kind, content, notes = self._ray.get(ref)
        except self._ray.exceptions.RayError as error:
            # A note is in the mailbox before its worker goes on, so that none is lost with it.
            self._ray.get(self._mailbox.wake.remote())
            self._open_mail()
            del self._busy[ref]
            self._shrink(task.hand.kind)
            message = f"the worker was lost: {_ends(error)}"
            self._events.append(Failed(task.job, "GenerationError", message, "", crashed=True))
            return
        while task.noted < notes:
            self._open_mail()
        del self._busy[ref]
        self._idle[task.hand.kind].append(task.hand)
        self._events.append(Done(task.job, content) if kind == "done" else Failed(task.job, *content))

    def _shrink(self, kind: bool) -> None:
        """A node that is lost takes its places along: a worker that found none would be waited for in vain."""
        found = self._ray.cluster_resources()
        places = int(found.get("GPU" if "num_gpus" in self._demand[kind] else "CPU", 0))
        other = 0 if "num_gpus" in self._demand[kind] else self._size[not kind]
        self._size[kind] = max(1, min(self._size[kind], places - other))

    def close(self) -> None:
        """Ends the workers; what they are doing is lost."""
        hands = [*(task.hand for task in self._busy.values()), *(hand for idle in self._idle.values() for hand in idle)]
        self._busy.clear()
        self._events.clear()
        self._idle = {True: [], False: []}
        for actor in (*(hand.actor for hand in hands), self._mailbox):
            self._ray.kill(actor)
        self._mark.unlink(missing_ok=True)


@dataclass(eq=False)
class _Hand:
    """A worker, as the executor knows it; `kind` is True where it has what its jobs need besides a CPU."""

    actor: Any
    kind: bool
    affinity: Hashable | None = None


@dataclass(eq=False)
class _Task:
    """A job under way, and how many of its notes were reported."""

    job: Job
    hand: _Hand
    number: int
    noted: int = 0


class _Mailbox:
    """Notes of all workers, until the executor takes them."""

    def __init__(self) -> None:
        self._notes: list[tuple[int, Any]] = []
        self._there = asyncio.Event()

    async def put(self, number: int, note: Any) -> None:
        """Adds a note of a job."""
        self._notes.append((number, note))
        self._there.set()

    async def take(self) -> list[tuple[int, Any]]:
        """All notes, once there is one or `wake` was called."""
        await self._there.wait()
        self._there.clear()
        notes, self._notes = self._notes, []
        return notes

    async def wake(self) -> None:
        """Ends a waiting `take`, notes or none."""
        self._there.set()


class _RayWorker:
    """A worker's life on its node."""

    def __init__(self, start: Callable[[Any], Any], argument: Any, mailbox: Any, mark: Path, place: Path) -> None:
        self._start, self._argument, self._mailbox = start, argument, mailbox
        self._mark, self._place = mark, place
        self._state: Any = None
        self._started = False

    def run(self, number: int, job: Job) -> tuple[str, Any, int]:
        """What became of a job, and how many notes it sent."""
        import ray

        sent = 0

        def notify(note: Any) -> None:
            nonlocal sent
            # In the mailbox before anything else happens.
            ray.get(self._mailbox.put.remote(number, note))
            sent += 1

        try:
            if not self._started:
                self._begin()
            self._check_seen(job)
            prepare_process()
            return "done", job.run(self._state, notify), sent
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a plug-in may raise anything; it is recorded
            return "failed", (type(error).__name__, str(error) or repr(error), traceback.format_exc()), sent

    def _check_seen(self, job: Job) -> None:
        unseen = next((path for path in reads(job) if not path.exists()), None)
        if unseen is not None:
            raise StoreError(
                f"the node {os.uname().nodename} does not see {unseen.absolute()}: put what is read where all nodes "
                f"see it at the same path"
            )

    def _begin(self) -> None:
        try:
            seen = self._mark.read_text() == self._mark.name
            os.chdir(self._place)
        except OSError:
            seen = False
        if not seen:
            raise StoreError(
                f"the node {os.uname().nodename} does not see {self._mark.parent}: name a folder with --out that all "
                f"nodes share at the same path, and start there"
            )
        prepare_process()
        self._state, self._started = self._start(self._argument), True


def _ends(error: BaseException) -> str:
    """The first and the last line of a message, without a terminal's colours: what happened, and why."""
    lines = [line.strip() for line in re.sub("\x1b\\[[0-9;]*m", "", str(error)).splitlines() if line.strip()]
    return " ... ".join(dict.fromkeys([*lines[:1], *lines[-1:]]))[:500]
