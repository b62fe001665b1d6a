"""What the workers do: one video decoded once for all features that are wanted of it."""

from __future__ import annotations

import os
import sys
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pvbench.errors import DeviceError, PvbenchError, StoreError, WeightsError
from pvbench.executors.executor import Notify
from pvbench.identity import Identity
from pvbench.profile import Profile
from pvbench.runner import parts
from pvbench.store import write_features
from pvbench.video import Video, read_video

FATAL = (DeviceError, StoreError, WeightsError)
"""With one of these every other video would fail as well."""

GROUPS: Mapping[str, tuple[str, ...]] = {
    "face": ("face/embedding", "face/detected", "face/box", "face/count"),
    "clip": ("clip/frame",),
    "clip_face": ("clip/face",),
    "flow": ("flow/top5", "flow/mean", "flow/size", "flow/fps"),
    "warp": ("flow/warp_error",),
    "video": ("video/embedding",),
    "reference_face": ("reference/face",),
    "reference_clip": ("reference/clip",),
    "reference_clip_face": ("reference/clip_face",),
    "text": ("text/clip",),
}
"""Features that are made, and kept, together."""

EXTRACTORS_OF: Mapping[str, tuple[str, ...]] = {
    "face": ("face",), "clip": ("clip",), "clip_face": ("clip", "face"), "flow": ("flow",), "warp": ("flow",),
    "video": ("video",),
    "reference_face": ("face",), "reference_clip": ("clip",), "reference_clip_face": ("clip", "face"),
    "text": ("clip",),
}
"""The parts of the extractors whose signatures a group rests on."""


@dataclass(frozen=True)
class Surroundings:
    """What a worker is started with; `wanted` are the names of all features that will be asked for."""

    profile: Profile
    device: str
    wanted: frozenset[str]
    log: Path


class Bench:
    """A worker's state: the extractors, made when a job first needs them."""

    def __init__(self, surroundings: Surroundings) -> None:
        self.surroundings = surroundings
        self._extractors: Any = None
        self._archive: tuple[Path, list[Video]] | None = None

    @property
    def extractors(self) -> Any:
        """The profile's extractors; each network is loaded when a feature first needs it."""
        if self._extractors is None:
            around = self.surroundings
            self._extractors = parts.load_extractors(around.profile, around.device, around.wanted)
        return self._extractors

    def rendered(self, path: Path, place: int) -> Video:
        """One video of an archive; the last archive is kept."""
        from pvbench.world.benchmark import read_archive

        if self._archive is None or self._archive[0] != path:
            sampling = self.surroundings.profile.sampling
            self._archive = path, list(read_archive(path, sampling.frames, sampling.fps))
        return self._archive[1][place]

    def made(self, what: str, given: Any, groups: Mapping[str, Path]) -> None:
        """Writes the features of one thing (`video`, `references` or `text`), each group into its file."""
        function = getattr(self.extractors, what)
        wanted = frozenset(name for group in groups for name in GROUPS[group])
        selective = getattr(self.extractors, "selective", False) and what != "text"
        found = function(given, wanted) if selective else function(given)
        for group, path in groups.items():
            write_features(path, {name: found[name] for name in GROUPS[group] if name in found})


def start(surroundings: Surroundings) -> Bench:
    """A fresh worker's state; what libraries print goes to a file."""
    try:
        log = os.open(surroundings.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    except OSError as error:
        raise StoreError(f"cannot write {surroundings.log}: {error.strerror}") from error
    sys.stdout.flush()
    sys.stderr.flush()
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    return Bench(surroundings)


@dataclass(frozen=True)
class Refusal:
    """Why something has no features."""

    message: str
    traceback: str
    fatal: bool

    @classmethod
    def of(cls, error: BaseException) -> Refusal:
        """The record of an exception being handled."""
        known = isinstance(error, PvbenchError)
        return cls(str(error) if known else f"{type(error).__name__}: {error}", traceback.format_exc(),
                   isinstance(error, FATAL))


@dataclass(frozen=True)
class Answer:
    """A note or a result: one piece is done after `seconds`, or refused."""

    key: str
    seconds: float
    refusal: Refusal | None = None


@dataclass(frozen=True)
class Piece:
    """One video on the disk, or one that `read` gives, and where its features go, by group."""

    key: str
    path: Path
    groups: tuple[tuple[str, Path], ...]
    place: int | None = None
    """In an archive of rendered videos; None for a file of its own."""


@dataclass(frozen=True)
class VideosJob:
    """The features of a few videos."""

    pieces: tuple[Piece, ...]

    def run(self, bench: Bench, notify: Notify) -> None:
        """Notes every video."""
        for piece in self.pieces:
            began = time.perf_counter()
            try:
                bench.made("video", self._video(piece, bench), dict(piece.groups))
            except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a codec or a network raises is recorded
                notify(Answer(piece.key, 0.0, Refusal.of(error)))
                continue
            notify(Answer(piece.key, time.perf_counter() - began))

    def _video(self, piece: Piece, bench: Bench) -> Video:
        return read_video(piece.path) if piece.place is None else bench.rendered(piece.path, piece.place)


@dataclass(frozen=True)
class ReferenceJob:
    """The features of an identity's reference images."""

    key: str
    identity: Identity
    groups: tuple[tuple[str, Path], ...]

    def run(self, bench: Bench, notify: Notify) -> Answer:
        """Answers with the reason where an image shows no face, or more than one."""
        try:
            bench.made("references", self.identity.references(), dict(self.groups))
        except PvbenchError as error:
            return Answer(self.key, 0.0, Refusal.of(error))
        return Answer(self.key, 0.0)


@dataclass(frozen=True)
class TextJob:
    """The features of one prompt's text."""

    key: str
    text: str
    groups: tuple[tuple[str, Path], ...]

    def run(self, bench: Bench, notify: Notify) -> Answer:
        """Answers when they are written."""
        try:
            bench.made("text", self.text, dict(self.groups))
        except PvbenchError as error:
            return Answer(self.key, 0.0, Refusal.of(error))
        return Answer(self.key, 0.0)
