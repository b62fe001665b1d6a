"""Programs of others in processes of their own: their output is passed on, and they end in time and with us."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_DIE_WITH_PARENT = 1
"""Linux's PR_SET_PDEATHSIG."""
_SECONDS_TO_END = 5.0


@dataclass(frozen=True)
class Ended:
    """How a program ended: its exit status, None where it took too long, and the last lines that it printed."""

    status: int | None
    last_lines: tuple[str, ...]

    @property
    def in_words(self) -> str:
        """The last line that says something; '' without any."""
        said = [line.strip() for line in self.last_lines if line.strip()]
        return said[-1][:300] if said else ""


def run_program(
    arguments: Sequence[str], folder: Path, environment: Mapping[str, str], seconds: float, lines: int = 20
) -> Ended:
    """Runs a program to its end; what it prints is written to this process's stderr as it comes.

    The program leads a process group, which is ended as a whole when the time is over or when this process is
    interrupted. On Linux the program itself also ends when this process is killed.

    Args:
        seconds: how long it may take.
        lines: how many of its last lines are kept.

    Raises:
        OSError: the program or the folder is not there, or may not be run.
    """
    process = subprocess.Popen(
        list(arguments),
        cwd=folder,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        preexec_fn=_dying_with(os.getpid()),
    )
    kept: deque[str] = deque(maxlen=lines)
    reader = threading.Thread(target=_pass_on, args=(process, kept), daemon=True)
    reader.start()
    status: int | None
    try:
        status = process.wait(seconds)
    except subprocess.TimeoutExpired:
        status = None
    finally:
        # What it started may go on after it.
        _end_group(process)
    reader.join(_SECONDS_TO_END)
    return Ended(status, tuple(kept))


def _pass_on(process: subprocess.Popen[bytes], kept: deque[str]) -> None:
    assert process.stdout is not None
    with process.stdout as lines:
        for line in lines:
            text = line.decode(errors="replace").rstrip("\n")
            kept.append(text)
            print(text, file=sys.stderr, flush=True)


def _end_group(process: subprocess.Popen[bytes]) -> None:
    for how in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, how)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_SECONDS_TO_END if process.poll() is None else 0)


def _dying_with(parent: int) -> Callable[[], None] | None:
    """What a fresh process does first: it asks to be killed when its parent is."""
    library = _libc()
    if library is None:
        return None

    def ask() -> None:
        library.prctl(_DIE_WITH_PARENT, signal.SIGKILL)
        # The parent may be gone already.
        if os.getppid() != parent:
            os._exit(1)

    return ask


@cache
def _libc() -> ctypes.CDLL | None:
    if not sys.platform.startswith("linux"):
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "prctl") else None
