"""Sha256 of weight files, computed once while a file stays as it is: in a process, and of large files for good."""

from __future__ import annotations

import contextlib
import json
import os
from functools import cache
from pathlib import Path

from pvbench.atomic import write_text
from pvbench.digest import digest, file_digest
from pvbench.errors import StoreError

FOLDER_VARIABLE = "PVBENCH_WEIGHTS"
_LARGE = 64 * 2**20
"""Bytes above which a digest is kept on the disk; a smaller file is read in a moment."""


def weights_root() -> Path:
    """Where published weights lie."""
    return Path(os.environ.get(FOLDER_VARIABLE) or "~/.cache/pvbench/weights").expanduser()


def digest_of(path: Path) -> str:
    """Sha256, in hex, of a file, computed once while its size and time of change stay as they are.

    That of a file above 64 MB is kept in `digests/` of the weights folder, since 42 GB take a minute to read and every
    worker asks.
    """
    state = path.stat()
    return _digest(path, state.st_mtime_ns, state.st_size)


@cache
def _digest(path: Path, changed: int, size: int) -> str:
    if size <= _LARGE:
        return file_digest(path)
    known: dict[str, str | int] = {"path": str(path.resolve()), "changed": changed, "size": size}
    note = weights_root() / "digests" / f"{digest(known['path'])[:24]}.json"
    found = _noted(note, known)
    if found is None:
        found = file_digest(path)
        # A folder that cannot be written costs time, nothing else.
        with contextlib.suppress(StoreError):
            write_text(note, json.dumps({**known, "sha256": found}) + "\n")
    return found


def _noted(note: Path, known: dict[str, str | int]) -> str | None:
    """The digest that a note holds, if it is of the file as it is now."""
    try:
        found = json.loads(note.read_text())
    except (OSError, ValueError):
        return None
    if not isinstance(found, dict) or {name: found.get(name) for name in known} != known:
        return None
    return str(found["sha256"]) if "sha256" in found else None
