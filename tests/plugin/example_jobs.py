"""Jobs for the tests of executors; workers import them by name."""

import os
import signal
import time
from dataclasses import dataclass

from pvbench.errors import WeightsError


def start(argument):
    return [argument]


def start_badly(argument):
    raise WeightsError("no weights")


@dataclass(frozen=True)
class Count:
    def run(self, state, notify):
        state[0] += 1
        return state[0]


@dataclass(frozen=True)
class Numbered:
    number: int

    def run(self, state, notify):
        return self.number


@dataclass(frozen=True)
class Note:
    count: int

    def run(self, state, notify):
        for index in range(self.count):
            notify(index)


@dataclass(frozen=True)
class Fail:
    message: str

    def run(self, state, notify):
        raise ValueError(self.message)


@dataclass(frozen=True)
class EndWorker:
    def run(self, state, notify):
        raise SystemExit(3)


@dataclass(frozen=True)
class Die:
    def run(self, state, notify):
        os.kill(os.getpid(), signal.SIGKILL)


@dataclass(frozen=True)
class Hang:
    """Says that it is there, then waits for ever."""

    def run(self, state, notify):
        notify("here")
        signal.pause()


@dataclass(frozen=True)
class Pid:
    """Says which process it runs in, then waits for ever."""

    def run(self, state, notify):
        notify(os.getpid())
        signal.pause()


@dataclass(frozen=True)
class Kin:
    """Answers with the process it ran in."""

    affinity: str | None

    def run(self, state, notify):
        return os.getpid()


@dataclass(frozen=True)
class Bar:
    """Shows progress by tqdm, then waits for ever."""

    def run(self, state, notify):
        from tqdm import tqdm

        for _ in tqdm(range(1), disable=True):
            notify("the bar is there")
            signal.pause()


@dataclass(frozen=True)
class Environment:
    def run(self, state, notify):
        return {name: os.environ[name] for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}


@dataclass(frozen=True)
class Sleep:
    """Takes its time without a processor, as work on a GPU does."""

    seconds: float

    def run(self, state, notify):
        time.sleep(self.seconds)
