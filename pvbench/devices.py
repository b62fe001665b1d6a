"""Names of devices to torch's devices, and what the processor computes by itself."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from pvbench.errors import DeviceError

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
