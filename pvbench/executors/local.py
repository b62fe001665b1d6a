"""Worker processes on this machine, each with one thread, so that bytes do not depend on how many there are."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from pvbench.executors.executor import Done, Event, Executor, Failed, Job, Noted, affinity
from pvbench.executors.worker import THREAD_VARIABLES, prepare_process

_SECONDS_TO_END = 5.0


@dataclass
class _Worker:
    process: BaseProcess
    pipe: Connection
    number: int
    job: Job | None = None
    affinity: Hashable | None = None


class LocalExecutor(Executor):
    """`workers` processes; each calls `start(argument)` once, before its first job.

    `for_worker` makes each worker's argument of the common one and the worker's number, counted from 0.

    Processes are started when they are needed. A worker that ends under a job (killed, out of memory) fails that job
    and is replaced by one of the same number. When the process that made the executor ends, however it ends, the
    workers end too.
    """

    def __init__(
        self,
        start: Callable[[Any], Any],
        argument: Any,
        workers: int,
        for_worker: Callable[[Any, int], Any] = lambda argument, number: argument,
    ) -> None:
        if workers < 1:
            raise ValueError(f"an executor needs at least one worker, got {workers}")
        self._start = start
        self._argument, self._for_worker = argument, for_worker
        self._size = workers
        self._workers: list[_Worker] = []
        self._events: deque[Event] = deque()

    @property
    def idle(self) -> int:
        """How many jobs may be submitted now."""
        return self._size - self.running

    @property
    def running(self) -> int:
        """How many jobs are under way, those whose end `wait` has not reported included."""
        # Several jobs may have ended at once: those that `wait` has not reported yet count.
        ended = sum(not isinstance(event, Noted) for event in self._events)
        return ended + sum(worker.job is not None for worker in self._workers)

    def choose(self, jobs: Sequence[Job]) -> Job:
        """One for whose affinity an idle worker is ready; else, for a fresh worker, one that no other is ready for."""
        ready = {worker.affinity for worker in self._workers}
        ready_now = {worker.affinity for worker in self._workers if worker.job is None}
        for job in jobs:
            if affinity(job) is not None and affinity(job) in ready_now:
                return job
        if None in ready_now or len(self._workers) < self._size:
            for job in jobs:
                if affinity(job) not in ready:
                    return job
        return jobs[0]

    def submit(self, job: Job) -> None:
        """Hands a job to the idle worker that suits its affinity best; a worker that has died is reported by `wait`."""
        wanted = affinity(job)
        worker = self._free_worker(wanted)
        worker.job = job
        worker.affinity = worker.affinity if wanted is None else wanted
        try:
            worker.pipe.send(job)
        except (BrokenPipeError, ConnectionResetError):
            self._events.append(self._crashed(worker))

    def wait(self) -> Event:
        """The next event, once there is one.

        Raises:
            RuntimeError: no job is under way.
        """
        while not self._events:
            busy = [worker for worker in self._workers if worker.job is not None]
            if not busy:
                raise RuntimeError("wait() without a job under way")
            ready = wait([worker.pipe for worker in busy])
            self._events.extend(self._receive(worker) for worker in busy if worker.pipe in ready)
        return self._events.popleft()

    def close(self) -> None:
        """Ends the workers; what they are doing is lost."""
        workers, self._workers = self._workers, []
        self._events.clear()
        for worker in workers:
            worker.pipe.close()
            if worker.job is not None:
                worker.process.terminate()
        for worker in workers:
            worker.process.join(_SECONDS_TO_END)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
            worker.process.close()

    def _free_worker(self, wanted: Hashable | None) -> _Worker:
        for worker in sorted(self._workers, key=lambda one: (one.affinity != wanted, one.affinity is not None)):
            if worker.job is None:
                if worker.process.is_alive():
                    return worker
                self._remove(worker)
                break
        if len(self._workers) >= self._size:
            raise RuntimeError("submit() without an idle worker")
        number = min(set(range(self._size)) - {worker.number for worker in self._workers})
        argument = self._for_worker(self._argument, number)
        ours, theirs = multiprocessing.Pipe()
        process = multiprocessing.get_context("spawn").Process(
            target=_work, args=(theirs, self._start, argument), name="pvbench worker", daemon=True
        )
        with _one_thread():
            process.start()
        theirs.close()
        worker = _Worker(process, ours, number)
        self._workers.append(worker)
        return worker

    def _receive(self, worker: _Worker) -> Event:
        job = worker.job
        assert job is not None
        try:
            kind, content = worker.pipe.recv()
        except (EOFError, ConnectionResetError):
            return self._crashed(worker)
        if kind == "note":
            return Noted(job, content)
        worker.job = None
        return Done(job, content) if kind == "done" else Failed(job, *content)

    def _crashed(self, worker: _Worker) -> Failed:
        job = worker.job
        assert job is not None
        worker.process.join(_SECONDS_TO_END)
        code = worker.process.exitcode
        how = f"was ended by {signal.Signals(-code).name}" if code is not None and code < 0 else f"ended with {code}"
        hint = "; the machine may be out of memory: try fewer --workers" if code == -signal.SIGKILL else ""
        self._remove(worker)
        return Failed(job, "GenerationError", f"the worker process {how}{hint}", "", crashed=True)

    def _remove(self, worker: _Worker) -> None:
        self._workers.remove(worker)
        worker.pipe.close()
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join()
        worker.process.close()


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Processes started inside inherit an environment that keeps numerical libraries to one thread."""
    before = {name: os.environ.get(name) for name in THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _work(pipe: Connection, start: Callable[[Any], Any], argument: Any) -> None:
    """A worker's life, without the second in which Python and torch would take themselves apart after it."""
    try:
        _do_jobs(pipe, start, argument)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(0)


def _do_jobs(pipe: Connection, start: Callable[[Any], Any], argument: Any) -> None:
    """Jobs come in until the pipe closes."""
    # Ctrl-C reaches the whole process group; the parent decides what becomes of its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _end_with_parent()
    prepare_process()
    state: Any = None
    started = False
    while True:
        try:
            job = pipe.recv()
        except (EOFError, ConnectionResetError):
            return
        try:
            if not started:
                state, started = start(argument), True
            prepare_process()
            answer = ("done", job.run(state, lambda note: pipe.send(("note", note))))
        except (BrokenPipeError, ConnectionResetError):
            return
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a plug-in may raise anything; it is recorded
            answer = ("failed", (type(error).__name__, str(error) or repr(error), traceback.format_exc()))
        try:
            pipe.send(answer)
        except (BrokenPipeError, ConnectionResetError):
            return


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
