"""Names of devices to torch's devices."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pvbench.errors import DeviceError

if TYPE_CHECKING:
    import torch


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
