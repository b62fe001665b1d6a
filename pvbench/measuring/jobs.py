"""What the workers do: one video decoded once for all features that are wanted of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pvbench.errors import PvbenchError
from pvbench.evaluator import Evaluators, FeaturePlan
from pvbench.executors.executor import Notify
from pvbench.executors.worker import Refused, print_to
from pvbench.identity import Identity
from pvbench.measuring.kept import Files, make_features
from pvbench.measuring.photos import make_references
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
                photos = dict(zip([path.name for path in given.scored_with], given.scoring_photos(), strict=True))
                make_references(bench.evaluators, photos, self.missing, self.kept, plain=given.plain)
            else:
                make_features(bench.evaluators, "text", given, self.missing, self.kept)
        except PvbenchError as error:
            refused = Refused.of(error)
        if isinstance(given, Identity):
            return Answer("identity", given.name, refused)
        return Answer("text", given, refused)
