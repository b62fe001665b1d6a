"""Which device the networks run on, how many workers share it, and what the processor computes by itself."""

from __future__ import annotations

import dataclasses
import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar, runtime_checkable

from pvbench.errors import DeviceError
from pvbench.machine.packages import check_run_extra

if TYPE_CHECKING:
    import torch


@cache
def computes_bfloat16(facts: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether the processor multiplies bfloat16 by itself; False where nothing says so.

    Others emulate it: sampling then takes 16 times as long as in float32 (an AVX2 processor), in place of 0.7 times.
    """
    try:
        lines = facts.read_text().splitlines()
    except OSError:
        return False
    flags = next((set(line.split()) for line in lines if line.startswith(("flags", "Features"))), set())
    return bool(flags & {"avx512_bf16", "amx_bf16", "bf16"})


def torch_device(name: str) -> torch.device:
    """`cpu`, `cuda` (or `cuda:1`), or the better of both for `auto`.

    Raises:
        DeviceError: unknown, or asked for and absent.
    """
    import torch

    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name != "cpu" and not name.startswith("cuda"):
        raise DeviceError(f"unknown device {name!r}; expected cpu, cuda or auto")
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise DeviceError(f"device {name!r} was asked for, but torch sees no GPU; use --device cpu or auto")
    return torch.device(name)


# Without either there is no CUDA on Linux (the second is WSL's), and torch need not be imported to know.
_CUDA_NODES = ("/dev/nvidiactl", "/dev/dxg")
_CONTAINER_LIMIT = Path("/sys/fs/cgroup/memory.max")


def resolve_device(device: str) -> str:
    """What `auto` stands for on this machine, or the device that was asked for: `cpu`, `cuda`, `cuda:1`.

    Raises:
        DeviceError: for an unknown device, or CUDA asked for where there is none.
        ExtraError: torch and what runs beside it are not installed.
    """
    check_run_extra("running and measuring")
    if device == "cpu" or (device == "auto" and not any(Path(node).exists() for node in _CUDA_NODES)):
        return "cpu"
    return str(torch_device(device))


def memory_of(device: str) -> int:
    """Bytes of memory that a device has: the GPU's, or the machine's as far as this process may use it."""
    if device != "cpu":
        import torch

        return int(torch.cuda.get_device_properties(torch_device(device)).total_memory)
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        limit = _CONTAINER_LIMIT.read_text().strip()
    except OSError:
        return whole
    return min(whole, int(limit)) if limit.isdecimal() else whole


def default_workers(device: str) -> int:
    """One a core that this process may use on the CPU; on CUDA one a GPU, or one where a GPU is named."""
    if device == "cpu":
        return len(os.sched_getaffinity(0))
    return _gpus() if device == "cuda" else 1


Around = TypeVar("Around", bound="OnDevice")


@runtime_checkable
class OnDevice(Protocol):
    """What a worker is started with, a dataclass that names a device."""

    @property
    def device(self) -> str:
        """Such as "cpu", "cuda" or "cuda:1"."""


def on_device_of_its_own(around: Around, number: int) -> Around:
    """What the worker of that number is started with: where there are several GPUs, they take them in turn."""
    if around.device != "cuda" or _gpus() < 2:
        return around
    return dataclasses.replace(around, device=f"cuda:{number % _gpus()}")  # type: ignore[type-var]


def _gpus() -> int:
    import torch

    return max(1, torch.cuda.device_count())
