"""The most memory that a piece of work took: of the GPU where there is one, else of the process."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_GIB = 1024**3


@dataclass
class Peak:
    """What a piece of work took at most.

    Attributes:
        gib: GiB of memory, models included; NaN where the system does not tell.
    """

    gib: float = math.nan


@contextlib.contextmanager
def measured_peak(device: str) -> Iterator[Peak]:
    """Within it, the peak of memory is watched; it is known when the work is done.

    On CUDA it is what torch allocated on the device. Elsewhere it is the resident memory of this process, which Linux
    alone starts from zero for each piece.

    Args:
        device: such as `cpu` or `cuda:1`.
    """
    peak = Peak()
    if device.startswith("cuda"):
        import torch

        torch.cuda.reset_peak_memory_stats(device)
        yield peak
        peak.gib = torch.cuda.max_memory_allocated(device) / _GIB
        return
    with contextlib.suppress(OSError):
        _RESET.write_text("5")  # of what is counted in VmHWM
    yield peak
    peak.gib = _resident()


def _resident() -> float:
    try:
        line = next(line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024 / _GIB
    except (OSError, StopIteration, ValueError, IndexError):
        return math.nan
