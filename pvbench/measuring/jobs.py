"""What the workers do: one video decoded once for all features that are wanted of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pvbench.errors import PvbenchError
from pvbench.executors.executor import Notify
from pvbench.features.extractor import GROUPS
from pvbench.identity import Identity
from pvbench.profile import Profile
from pvbench.runner import parts
from pvbench.runner.jobs import Refused, print_to
from pvbench.store import write_features
from pvbench.video import Video, read_video


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
        """Writes the features of one thing (`video`, `references` or `text`), each group into its file.

        What belongs together is made and written before what comes next, so that it is kept if that fails.
        """
        function = getattr(self.extractors, what)
        if not getattr(self.extractors, "selective", False):
            _write(function(given), groups)
            return
        for together in _together(groups):
            wanted = frozenset(name for group in together for name in GROUPS[group])
            _write(function(given, wanted), {group: groups[group] for group in together})


def _together(groups: Collection[str]) -> list[list[str]]:
    """The groups, those in one list that rest on the same faces; flow last, which takes the most memory."""
    faces = ("face", "clip_face", "reference_face", "reference_clip_face")
    of_faces = [group for group in groups if group in faces]
    others = [[group] for group in groups if group not in faces]
    return ([of_faces] if of_faces else []) + sorted(others, key=lambda one: one[0] in ("flow", "warp"))


def _write(found: Mapping[str, Any], groups: Mapping[str, Path]) -> None:
    for group, path in groups.items():
        write_features(path, {name: found[name] for name in GROUPS[group] if name in found})


def start(surroundings: Surroundings) -> Bench:
    """A fresh worker's state."""
    print_to(surroundings.log)
    return Bench(surroundings)


Kind = Literal["video", "reference video", "identity", "text"]


@dataclass(frozen=True)
class Answer:
    """A result: one thing is done, or refused."""

    kind: Kind
    name: str
    refused: Refused | None = None


@dataclass(frozen=True)
class Piece:
    """One video, and where its features go, by group."""

    kind: Kind
    name: str
    path: Path
    groups: tuple[tuple[str, Path], ...]
    place: int | None = None
    """In an archive of rendered videos; None for a file of its own."""


@dataclass(frozen=True)
class VideoJob:
    """The features of one video."""

    piece: Piece

    def run(self, bench: Bench, notify: Notify) -> Answer:
        """Answers with the reason where it is refused."""
        piece, refused = self.piece, None
        try:
            video = read_video(piece.path) if piece.place is None else bench.rendered(piece.path, piece.place)
            bench.made("video", video, dict(piece.groups))
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a codec or a network raises is recorded
            refused = Refused.of(error)
        return Answer(piece.kind, piece.name, refused)


@dataclass(frozen=True)
class InputJob:
    """The features of an identity's reference images, or of one prompt's text."""

    given: Identity | str
    groups: tuple[tuple[str, Path], ...]

    def run(self, bench: Bench, notify: Notify) -> Answer:
        """Answers with the reason where it is refused, as images that show no face are."""
        is_person = isinstance(self.given, Identity)
        kind: Kind = "identity" if is_person else "text"
        name = self.given.name if isinstance(self.given, Identity) else self.given
        refused = None
        try:
            content = self.given.references() if isinstance(self.given, Identity) else self.given
            bench.made("references" if is_person else "text", content, dict(self.groups))
        except PvbenchError as error:
            refused = Refused.of(error)
        return Answer(kind, name, refused)
