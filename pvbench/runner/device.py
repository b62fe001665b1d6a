"""Which device the networks run on, and how many workers share it."""

from __future__ import annotations

import os
from pathlib import Path

from pvbench.devices import torch_device

# Without either there is no CUDA on Linux (the second is WSL's), and torch need not be imported to know.
_CUDA_NODES = ("/dev/nvidiactl", "/dev/dxg")


def resolve_device(device: str) -> str:
    """What `auto` stands for on this machine, or the device that was asked for: `cpu`, `cuda`, `cuda:1`.

    Raises:
        DeviceError: for an unknown device, or CUDA asked for where there is none.
    """
    if device == "cpu" or (device == "auto" and not any(Path(node).exists() for node in _CUDA_NODES)):
        return "cpu"
    return str(torch_device(device))


def default_workers(device: str) -> int:
    """One a core that this process may use on the CPU, one on CUDA."""
    return len(os.sched_getaffinity(0)) if device == "cpu" else 1
