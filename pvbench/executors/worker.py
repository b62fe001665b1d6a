"""What workers of every kind do: print into a file, and record what a job raised."""

from __future__ import annotations

import os
import sys
import threading
import traceback
from dataclasses import dataclass
from pathlib import Path

from pvbench.errors import DeviceError, ProfileError, StoreError, WeightsError
from pvbench.machine.memory import keep_freed_memory

# With one of these every other piece of work would fail as well, so the run stops.
FATAL = (DeviceError, ProfileError, StoreError, WeightsError)


def print_to(log: Path) -> None:
    """What libraries print in this process goes to a file: the terminal belongs to the progress bars.

    Raises:
        StoreError: the file cannot be written.
    """
    try:
        opened = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    except OSError as error:
        raise StoreError(f"cannot write {log}: {error.strerror}") from error
    sys.stdout.flush()
    sys.stderr.flush()
    os.dup2(opened, 1)
    os.dup2(opened, 2)
    os.close(opened)


THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
"""Variables of the environment by which numerical libraries are kept to one thread."""


def prepare_process() -> None:
    """One thread for torch, locks and freed memory within this process; may be called again before every job."""
    _lock_within_process()
    keep_freed_memory()
    torch = sys.modules.get("torch")
    if torch is not None and torch.get_num_threads() != 1:
        torch.set_num_threads(1)


def _lock_within_process() -> None:
    """Without it tqdm makes a lock between processes, a semaphore that a worker leaves behind when it is ended."""
    from tqdm import tqdm

    tqdm.set_lock(threading.RLock())


@dataclass(frozen=True)
class Refused:
    """A piece of work that raised; `fatal` where every other one would raise as well."""

    error: str
    message: str
    traceback: str
    fatal: bool = False

    @classmethod
    def of(cls, error: BaseException) -> Refused:
        """The record of an exception being handled."""
        return cls(type(error).__name__, str(error) or repr(error), traceback.format_exc(), isinstance(error, FATAL))
