"""What the workers do: one video decoded once for all features that are wanted of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from pvbench.errors import FaceError, PvbenchError, counted
from pvbench.evaluator import Evaluators, FeaturePlan
from pvbench.executors.executor import Notify
from pvbench.executors.worker import Refused, print_to
from pvbench.identity import Identity
from pvbench.measuring.kept import Files, make_features, read_left_out, write_left_out
from pvbench.profile import Profile
from pvbench.video import Video, read_video


@dataclass(frozen=True)
class MeasureSetup:
    """What a worker is started with; `wanted` are the names of all features that will be asked for."""

    profile: Profile
    device: str
    wanted: frozenset[str] | None
    log: Path


class Bench:
    """A worker's state: the evaluators, each loaded when a feature of its is first needed."""

    def __init__(self, setup: MeasureSetup) -> None:
        self.setup = setup
        self._evaluators: Evaluators | None = None
        self._archive: tuple[Path, list[Video]] | None = None

    @property
    def evaluators(self) -> Evaluators:
        """The profile's evaluators."""
        if self._evaluators is None:
            self._evaluators = Evaluators(FeaturePlan(self.setup.profile, self.setup.wanted), self.setup.device)
        return self._evaluators

    def rendered(self, path: Path, place: int) -> Video:
        """One video of an archive; the last archive is kept."""
        from pvbench.world.benchmark import read_archive

        if self._archive is None or self._archive[0] != path:
            sampling = self.setup.profile.sampling
            self._archive = path, list(read_archive(path, sampling.frames, sampling.fps))
        return self._archive[1][place]


def start(setup: MeasureSetup) -> Bench:
    """A fresh worker's state."""
    print_to(setup.log)
    return Bench(setup)


Kind = Literal["video", "reference video", "identity", "text"]


@dataclass(frozen=True)
class Answer:
    """A result: one thing is done, or refused."""

    kind: Kind
    name: str
    refused: Refused | None = None


@dataclass(frozen=True)
class Piece:
    """One video, the groups of its features that are to be made, and all that are kept.

    Attributes:
        place: in an archive of rendered videos; None for a file of its own.
    """

    kind: Kind
    name: str
    path: Path
    missing: Files
    kept: Files
    place: int | None = None


@dataclass(frozen=True)
class VideoJob:
    """The features of one video."""

    piece: Piece

    @property
    def kept(self) -> Files:
        """All files of the video's features."""
        return self.piece.kept

    @property
    def reads(self) -> tuple[Path, ...]:
        """The video, or the archive that it is in."""
        return (self.piece.path,)

    def run(self, bench: Bench, notify: Notify) -> Answer:
        """Answers with the reason where it is refused."""
        piece, refused = self.piece, None
        try:
            video = read_video(piece.path) if piece.place is None else bench.rendered(piece.path, piece.place)
            make_features(bench.evaluators, "video", video, piece.missing, piece.kept)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a codec or a network raises is recorded
            refused = Refused.of(error)
        return Answer(piece.kind, piece.name, refused)


@dataclass(frozen=True)
class InputJob:
    """The features of an identity's reference images, or of one prompt's text."""

    given: Identity | str
    missing: Files
    kept: Files

    @property
    def reads(self) -> tuple[Path, ...]:
        """The photos that are looked at; none for a text."""
        return tuple(self.given.scored_with) if isinstance(self.given, Identity) else ()

    def run(self, bench: Bench, notify: Notify) -> Answer:
        """Answers with the reason where it is refused, as images that show no face are."""
        given, refused = self.given, None
        try:
            if isinstance(given, Identity):
                self._make_references(bench, given)
            else:
                make_features(bench.evaluators, "text", given, self.missing, self.kept)
        except PvbenchError as error:
            refused = Refused.of(error)
        if isinstance(given, Identity):
            return Answer("identity", given.name, refused)
        return Answer("text", given, refused)

    def _make_references(self, bench: Bench, person: Identity) -> None:
        """Of a plain folder, photos that cannot serve are left out, and what is wrong with them is kept."""
        photos = dict(zip([path.name for path in person.scored_with], person.scoring_photos(), strict=True))
        for name in read_left_out(self.kept) if person.plain else ():
            photos.pop(name, None)
        try:
            make_features(bench.evaluators, "reference", [*photos.values()], self.missing, self.kept)
        except FaceError:
            groups = [group for group, _ in self.missing]
            wrong = {name: why for name, photo in photos.items() if (why := _why_not(bench, photo, groups))}
            good = [photo for name, photo in photos.items() if name not in wrong]
            if not person.plain:
                raise
            if not good:
                said = "; ".join(f"{name}: {why}" for name, why in list(wrong.items())[:3])
                raise FaceError(f"none of {counted(len(photos), 'photo')} can be used: {said}") from None
            make_features(bench.evaluators, "reference", good, self.missing, self.kept)
            write_left_out(self.kept, wrong)


def _why_not(bench: Bench, photo: np.ndarray, groups: Sequence[str]) -> str:
    """Why a photo cannot serve as a reference, in words that count no photos; empty where it can."""
    try:
        for _ in bench.evaluators.make("reference", [photo], groups):
            pass
    except FaceError as error:
        return str(error).removeprefix("reference photo 1 of 1 ")
    return ""
