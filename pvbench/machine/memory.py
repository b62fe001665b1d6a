"""How this process's memory is asked of the system."""

from __future__ import annotations

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Numbers of glibc's `mallopt`."""


def keep_freed_memory(kept: int = 2**29) -> None:
    """Up to `kept` bytes that are freed stay with the process for its next tensors, where the C library is glibc's.

    Otherwise a tensor of some megabytes is given back when it is freed, and the system clears as many pages for the
    next: a twentieth of the time of the published networks; a sixth of that of sampling with the mini weights, until
    glibc has seen so many large tensors that it keeps some by itself, as after a tuning. Blocks above 32 MiB, the most
    that glibc allows, are given back all the same.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_TRIM_THRESHOLD, kept)
        mallopt(_MMAP_THRESHOLD, 2**25)
