"""Running a plan: jobs go to the workers in an order that keeps them busy, what they answer is recorded."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any

from pvbench import errors
from pvbench.errors import PvbenchError
from pvbench.executors.executor import Done, Executor, Failed, Job, Noted
from pvbench.executors.local import LocalExecutor
from pvbench.executors.worker import Refused
from pvbench.machine.devices import default_workers, on_device_of_its_own, resolve_device
from pvbench.runner.estimate import Costs
from pvbench.runner.jobs import (
    GenerateJob,
    Made,
    MeasureJob,
    ReferenceJob,
    RunSetup,
    Stepped,
    TextJob,
    TuneJob,
    VideoToMeasure,
    WantedVideo,
    start_worker,
)
from pvbench.runner.observer import Observer, Tally, tallies_of
from pvbench.runner.pieces import by_row, chunks
from pvbench.runner.plan import Cell, Plan
from pvbench.runner.result import RunResult, collect
from pvbench.runner.scales import scales_of
from pvbench.runner.survey import Survey, take_survey, tune_job, video_to_measure
from pvbench.store import Failure, Store

_MEASURE_CHUNK = 8
_LARGEST_CHUNK = 16
# A worker gets its share of the videos in about so many pieces: few enough to load adapters seldom, enough to end
# together.
_PIECES_A_WORKER = 16
# A damaged video is made again in the next round; more rounds than this means that the disk damages what is written.
_ROUNDS = 3


def run_grid(
    plan: Plan,
    store: Store,
    observer: Observer,
    *,
    device: str = "auto",
    workers: int | None = None,
    executor: Callable[[RunSetup, int], Executor] | None = None,
    device_of: Callable[[str], str] = resolve_device,
) -> RunResult:
    """Everything in the plan that the folder lacks is made; what fails is recorded and the rest goes on.

    Raises:
        FaceError: for a reference image without a face or with more than one, before anything else is done.
        PvbenchError: where every further cell would fail too: a full disk, corrupt weights, no such device.
    """
    if device not in ("auto", "cpu"):
        device_of(device)
    with store.locked():
        store.write_plan(plan.summary())
        survey = take_survey(plan, store)
        if survey.nothing_to_do:
            observer.planned(plan, survey, tallies_of(plan, survey), 0, 0.0)
            observer.ended()
            return collect(plan, store, survey)
        device = device_of(device)
        workers = workers or default_workers(device)
        wanted = frozenset(name for group in plan.features.groups for name in group.features)
        setup = RunSetup(plan.profile, device, store.folder / "workers.log", wanted)
        start = executor or (lambda around, count: LocalExecutor(start_worker, around, count, on_device_of_its_own))
        with start(setup, workers) as pool:
            run = _Run(plan, store, observer, pool, workers, device)
            try:
                survey = run.go(survey)
            finally:
                observer.ended()
        return collect(plan, store, survey)


class _Run:
    """The state of one run: what waits, what is under way, what was seen."""

    def __init__(self, plan: Plan, store: Store, observer: Observer, pool: Executor, workers: int, device: str) -> None:
        self._plan = plan
        self._store = store
        self._observer = observer
        self._pool = pool
        self._workers = workers
        self._device = device
        self._costs = Costs(plan.profile.cost, device, store.read_log(), scales_of(plan))
        self._tallies: dict[str, Tally] = {}
        # By (stage, method): pieces of work that are left.
        self._left: Counter[tuple[str, str]] = Counter()
        self._making: deque[Job] = deque()
        self._measuring: deque[Job] = deque()
        self._fresh: list[VideoToMeasure] = []
        # By the adapter that they wait for; rows that differ in sampling alone wait for the same.
        self._waiting: dict[Path, list[GenerateJob]] = {}
        # By the adapter that is being tuned: the method, and how far it is.
        self._steps: dict[Path, tuple[str, Stepped]] = {}
        # How many pieces of a job under way were answered for; they come in the job's order.
        self._answered: Counter[int] = Counter()
        # How often each piece brought down a worker.
        self._tries: Counter[Hashable] = Counter()
        self._failed: set[Cell] = set()
        self._failed_tunings = 0

    def go(self, survey: Survey) -> Survey:
        """What the folder holds after rounds until nothing is left but what failed."""
        for round_ in range(_ROUNDS):
            self._enter(survey)
            if round_ == 0:
                seconds = self._costs.total(self._left, self._workers, fresh=True)
                self._observer.planned(self._plan, survey, self._tallies, self._workers, seconds)
            # References first, on their own: a face that cannot be used stops the run before it costs anything.
            self._drain(deque([*survey.reference_jobs, *([survey.text_job] if survey.text_job else [])]), deque())
            self._drain(self._making, self._measuring)
            survey = take_survey(self._plan, self._store, self._failed)
            if survey.nothing_to_do:
                return survey
        raise errors.StoreError(
            f"files in {self._store.folder} are damaged again and again after they were written; "
            f"check the disk, or choose another folder with --out"
        )

    def _enter(self, survey: Survey) -> None:
        plan = self._plan
        self._tallies = tallies_of(plan, survey)
        self._tallies["tune"].done -= self._failed_tunings
        self._tallies["tune"].failed = self._failed_tunings
        for cell in self._failed:
            self._tallies["measure" if cell in survey.made else "generate"].failed += 1
        self._left = Counter()
        for job in survey.tunings.values():
            self._left["tune", job.variant.variant.method] += 1
        for wanted in survey.wanted:
            self._left["generate", self._method(wanted.cell.variant)] += 1
        for cell in [*(wanted.cell for wanted in survey.wanted), *(item.cell for item in survey.to_measure)]:
            self._left["measure", self._method(cell.variant)] += 1
        dearest = sorted(
            survey.tunings.values(),
            reverse=True,
            key=lambda job: self._costs.seconds("tune", job.variant.variant.method),
        )
        self._making = deque(dearest)
        self._measuring = deque()
        self._fresh = []
        self._waiting = {}
        size = max(1, min(_LARGEST_CHUNK, len(survey.wanted) // (self._workers * _PIECES_A_WORKER)))
        tuned = {job.path for job in survey.tunings.values()}
        for wanted_videos in by_row(survey.wanted):
            jobs = [self._generate_job(chunk) for chunk in chunks(wanted_videos, size)]
            adapter = jobs[0].adapter
            if adapter in tuned:
                self._waiting.setdefault(adapter, []).extend(jobs)
            else:
                self._making.extend(jobs)
        self._measuring.extend(MeasureJob(tuple(chunk)) for chunk in chunks(survey.to_measure, _MEASURE_CHUNK))

    def _generate_job(self, wanted: list[WantedVideo]) -> GenerateJob:
        cell = wanted[0].cell
        variant, identity = self._plan.variant(cell.variant), self._plan.identity(cell.identity)
        adapter = tune_job(self._plan, self._store, variant, identity).path if variant.cls.tunes else None
        return GenerateJob(variant, identity, adapter, tuple(wanted))

    def _drain(self, first: deque[Job], then: deque[Job]) -> None:
        """Jobs run until both queues and the workers are empty; `then` gets a worker when `first` has no job."""
        while True:
            while self._submit_one(first, then):
                pass
            if not self._pool.running:
                if not self._fresh:
                    return
                self._queue_measuring(everything=True)
                continue
            event = self._pool.wait()
            if isinstance(event, Noted):
                self._on_note(event.job, event.note)
            elif isinstance(event, Done):
                self._on_done(event.job, event.result)
            else:
                self._on_failed(event)
            if not first:
                self._queue_measuring(everything=not self._waiting and self._pool.idle > 0)
            self._show(event.job)

    def _submit_one(self, first: deque[Job], then: deque[Job]) -> bool:
        """Whether a job was given to a worker that was idle."""
        for queue in (first, then):
            if queue and self._pool.accepts(queue[0]):
                self._pool.submit(self._next(queue))
                return True
        return False

    def _next(self, queue: deque[Job]) -> Job:
        """The queue's first job, or, where that is a tuning, one of the same variant that a worker is readier for."""
        head = queue[0]
        if not isinstance(head, TuneJob):
            return queue.popleft()
        alike = [job for job in queue if isinstance(job, TuneJob) and job.variant.label == head.variant.label]
        chosen = self._pool.choose(alike)
        del queue[next(place for place, job in enumerate(queue) if job is chosen)]
        return chosen

    def _on_note(self, job: Job, note: Stepped | Made) -> None:
        if isinstance(note, Stepped):
            assert isinstance(job, TuneJob)
            self._steps[job.path] = job.variant.variant.method, note
            return
        self._answered[id(job)] += 1
        if isinstance(job, GenerateJob):
            self._on_video(note.item, note)
        elif isinstance(job, MeasureJob):
            self._on_measured(note.item, note)

    def _on_done(self, job: Job, result: Made | None) -> None:
        self._answered.pop(id(job), None)
        if isinstance(job, TuneJob):
            assert isinstance(result, Made)
            self._on_tuned(job, result)

    def _on_failed(self, event: Failed) -> None:
        job = event.job
        refused = Refused(event.error, event.message, event.traceback)
        answered = self._answered.pop(id(job), 0)
        if not event.crashed:
            raise _as_error(refused)
        if isinstance(job, TuneJob):
            self._steps.pop(job.path, None)
            if self._tries_again(job.key):
                self._making.appendleft(job)
            else:
                self._on_tuned(job, Made(None, 0.0, refused))
        elif isinstance(job, ReferenceJob | TextJob):
            if not self._tries_again(job.in_words):
                raise _as_error(refused)
            self._making.appendleft(job)
        elif isinstance(job, GenerateJob | MeasureJob) and job.pieces[answered:]:
            self._after_crash(job, answered, refused)

    def _after_crash(self, job: GenerateJob | MeasureJob, answered: int, refused: Refused) -> None:
        """The piece that was under way brought the worker down; the ones after it get another."""
        culprit, *left = job.pieces[answered:]
        if self._tries_again(culprit.key):
            left = [culprit, *left]
        elif isinstance(culprit, WantedVideo):
            self._on_video(culprit, Made(culprit, 0.0, refused))
        else:
            self._on_measured(culprit, Made(culprit, 0.0, refused))
        if left:
            (self._making if isinstance(job, GenerateJob) else self._measuring).appendleft(job.of(left))

    def _tries_again(self, piece: Hashable) -> bool:
        """Whether a piece that brought down its worker is given to another."""
        self._tries[piece] += 1
        return self._tries[piece] < self._pool.attempts

    def _on_tuned(self, job: TuneJob, made: Made) -> None:
        self._steps.pop(job.path, None)
        waiting = self._waiting.pop(job.path, [])
        method = job.variant.variant.method
        self._left["tune", method] -= 1
        if made.refused is None:
            self._tallies["tune"].done += 1
            who = {"variant": job.variant.label, "identity": job.identity.name}
            self._seen("tune", method, made.seconds, shared_seconds=made.shared, **made.memory, **who)
            self._store.forgive(job.key)
            # Behind the other tunings: the longest pieces first, so that the workers end together.
            self._making.extend(waiting)
            return
        self._tallies["tune"].failed += 1
        self._failed_tunings += 1
        self._refuse(made.refused, job.key, "tune", job.variant.label, job.identity.name)
        for wanted in (wanted for generate in waiting for wanted in generate.wanted):
            self._give_up(wanted.cell, "generate")

    def _on_video(self, wanted: WantedVideo, made: Made) -> None:
        cell = wanted.cell
        if made.refused is not None:
            self._refuse(made.refused, wanted.key, "generate", cell.variant, cell.identity, cell)
            self._give_up(cell, "generate")
            return
        method = self._method(cell.variant)
        self._left["generate", method] -= 1
        self._tallies["generate"].done += 1
        self._seen(
            "generate",
            method,
            made.seconds,
            variant=cell.variant,
            identity=cell.identity,
            prompt=cell.prompt,
            seed=cell.seed,
            **made.memory,
        )
        self._store.forgive(wanted.key)
        self._fresh.append(video_to_measure(self._plan, self._store, cell, made.digest))

    def _on_measured(self, item: VideoToMeasure, made: Made) -> None:
        cell = item.cell
        method = self._method(cell.variant)
        self._left["measure", method] -= 1
        if made.refused is None:
            self._tallies["measure"].done += 1
            self._seen(
                "measure",
                method,
                made.seconds,
                variant=cell.variant,
                identity=cell.identity,
                prompt=cell.prompt,
                seed=cell.seed,
            )
            self._store.forgive(item.key)
        elif made.damaged:
            # The run made this file itself, so it can make it again: the next round finds it missing.
            item.video.unlink(missing_ok=True)
            self._observer.noted(f"{item.video} is damaged: it is made again")
        else:
            self._refuse(made.refused, item.key, "measure", cell.variant, cell.identity, cell)
            self._failed.add(cell)
            self._tallies["measure"].failed += 1

    def _give_up(self, cell: Cell, stage: str) -> None:
        method = self._method(cell.variant)
        self._failed.add(cell)
        self._left["generate", method] -= 1
        self._left["measure", method] -= 1
        self._tallies[stage].failed += 1

    def _refuse(
        self, refused: Refused, key: str, stage: str, variant: str, identity: str, cell: Cell | None = None
    ) -> None:
        if refused.fatal:
            raise _as_error(refused)
        failure = Failure(
            key,
            stage,
            variant,
            identity,
            cell.prompt if cell else "",
            cell.seed if cell else None,
            refused.error,
            refused.message,
            refused.traceback,
        )
        self._store.fail(failure)
        self._observer.failed(failure)

    def _seen(self, stage: str, method: str, seconds: float, **what: str | float) -> None:
        self._costs.observe(stage, method, seconds)
        self._store.log(
            {
                "at": round(time.time(), 3),
                "stage": stage,
                "method": method,
                "device": self._device,
                "seconds": round(seconds, 4),
                **what,
            }
        )

    def _queue_measuring(self, everything: bool) -> None:
        while len(self._fresh) >= _MEASURE_CHUNK or (everything and self._fresh):
            self._measuring.append(MeasureJob(tuple(self._fresh[:_MEASURE_CHUNK])))
            del self._fresh[:_MEASURE_CHUNK]

    def _show(self, job: Job) -> None:
        self._tallies["tune"].under_way = sum(stepped.share for _, stepped in self._steps.values())
        left = {piece: float(count) for piece, count in self._left.items()}
        for method, stepped in self._steps.values():
            left["tune", method] -= stepped.share
        self._observer.advanced(self._tallies, self._costs.total(left, self._workers), self._in_words(job))

    def _in_words(self, job: Any) -> str:
        found = self._steps.get(job.path) if isinstance(job, TuneJob) else None
        return f"{job.in_words}{f', {found[1].in_words}' if found else ''}"

    def _method(self, label: str) -> str:
        return self._plan.variant(label).variant.method


def _as_error(refused: Refused) -> PvbenchError:
    kind = getattr(errors, refused.error, None)
    if isinstance(kind, type) and issubclass(kind, PvbenchError):
        return kind(refused.message)
    return PvbenchError(f"{refused.error}: {refused.message}\n{refused.traceback}".rstrip())
