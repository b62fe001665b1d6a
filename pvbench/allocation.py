"""How this process's memory is asked of the system."""

from __future__ import annotations

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Numbers of glibc's `mallopt`."""


def keep_freed_memory(kept: int = 2**29) -> None:
    """Up to `kept` bytes that are freed stay with the process for its next tensors, where the C library is glibc's.

    Otherwise a tensor of some megabytes is given back when it is freed, and the system clears as many pages for the
    next: a sixth of the time of sampling a video with the mini weights, a twentieth of that of the published networks.
    Blocks above 32 MiB, the most that glibc allows, are given back all the same.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_TRIM_THRESHOLD, kept)
        mallopt(_MMAP_THRESHOLD, 2**25)
