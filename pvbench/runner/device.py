"""Which device the networks run on, and how many workers share it."""

from __future__ import annotations

import os
from pathlib import Path

from pvbench.errors import DeviceError, did_you_mean

DEVICES = ("auto", "cpu", "cuda")

# Without either there is no CUDA on Linux (the second is WSL's), and torch need not be imported to know.
_CUDA_NODES = ("/dev/nvidiactl", "/dev/dxg")


def resolve_device(device: str) -> str:
    """`cpu` or `cuda`: what `auto` stands for on this machine, or what was asked for.

    Raises:
        DeviceError: for an unknown device, or CUDA asked for where there is none.
    """
    if device not in DEVICES:
        raise DeviceError(f"unknown device {device!r}{did_you_mean(device, DEVICES)}; expected {', '.join(DEVICES)}")
    if device == "cpu":
        return "cpu"
    if device == "auto" and not any(Path(node).exists() for node in _CUDA_NODES):
        return "cpu"
    import torch

    if torch.cuda.is_available():
        return "cuda"
    if device == "cuda":
        raise DeviceError("--device cuda was asked for, but torch finds no CUDA device here; check the driver and that "
                          "torch is a CUDA build, or run with --device cpu")
    return "cpu"


def default_workers(device: str) -> int:
    """One a core that this process may use on the CPU, one on CUDA."""
    return 1 if device == "cuda" else max(1, len(os.sched_getaffinity(0)))
