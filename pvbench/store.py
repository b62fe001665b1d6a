"""Run folders: where the adapters, videos, features, failures and figures of one run lie.

Every artefact appears whole, under a name with the digest of everything that made it: what is there is done.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from pvbench.atomic import remove_unfinished, replacing, write_text
from pvbench.errors import StoreError

_LONGEST_SLUG = 120
_KEY_CHARACTERS = 12

Features = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Failure:
    """Why a cell, or the tuning that it needs, has no result. `prompt` and `seed` are empty for a tuning."""

    key: str
    stage: str
    variant: str
    identity: str
    prompt: str
    seed: int | None
    error: str
    message: str
    traceback: str

    @property
    def where(self) -> str:
        """The cell in words."""
        cell = "" if not self.prompt else f", {self.prompt}, seed {self.seed}"
        return f"{self.variant}, {self.identity}{cell}"


class Store:
    """One run folder; it is made when the first thing is written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody else runs in this folder meanwhile; what a killed run left half-written is removed first.

        Raises:
            StoreError: while another process holds the folder, or for one that cannot be written.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.folder / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise StoreError(
                f"cannot write into {self.folder}: {error.strerror}; choose another folder with --out or "
                f"change its permissions"
            ) from error
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = os.read(descriptor, 32).decode() or "unknown"
                raise StoreError(
                    f"another run (process {holder}) works in {self.folder}; wait for it, or choose "
                    f"another folder with --out"
                ) from None
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, str(os.getpid()).encode(), 0)
            remove_unfinished(self.folder)
            yield
        finally:
            os.close(descriptor)

    def adapter_path(self, key: str, variant: str, identity: str) -> Path:
        """Where the adapter of one variant and identity lies."""
        return self.folder / "adapters" / _slug(variant) / f"{identity}-{key[:_KEY_CHARACTERS]}.safetensors"

    @property
    def shelf(self) -> Path:
        """The folder of what several tunings have in common."""
        return self.folder / "shelf"

    def video_path(self, key: str, variant: str, identity: str, prompt: str, seed: int) -> Path:
        """Where the video of one cell lies."""
        name = f"{prompt}-s{seed}-{key[:_KEY_CHARACTERS]}.mkv"
        return self.folder / "videos" / _slug(variant) / identity / name

    def features_path(self, kind: str, content: str, evaluators: str) -> Path:
        """Where the features of a `kind` (video, reference, text) of thing lie, by the digests of both."""
        name = f"{content[: 2 * _KEY_CHARACTERS]}-{evaluators[:_KEY_CHARACTERS]}.safetensors"
        return self.folder / "features" / kind / name

    @property
    def judged_file(self) -> Path:
        """What judges said of pairs of the run's videos, if there is such a file; see `pvbench.report.judged`."""
        return self.folder / "judged.csv"

    @property
    def report_folder(self) -> Path:
        """Where the report lies."""
        return self.folder / "report"

    def fail(self, failure: Failure) -> None:
        """The failure is recorded, in place of an earlier one of the same key."""
        write_text(self._failure_path(failure.key), json.dumps(asdict(failure), indent=1, sort_keys=True) + "\n")

    def forgive(self, key: str) -> None:
        """No failure is recorded for that key."""
        self._failure_path(key).unlink(missing_ok=True)

    def failures(self) -> dict[str, Failure]:
        """The recorded failures by key; a record that cannot be read counts as none."""
        found = {}
        for path in sorted((self.folder / "failures").glob("*.json")):
            try:
                failure = Failure(**json.loads(path.read_text()))
            except (ValueError, TypeError, OSError):
                continue
            found[failure.key] = failure
        return found

    def log(self, entry: Mapping[str, Any]) -> None:
        """One more line in log.jsonl, which holds times and is not part of what two runs have in common."""
        try:
            with (self.folder / "log.jsonl").open("a") as file:
                file.write(json.dumps(entry) + "\n")
        except OSError as error:
            raise StoreError(
                f"cannot write {self.folder / 'log.jsonl'}: {error.strerror}; free some space or choose "
                f"another folder with --out, then run the same command again"
            ) from error

    def read_log(self) -> list[dict[str, Any]]:
        """The lines of log.jsonl; one that a killed run left half-written is passed over."""
        try:
            lines = (self.folder / "log.jsonl").read_text().splitlines()
        except OSError:
            return []
        entries = []
        for line in lines:
            try:
                entries.append(json.loads(line))
            except ValueError:
                continue
        return [entry for entry in entries if isinstance(entry, dict)]

    def write_plan(self, plan: Mapping[str, Any]) -> None:
        """plan.json holds what this run is about."""
        write_text(self.folder / "plan.json", json.dumps(plan, indent=1, sort_keys=True, ensure_ascii=False) + "\n")

    def read_plan(self) -> dict[str, Any]:
        """What plan.json holds.

        Raises:
            StoreError: for a folder without one.
        """
        path = self.folder / "plan.json"
        try:
            content = json.loads(path.read_text())
        except OSError as error:
            raise StoreError(
                f"no run in {self.folder}: {path.name} cannot be read ({error.strerror}); name a folder "
                f"that `pvbench run --out` or `pvbench measure --out` made"
            ) from error
        except ValueError as error:
            raise StoreError(f"{path} is corrupt ({error}); run the same `pvbench run` again to rewrite it") from error
        if not isinstance(content, dict):
            raise StoreError(f"{path} is corrupt; run the same `pvbench run` again to rewrite it")
        return content

    def _failure_path(self, key: str) -> Path:
        return self.folder / "failures" / f"{key[: 2 * _KEY_CHARACTERS]}.json"


def write_features(path: Path, features: Features) -> None:
    """`path` holds the features as safetensors, with their checksum: the same features give the same bytes.

    Raises:
        StoreError: for a folder that cannot be written or a full disk.
    """
    from safetensors.numpy import save

    arrays = {name: np.ascontiguousarray(array) for name, array in sorted(features.items())}
    with replacing(path) as unfinished:
        unfinished.write_bytes(save(arrays, metadata={_CHECKSUM: _checksum(arrays)}))


def read_features(path: Path) -> dict[str, np.ndarray] | None:
    """The features in a file; None for one that is missing or damaged, which is made again."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            wanted = (file.metadata() or {}).get(_CHECKSUM)
            found = {name: file.get_tensor(name) for name in sorted(file.keys())}
    except (OSError, SafetensorError):
        return None
    return found if _checksum(found) == wanted else None


_CHECKSUM = "sha256"


def _checksum(arrays: Mapping[str, np.ndarray]) -> str:
    """Sha256, in hex, of names, shapes and values."""
    total = sha256()
    for name, array in arrays.items():
        total.update(f"{name} {array.dtype} {array.shape} ".encode())
        total.update(array.tobytes())
    return total.hexdigest()


def _slug(label: str) -> str:
    """A variant's label as a folder's name; what is too long for one ends in a digest."""
    slug = re.sub(r"[^\w.=,+\[\]-]", "_", label)
    if len(slug) <= _LONGEST_SLUG:
        return slug
    return f"{slug[:_LONGEST_SLUG]}-{sha256(label.encode()).hexdigest()[:_KEY_CHARACTERS]}"
