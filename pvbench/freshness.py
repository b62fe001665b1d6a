"""When a report that was written is still that of what it was made from."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

import pvbench
from pvbench.digest import digest, file_digest
from pvbench.machine.facts import machine, versions


def freshness(inputs: Mapping[str, object]) -> str:
    """Digest of a report's inputs, of the code that writes it, of the published tables, and of the machine.

    Args:
        inputs: what the report is made from, as plain values.
    """
    package, published = Path(pvbench.__file__).parent, Path(str(files("pvbench.paper")))
    sources = [
        *package.glob("report/**/*"),
        *package.glob("metrics/*.py"),
        *package.glob("measuring/*.py"),
        *published.glob("*.toml"),
        package / "stats.py",
    ]
    return digest(
        {
            "inputs": inputs,
            "versions": versions(),
            "machine": machine(),
            "sources": [file_digest(one) for one in sorted(sources) if one.suffix != ".pyc" and one.is_file()],
        }
    )
