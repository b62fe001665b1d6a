"""The jobs of a run, as workers do them: each writes what it makes, and answers with what the runner needs to know."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from pvbench.atomic import write_text
from pvbench.backbone import Backbone, load_backbone, with_checkpoint
from pvbench.errors import FaceError, GenerationError, MethodError, VideoError
from pvbench.evaluator import Evaluators, FeaturePlan
from pvbench.executors.executor import Notify
from pvbench.executors.worker import Refused, print_to
from pvbench.identity import Identity
from pvbench.machine.peak import measured_peak
from pvbench.measuring.kept import Files, make_features
from pvbench.measuring.photos import make_references
from pvbench.method import METHODS, Adapter, Method, Request, load_adapter, save_adapter
from pvbench.profile import Profile
from pvbench.prompt import PromptSet
from pvbench.runner.plan import Cell
from pvbench.runner.planned import PlannedVariant
from pvbench.shelf import shelf
from pvbench.style import Style
from pvbench.video import Video, read_video, write_video


@dataclass(frozen=True)
class RunSetup:
    """What a worker is started with; `log` receives all that libraries print."""

    profile: Profile
    device: str
    log: Path
    wanted: frozenset[str] | None = None
    """The features to be made; None for those of all groups that are not on demand."""


class Workbench:
    """A worker's state: every network is loaded once, when a job first needs it."""

    def __init__(self, setup: RunSetup) -> None:
        self.profile = setup.profile
        self.device = setup.device
        self.wanted = setup.wanted
        self._backbone: Backbone | None = None
        # The checkpoint that it was loaded from in the place of the profile's own, of a style.
        self._swapped = ""
        self._evaluators: Evaluators | None = None
        # By label and settings: a row and what tunes for it may differ in settings of sampling alone.
        self._methods: dict[tuple[str, str], Method] = {}
        self._adapter: tuple[Path, Adapter] | None = None

    def method(self, variant: PlannedVariant) -> Method:
        """The variant's method, on the backbone, which wears the variant's style or none."""
        key, cls = (variant.label, repr(variant.settings)), METHODS.get(variant.variant.method)
        backbone = self._loaded_backbone(variant.style) if cls.uses_backbone else None
        if key not in self._methods:
            self._methods[key] = cls(variant.settings, backbone, self.profile)
            self._methods[key].style = variant.style
        return self._methods[key]

    @property
    def evaluators(self) -> Evaluators:
        """The networks that features come from, each loaded when it is first needed."""
        if self._evaluators is None:
            self._evaluators = Evaluators(FeaturePlan(self.profile, self.wanted), self.device)
        return self._evaluators

    def adapter(self, path: Path | None) -> Adapter | None:
        """The adapter at that path; the last one is kept."""
        if path is None:
            return None
        if self._adapter is None or self._adapter[0] != path:
            self._adapter = (path, load_adapter(path))
        return self._adapter[1]

    def leave_backbone(self) -> None:
        """On CUDA the backbone and its methods make room for the evaluators."""
        if self.device != "cpu" and self._backbone is not None:
            self._backbone = None
            self._methods.clear()
            sys.modules["torch"].cuda.empty_cache()

    def _loaded_backbone(self, style: Style | None) -> Backbone:
        checkpoint = style.checkpoint if style else ""
        if self._backbone is not None and checkpoint != self._swapped:
            # Two of them might not fit beside each other.
            self._backbone = None
            self._methods.clear()
        if self._backbone is None:
            self._backbone = load_backbone(with_checkpoint(self.profile, style), self.device)
            self._swapped = checkpoint
        self._backbone.wear(style)
        return self._backbone


def start_worker(setup: RunSetup) -> Workbench:
    """A fresh worker's state."""
    print_to(setup.log)
    return Workbench(setup)


@dataclass(frozen=True)
class Stepped:
    """A note: how far a tuning is."""

    step: int
    total: int
    losses: Mapping[str, float]

    @property
    def share(self) -> float:
        """How much of the tuning is done, from 0 to 1."""
        return self.step / max(self.total, 1)

    @property
    def in_words(self) -> str:
        """Such as `step 12/40, icr 0.31`."""
        losses = [f"{name} {loss:.3g}" for name, loss in self.losses.items()]
        return ", ".join([f"step {self.step}/{self.total}", *losses])


@dataclass(frozen=True)
class Made:
    """A note or result: one piece of a job is done after `seconds`, or was refused; `damaged` where its file was.

    `shared` of the seconds went into what other tunings need not do again; `gib` is the most memory that it took, NaN
    where that is not known.
    """

    item: Any
    seconds: float
    refused: Refused | None = None
    digest: str = ""
    damaged: bool = False
    shared: float = 0.0
    gib: float = math.nan

    @property
    def memory(self) -> dict[str, float]:
        """What the log says of it."""
        return {} if math.isnan(self.gib) else {"peak_gib": round(self.gib, 4)}


@dataclass(frozen=True)
class ReferenceJob:
    """The features of the photos with which an identity's videos are compared, or of those that are `tuned` on."""

    identity: Identity
    missing: Files
    kept: Files
    tuned: bool = False
    stage: ClassVar[str] = "measure"
    needs_device: ClassVar[bool] = False

    @property
    def in_words(self) -> str:
        """What is worked on."""
        return f"references of {self.identity.name}"

    def run(self, bench: Workbench, notify: Notify) -> None:
        """Raises FaceError for an image without a face, or with more than one; of plain photos these are left out."""
        one = self.identity
        try:
            paths, pixels = (one.images, one.references()) if self.tuned else (one.scoring, one.scoring_photos())
            photos = dict(zip([path.name for path in paths], pixels, strict=True))
            make_references(bench.evaluators, photos, self.missing, self.kept, plain=one.plain)
        except FaceError as error:
            raise FaceError(f"identity {self.identity.name!r} in {self.identity.folder}: {error}") from error


@dataclass(frozen=True)
class TextJob:
    """The features of rendered prompts: each with the groups that are missing, and all that are kept."""

    texts: tuple[tuple[str, Files, Files], ...]
    stage: ClassVar[str] = "measure"
    needs_device: ClassVar[bool] = False

    @property
    def in_words(self) -> str:
        """What is worked on."""
        return "prompts"

    def run(self, bench: Workbench, notify: Notify) -> None:
        """One text after the other."""
        for text, missing, kept in self.texts:
            make_features(bench.evaluators, "text", text, missing, kept)


@dataclass(frozen=True)
class TuneJob:
    """The adapter of one variant and identity."""

    variant: PlannedVariant
    identity: Identity
    prompts: PromptSet
    seed: int
    key: str
    path: Path
    shelf: Path
    stage: ClassVar[str] = "tune"

    @property
    def affinity(self) -> tuple[str, str]:
        """What methods keep from one tuning for the next rests on the class noun, as prior pictures do."""
        return self.variant.label, self.identity.class_noun

    @property
    def in_words(self) -> str:
        """What is worked on."""
        return f"{self.variant.label} {self.identity.name}"

    def run(self, bench: Workbench, notify: Notify) -> Made:
        """Notes every step; answers with the seconds of tuning alone. The losses lie beside the adapter as a table."""
        steps: list[Stepped] = []

        def progress(step: int, total: int, losses: Mapping[str, float]) -> None:
            steps.append(Stepped(step, total, {name: float(loss) for name, loss in losses.items()}))
            notify(steps[-1])

        try:
            method = bench.method(self.variant)
            start = time.perf_counter()
            with shelf(self.shelf) as used, measured_peak(bench.device) as peak:
                adapter = method.tune(self.identity, self.prompts, seed=self.seed, progress=progress)
            if not isinstance(adapter, Adapter):
                raise MethodError(
                    f"method {self.variant.cls.name!r}: tune() returned {type(adapter).__name__}; expected an Adapter"
                )
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a plug-in may raise anything; it is recorded
            return Made(None, 0.0, Refused.of(error))
        seconds = time.perf_counter() - start
        # The adapter last: where it is, the tuning is done.
        write_text(self.path.with_suffix(".csv"), _losses_table(steps))
        save_adapter(self.path, adapter)
        return Made(None, seconds, shared=round(used.seconds, 4), gib=peak.gib)


def _losses_table(steps: Sequence[Stepped]) -> str:
    names = list(dict.fromkeys(name for stepped in steps for name in stepped.losses))
    rows = [
        [str(stepped.step), *(repr(stepped.losses[name]) if name in stepped.losses else "" for name in names)]
        for stepped in steps
    ]
    return "".join(",".join(row) + "\n" for row in [["step", *names], *rows])


@dataclass(frozen=True)
class WantedVideo:
    """One video to be made, and where it goes."""

    cell: Cell
    request: Request
    key: str
    path: Path


@dataclass(frozen=True)
class GenerateJob:
    """A few videos of one variant and identity."""

    variant: PlannedVariant
    identity: Identity
    adapter: Path | None
    wanted: tuple[WantedVideo, ...]
    stage: ClassVar[str] = "generate"

    @property
    def in_words(self) -> str:
        """What is worked on."""
        return f"{self.variant.label} {self.identity.name}"

    @property
    def pieces(self) -> tuple[WantedVideo, ...]:
        """What it notes one by one, in this order."""
        return self.wanted

    def of(self, pieces: Sequence[Any]) -> GenerateJob:
        """The same job with these pieces."""
        return replace(self, wanted=tuple(pieces))

    def run(self, bench: Workbench, notify: Notify) -> None:
        """Notes every video when it is written. One that is refused does not keep the others from being made."""
        left = list(self.wanted)
        while left:
            try:
                for made in self._make(bench, left):
                    left.pop(0)
                    notify(made)
            except (Exception, SystemExit) as error:  # noqa: BLE001 - a plug-in may raise anything; it is recorded
                notify(Made(left.pop(0), 0.0, Refused.of(error)))

    def _make(self, bench: Workbench, left: list[WantedVideo]) -> Iterator[Made]:
        method = bench.method(self.variant)
        adapter = bench.adapter(self.adapter)
        if adapter is not None and self.variant.style and self.variant.style.checkpoint:
            # Its words were learned with the text encoder of another checkpoint, which is what is asked for here.
            adapter = replace(adapter, text_encoder="")
        todo = tuple(left)
        start = time.perf_counter()
        videos = iter(method.generate(self.identity, adapter, [wanted.request for wanted in todo]))
        for wanted in todo:
            with measured_peak(bench.device) as peak:
                video = self._checked(next(videos, None), bench.profile)
            write_video(wanted.path, video)
            now = time.perf_counter()
            yield Made(wanted, now - start, digest=video.digest, gib=peak.gib)
            start = time.perf_counter()

    def _checked(self, video: Any, profile: Profile) -> Video:
        name = self.variant.cls.name
        if video is None:
            raise GenerationError(f"method {name!r} yielded fewer videos than were asked for; expected one a request")
        if not isinstance(video, Video):
            raise GenerationError(f"method {name!r} yielded {type(video).__name__}; expected a Video")
        sampling = profile.sampling
        expected = (sampling.frames, sampling.height, sampling.width, 3)
        if video.frames.shape != expected or video.fps != sampling.fps:
            raise GenerationError(
                f"method {name!r} yielded frames of shape {video.frames.shape} at {video.fps} a "
                f"second; the profile says {expected} at {sampling.fps}"
            )
        return video


@dataclass(frozen=True)
class VideoToMeasure:
    """One video on the disk, its cell, the groups of features that are missing, and all that are kept."""

    cell: Cell
    key: str
    video: Path
    missing: Files
    kept: Files


@dataclass(frozen=True)
class MeasureJob:
    """The features of a few videos."""

    videos: tuple[VideoToMeasure, ...]
    stage: ClassVar[str] = "measure"
    needs_device: ClassVar[bool] = False

    @property
    def in_words(self) -> str:
        """What is worked on."""
        return f"{self.videos[0].cell.variant} {self.videos[0].cell.identity}"

    @property
    def pieces(self) -> tuple[VideoToMeasure, ...]:
        """What it notes one by one, in this order."""
        return self.videos

    def of(self, pieces: Sequence[Any]) -> MeasureJob:
        """The same job with these pieces."""
        return MeasureJob(tuple(pieces))

    def run(self, bench: Workbench, notify: Notify) -> None:
        """Notes every video when its features are written. Each is decoded once, for all evaluators."""
        bench.leave_backbone()
        for item in self.videos:
            try:
                start = time.perf_counter()
                try:
                    video = read_video(item.video)
                except VideoError as error:
                    notify(Made(item, 0.0, Refused.of(error), damaged=True))
                    continue
                make_features(bench.evaluators, "video", video, item.missing, item.kept)
                notify(Made(item, time.perf_counter() - start))
            except (Exception, SystemExit) as error:  # noqa: BLE001 - a plug-in may raise anything; it is recorded
                notify(Made(item, 0.0, Refused.of(error)))
