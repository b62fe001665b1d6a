"""Files appear whole or not at all: written under a name of their own, then moved into place."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pvbench.errors import StoreError

SUFFIX = ".tmp"


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path in the same folder to write to; it takes `path`'s place at the end, and goes when the body raises.

    Raises:
        StoreError: for a folder that cannot be written, a full disk and every other `OSError`.
    """
    unfinished = path.parent / f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}{SUFFIX}"
    try:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            yield unfinished
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(f"cannot write {path}: {_reason(error)}; nothing written before is lost") from error


def write_bytes(path: Path, content: bytes) -> None:
    """`path` holds `content`, whole.

    Raises:
        StoreError: as `replacing`.
    """
    with replacing(path) as unfinished:
        unfinished.write_bytes(content)


def write_text(path: Path, content: str) -> None:
    """`path` holds `content` in UTF-8, whole; a question mark stands for what is in names that are no UTF-8.

    Raises:
        StoreError: as `replacing`.
    """
    write_bytes(path, content.encode(errors="replace"))


def remove_unfinished(folder: Path) -> int:
    """How many files that a killed process left half-written below `folder` were removed."""
    left = [path for path in folder.rglob(f".*{SUFFIX}") if path.is_file()]
    for path in left:
        path.unlink(missing_ok=True)
    return len(left)


def _reason(error: OSError) -> str:
    if error.errno == errno.ENOSPC:
        return "the disk is full; free some space and run the same command again"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return "the folder may not be written to; choose another with --out or change its permissions"
    if error.errno in (errno.ENOTDIR, errno.EEXIST):
        return "a file is where a folder is needed; move it away or choose another folder with --out"
    return error.strerror or str(error)
