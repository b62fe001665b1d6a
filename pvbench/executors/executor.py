"""The interface of executors: jobs go in one by one, what happens to them comes out as events."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable

Notify = Callable[[Any], None]
"""Sends a note about a job under way to the process that submitted it."""


@runtime_checkable
class Job(Protocol):
    """A piece of work; it travels to a worker by pickle."""

    def run(self, state: Any, notify: Notify) -> Any:
        """The job's result; `state` is what the worker's start function returned, kept from job to job."""


def affinity(job: Job) -> Hashable | None:
    """What a job finds ready in a worker that had one of the same affinity before; None where it makes no difference.

    A job tells it as an attribute of this name.
    """
    found: Hashable | None = getattr(job, "affinity", None)
    return found


def reads(job: Job) -> Sequence[Path]:
    """Files and folders from elsewhere than the shared folder that a job reads; none where it does not tell.

    A job tells it as an attribute of this name. A node that does not see one of them is named before the job starts.
    """
    found: Sequence[Path] = getattr(job, "reads", ())
    return found


@dataclass(frozen=True)
class Noted:
    """A job under way sent a note."""

    job: Job
    note: Any


@dataclass(frozen=True)
class Done:
    """A job ended with a result."""

    job: Job
    result: Any


@dataclass(frozen=True)
class Failed:
    """A job raised `error` (the class's name) with `message`; `crashed` where the worker itself ended."""

    job: Job
    error: str
    message: str
    traceback: str
    crashed: bool = False


Event = Noted | Done | Failed


class Executor(ABC):
    """Workers that hold their state (loaded models) between jobs. A context manager: leaving it ends the workers.

    Attributes:
        attempts: how often a piece of work may bring down its worker before it is given up: once where workers end
            for what they do, more often where they end with their nodes.
    """

    attempts: ClassVar[int] = 1

    @property
    @abstractmethod
    def idle(self) -> int:
        """How many more jobs can start now."""

    def accepts(self, job: Job) -> bool:
        """Whether this job can start now; executors with workers of several kinds say it by the job's."""
        return self.idle > 0

    @property
    @abstractmethod
    def running(self) -> int:
        """How many jobs are under way, or have ended without `wait` having reported it."""

    def choose(self, jobs: Sequence[Job]) -> Job:
        """Which of the jobs, all as good to the caller, should be submitted next; the first, if it is all the same."""
        return jobs[0]

    @abstractmethod
    def submit(self, job: Job) -> None:
        """The job starts on an idle worker. Only while `idle` is positive."""

    @abstractmethod
    def wait(self) -> Event:
        """The next event of the jobs under way. Only while `running` is positive."""

    @abstractmethod
    def close(self) -> None:
        """All workers have ended; jobs under way are given up."""

    def __enter__(self) -> Executor:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
