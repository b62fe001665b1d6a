"""What a run is made with and on: versions of libraries and the machine, as reports print them."""

from __future__ import annotations

import os
import platform
from collections import Counter
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pvbench

_LIBRARIES = (
    "torch",
    "diffusers",
    "transformers",
    "peft",
    "open_clip_torch",
    "opencv-python-headless",
    "numpy",
    "scipy",
)


def versions() -> dict[str, str]:
    """Of pvbench, Python and the libraries that move a number."""
    found = {"pvbench": pvbench.__version__, "python": platform.python_version()}
    for library in _LIBRARIES:
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            continue
    return found


def machine() -> dict[str, str]:
    """Processor, cores, accelerator."""
    parts = {"system": f"{platform.system()} {platform.machine()}", "cores": str(os.cpu_count() or 1)}
    processor = _field(Path("/proc/cpuinfo"), "model name")
    if processor:
        parts["processor"] = processor
    cards = Counter(_field(card, "Model") for card in sorted(Path("/proc/driver/nvidia/gpus").glob("*/information")))
    if cards:
        parts["accelerator"] = ", ".join(f"{count} x {model}" if count > 1 else model for model, count in cards.items())
    return parts


def _field(path: Path, name: str) -> str:
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), "")
