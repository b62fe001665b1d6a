"""From videos to a report: features are made once for each video and kept, scores follow from them."""

from __future__ import annotations

import dataclasses
import json
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from os.path import isdir
from pathlib import Path
from typing import TypeVar

import numpy as np

from pvbench.atomic import write_text
from pvbench.digest import digest
from pvbench.errors import FaceError, MethodError, ProfileError, PvbenchError, VideoError
from pvbench.evaluator import FeaturePlan
from pvbench.executors.executor import Done, Executor, Failed, Job
from pvbench.executors.local import LocalExecutor
from pvbench.executors.worker import Refused
from pvbench.freshness import freshness
from pvbench.identity import Identity
from pvbench.machine.devices import default_workers, memory_of, on_device_of_its_own, resolve_device
from pvbench.measuring.jobs import (
    Answer,
    InputJob,
    Kind,
    MeasureSetup,
    Piece,
    VideoJob,
    start,
)
from pvbench.measuring.kept import Files, KeptFeatures
from pvbench.measuring.layouts import (
    Found,
    Given,
    ImportedVideo,
    People,
    Problem,
    find_videos,
    labels_of,
    refuse_twins,
    videos_below,
)
from pvbench.measuring.precheck import Needs, Precheck, counted, precheck
from pvbench.method import METHODS, Role
from pvbench.metrics import PAPER, Metric, check_features, load_metrics, load_set_metrics
from pvbench.profile import Profile
from pvbench.prompt import load_prompts
from pvbench.store import Store
from pvbench.video import content_digest, written_digest
from pvbench.weights import verified, weights_folder

_RENDERED = "rendered"
_EMBEDDING = "video/embedding"
_FEWEST_IN_A_SET = 2
_NO_REFERENCE = "fvd needs --reference FOLDER, videos to measure the distance to"


@dataclass(frozen=True)
class Order:
    """What is to be measured, and how.

    Attributes:
        sources: folders and manifests.
        metrics: names; all by default.
        reference: FVD's reference set: a folder of videos, `rendered` for the mini world's, empty for the profile's
            own choice.
        allow_partial: go on without the videos that have problems.
        workers: processes; None for one a core, or one a GPU.
        command: what makes this report again.
    """

    sources: tuple[Path, ...]
    profile: Profile
    out: Path
    metrics: tuple[str, ...] = PAPER
    given: Given = field(default_factory=Given)
    identities: Path | None = None
    reference: str = ""
    allow_partial: bool = False
    device: str = "auto"
    workers: int | None = None
    command: str = ""


@dataclass(frozen=True)
class Measured:
    """What came of it: where the report lies, and everything that was wrong with single videos."""

    report: Path
    problems: tuple[Problem, ...]
    reused: int
    made: int
    failed: int
    """Videos without a number."""


Progress = Callable[[int, int, str], None]
"""Told how many videos are measured, of how many, and what is under way."""


class ProblemsError(VideoError):
    """Videos that cannot be measured as asked; `found` lists them."""

    def __init__(self, found: Precheck) -> None:
        count = len(found.problems)
        super().__init__(f"{counted(count, 'problem')} with the videos; mend {'it' if count == 1 else 'them'}, or go "
                         f"on without with --allow-partial")
        self.found = found


def measure(order: Order, progress: Progress | None = None,
            looked: Callable[[Precheck], None] | None = None) -> Measured:
    """Every video measured, and the report written to `<out>/report`.

    Args:
        looked: told what the look at the videos found, before anything is computed.

    Raises:
        ProblemsError: some videos cannot be measured as asked, and `allow_partial` is off.
        FaceError: reference images show no face, or more than one, and `allow_partial` is off; all are named.
        PvbenchError: nothing can be measured: no videos, missing weights, no such device.
    """
    profile = order.profile
    metrics = load_metrics(profile.evaluators.get("metrics", {}), order.metrics)
    of_sets = load_set_metrics(order.metrics)
    wanted = {name for metric in metrics for name in metric.needs}
    check_features(order.metrics, FeaturePlan(profile).features)
    found = _find(order)
    notes = []
    if of_sets:
        if _has_reference(order, {video.method for video in found.videos}):
            wanted |= {name for metric in of_sets for name in metric.needs}
        elif metrics:
            notes.append(_NO_REFERENCE)
        else:
            raise ProfileError(_NO_REFERENCE)
    reference = _reference_videos(order) if of_sets else []
    features = FeaturePlan(profile, wanted)
    needs = _needs(features, metrics)
    if needs.flow:
        device = resolve_device(order.device)
        workers = min(order.workers or default_workers(device), max(1, len(found.videos)))
        needs = dataclasses.replace(needs, memory=memory_of(device) // workers, workers=workers)
    checked = precheck(found.videos, found.problems, needs, reference)
    checked.notes += notes
    if looked is not None:
        looked(checked)
    if checked.problems and not order.allow_partial:
        raise ProblemsError(checked)
    if not checked.usable:
        raise VideoError(f"none of the {len(found.videos)} videos can be measured; see the problems above")
    if reference and len(checked.reference) < _FEWEST_IN_A_SET:
        raise VideoError(f"--reference {order.reference}: {len(checked.reference)} of its {len(reference)} videos can "
                         f"be used, and FVD needs at least {_FEWEST_IN_A_SET}; see the problems above")
    for part in features.parts:
        # Once, here and not in every worker.
        features.loaders[part].provide(profile)
    store = Store(order.out)
    with store.locked():
        work = Work(order, store, features, checked, progress)
        work.go()
        folder = report_folder(store)
        written = store.folder / ".measured.json"
        key = freshness(_inputs(work, found))
        earlier = _earlier(written, key, folder)
        if earlier is None:
            # What scores and draws takes a second to import, which a run with nothing to do can save.
            from pvbench.measuring.report import report

            written.unlink(missing_ok=True)
            earlier = report(order, metrics, found, work, folder)
            files = sorted(str(path.relative_to(folder)) for path in earlier.files)
            write_text(written, json.dumps({"key": key, "files": files, "failed": earlier.failed, "problems": [
                dataclasses.astuple(problem) for problem in earlier.problems]}, indent=1) + "\n")
    return Measured(folder, (*checked.problems, *earlier.problems), work.reused, work.made,
                    earlier.failed)


@dataclass(frozen=True)
class Reported:
    """A report that was written: its files, videos without a number, and problems that showed only while scoring."""

    files: tuple[Path, ...]
    failed: int
    problems: tuple[Problem, ...]


def report_folder(store: Store) -> Path:
    """Where the report goes: beside that of a run, where the folder is one."""
    return store.folder / "measured" if (store.folder / "plan.json").is_file() else store.report_folder


def _inputs(work: Work, found: Found) -> dict[str, object]:
    """Everything that a report is made from, but for the code that writes it and the machine."""
    return {
        "videos": [[v.method, v.identity.digest if v.identity else "", v.prompt_id, v.text, v.seed, str(v.path),
                    work.content(v.path) if v in work.checked.usable else ""] for v in found.videos],
        "problems": [dataclasses.astuple(problem) for problem in work.checked.problems],
        "refused": [[*key, refused.message] for key, refused in work.refused.items()],
        "metrics": work.order.metrics,
        "settings": work.order.profile.evaluators,
        "profile": work.order.profile.name,
        "signature": work.features_plan.signature,
        "reference": work.reference_content(),
        "command": work.order.command,
    }


def _earlier(written: Path, key: str, folder: Path) -> Reported | None:
    """What was reported before from the same; None where it was not, or its files are gone."""
    try:
        content = json.loads(written.read_text())
        files = tuple(folder / name for name in content["files"])
        if content["key"] != key or not all(file.is_file() for file in files):
            return None
        return Reported(files, content["failed"], tuple(Problem(*problem) for problem in content["problems"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _find(order: Order) -> Found:
    prompts = load_prompts(order.profile.prompts.evaluation).prompts
    people = People(order.identities)
    found = Found()
    for source, label in zip(order.sources, labels_of(order.sources), strict=True):
        of_one = find_videos(source, people, prompts, order.given, label, _own_folders(order))
        found.videos += of_one.videos
        found.problems += of_one.problems
    # Twins within one source were refused by now.
    return refuse_twins(found, "where they are of two methods of one name, rename one of the folders, or measure them "
                               "apart, each with its own --method; else give one another seed")


def _runs(order: Order) -> list[Store]:
    """The run folders among the sources, whose features are known."""
    return [Store(source) for source in order.sources if (source / "plan.json").is_file()]


def _own_folders(order: Order) -> tuple[Path, ...]:
    """What an earlier measuring left, which may lie among the videos."""
    store = Store(order.out)
    return store.folder / "features", store.report_folder, store.folder / "measured"


def _takes_renderings(order: Order) -> bool:
    """Whether FVD's reference set is the miniature world's own."""
    mini = order.profile.evaluators.get("kind") == "mini"
    if order.reference == _RENDERED and not mini:
        raise ProfileError(f"--reference rendered is for the miniature world; the profile {order.profile.name!r} takes "
                           f"a folder of videos")
    return mini and order.reference in ("", _RENDERED)


def _has_reference(order: Order, methods: Collection[str]) -> bool:
    """Whether FVD has anything to refer to: a folder, the miniature world's renderings, or another method's row."""
    rows = any(role_of(method) in ("floor", "ceiling") for method in methods)
    return bool(order.reference) or _takes_renderings(order) or (rows and len(methods) > 1)


def role_of(name: str) -> Role:
    """The role of the installed method that videos are named after; they compete where there is none."""
    if name not in METHODS.names():
        return "method"
    try:
        return METHODS.get(name).role
    except MethodError:
        return "method"


def _reference_videos(order: Order) -> list[Path]:
    """The videos of the folder that FVD refers to; none where it refers to no folder."""
    if not order.reference or _takes_renderings(order):
        return []
    folder = Path(order.reference)
    there = isdir(folder)  # noqa: PTH112 - the path's own method raises for a name that is too long
    videos = videos_below(folder, _own_folders(order)) if there else []
    if len(videos) < _FEWEST_IN_A_SET:
        raise VideoError(f"--reference {folder}: it holds {counted(len(videos), 'video')}; FVD needs a folder with at "
                         f"least two, and hundreds to mean something")
    return videos


def _needs(features: FeaturePlan, metrics: Sequence[Metric]) -> Needs:
    def needing(prefix: str) -> tuple[str, ...]:
        return tuple(metric.name for metric in metrics if any(need.startswith(prefix) for need in metric.needs))

    demands = features.demands
    return Needs(
        needing("reference/"),
        needing("text/"),
        size=demands.size,
        frames=demands.frames,
        multiple=demands.multiple,
        flow=needing("flow/") if demands.bytes_of else (),
        bytes_of=demands.bytes_of,
    )


class Work:
    """What there is to compute, and what came of it.

    Attributes:
        refused: by kind and name, why something has no features.
        made, reused: videos that were measured, and that were known; those of FVD's reference set do not count.
    """

    def __init__(self, order: Order, store: Store, features: FeaturePlan, checked: Precheck,
                 progress: Progress | None) -> None:
        self.order, self.store, self.checked, self.progress = order, store, checked, progress
        self.features_plan = features
        self.kept = KeptFeatures(features, store, _runs(order))
        self.refused: dict[tuple[Kind, str], Refused] = {}
        self.reused = self.made = 0
        self._done = self._total = 0
        self._contents: dict[Path, str] = {}

    def go(self) -> None:
        """Makes what the folder lacks."""
        first, then = self._plan()
        if first or then:
            device = resolve_device(self.order.device)
            workers = self.order.workers or default_workers(device)
            wanted = frozenset(name for group in self.features_plan.groups for name in group.features)
            around = MeasureSetup(self.order.profile, device, wanted, self.store.folder / "workers.log")
            count = max(1, min(workers, len(first) + len(then)))
            with LocalExecutor(start, around, count, on_device_of_its_own) as pool:
                self._drain(pool, deque(first))
                self._stop_for_inputs()
                self._drain(pool, deque(then))

    def features(self, video: ImportedVideo) -> dict[str, np.ndarray]:
        """All features of a video, of its identity's references and of its text; nothing where its own are missing."""
        if video not in self.checked.usable:
            return {}
        own = self.kept.read(self._video_files(video.path)) or {}
        if own and video.identity is not None:
            own |= self.kept.read(self._reference_files(video.identity)) or {}
        if own and video.text:
            own |= self.text_features(video.rendered_text)
        return own

    def text_features(self, text: str) -> dict[str, np.ndarray]:
        """All features of a text; nothing where one is missing."""
        return self.kept.read(self._text_files(text)) or {}

    def rendered(self) -> Mapping[tuple[str, str, int], np.ndarray]:
        """The embeddings of the rendered videos by cell, where they are FVD's reference set: one for all seeds."""
        if not self._embeds or not _takes_renderings(self.order):
            return {}
        seeds = {video.seed for video in self.checked.usable}
        return KeptEmbeddings(self.kept, {
            (name, prompt_id, seed): self._rendered_files(archive, place)
            for name, prompt_id, place, archive in self._renderings() for seed in seeds})

    def pool(self) -> tuple[str, Mapping[str, np.ndarray]] | None:
        """Name and embeddings of the folder that FVD refers to, where one was given."""
        if not self.checked.reference:
            return None
        kept = self._pool()
        name = f"{Path(self.order.reference).resolve().name}@{self.reference_content()[:8]}"
        return (name, kept) if len(kept) >= _FEWEST_IN_A_SET else None

    def _pool(self) -> KeptEmbeddings[str]:
        return KeptEmbeddings(self.kept, {
            str(path): self._embedding_files(self.content(path)) for path in self.checked.reference})

    @property
    def _embeds(self) -> bool:
        """Whether embeddings of videos are made."""
        return any(_EMBEDDING in group.features for group in self.features_plan.groups)

    def _embedding_files(self, content: str) -> Files:
        holds = [group.name for group in self.features_plan.groups if _EMBEDDING in group.features]
        return self.kept.files("video", content, holds)

    def embeddings(self, videos: Mapping[Cell, Path]) -> Mapping[Cell, np.ndarray]:
        """The embeddings of videos by their cells, as far as FVD has anything to refer to."""
        return KeptEmbeddings(self.kept, {
            cell: self._embedding_files(self.content(path)) for cell, path in videos.items()} if self._embeds else {})

    def reference_content(self) -> str:
        """Digest of the videos that FVD refers to: those that have an embedding."""
        if not self._embeds:
            return ""
        if _takes_renderings(self.order):
            return digest([[place, self.content(archive)] for _, _, place, archive in self._renderings()])
        return digest(sorted(self.content(Path(path)) for path in self._pool())) if self.checked.reference else ""

    def _plan(self) -> tuple[list[Job], list[Job]]:
        """References and texts, then videos, as far as their features are missing."""
        inputs: list[tuple[Identity | str, Files]] = [
            *((identity, self._reference_files(identity)) for identity in self._people()),
            *((text, self._text_files(text)) for text in self._asked()),
        ]
        first: list[Job] = [
            InputJob(given, missing, files) for given, files in inputs if (missing := self.kept.missing(files))]
        pieces = []
        # A file that is listed several times, as by several sources, is decoded once.
        for path in dict.fromkeys(video.path for video in self.checked.usable):
            files = self._video_files(path)
            missing = self.kept.missing(files)
            if missing:
                pieces.append(Piece("video", str(path), path, missing, files))
            else:
                self.reused += 1
        own = {piece.path for piece in pieces}
        pieces += [piece for piece in self._reference_pieces() if piece.path not in own]
        self._total = len(pieces)
        return first, [VideoJob(piece) for piece in pieces]

    def _people(self) -> list[Identity]:
        people = {video.identity.digest: video.identity for video in self.checked.usable if video.identity is not None}
        return list(people.values())

    def _asked(self) -> list[str]:
        return list(dict.fromkeys(video.rendered_text for video in self.checked.usable if video.text))

    def _reference_files(self, identity: Identity) -> Files:
        return self.kept.files("reference", identity.digest)

    def _text_files(self, text: str) -> Files:
        return self.kept.files("text", sha256(text.encode()).hexdigest())

    def _video_files(self, path: Path) -> Files:
        return self.kept.files("video", self.content(path))

    def content(self, path: Path) -> str:
        """Digest of a video, computed once: of its frames where it lies in a run's folder, else of the file's bytes."""
        if path not in self._contents:
            of_run = any(path.is_relative_to(store.folder / "videos") for store in _runs(self.order))
            # Anywhere else a file may be a copy that somebody changed, with the head of the old one.
            self._contents[path] = (written_digest(path) if of_run else None) or content_digest(path)
        return self._contents[path]

    # FVD's reference set.

    def _reference_pieces(self) -> list[Piece]:
        if not self._embeds:
            return []
        pieces = []
        if _takes_renderings(self.order):
            for identity, prompt_id, place, archive in self._renderings():
                files = self._rendered_files(archive, place)
                missing = self.kept.missing(files)
                if missing:
                    name = f"{identity}, {prompt_id}"
                    pieces.append(Piece("reference video", name, archive, missing, files, place))
        for path in self.checked.reference:
            files = self._embedding_files(self.content(path))
            missing = self.kept.missing(files)
            if missing:
                pieces.append(Piece("reference video", str(path), path, missing, files))
        return pieces

    def _renderings(self) -> list[tuple[str, str, int, Path]]:
        """Identity, prompt, place and archive of the rendered videos of the cells that there are.

        None where a row is the ceiling, whose videos are the reference set.
        """
        if any(role_of(video.method) == "ceiling" for video in self.checked.usable):
            return []
        folder = verified(weights_folder(self.order.profile.evaluators["weights"]), "oracle")
        places = {prompt.id: place for place, prompt
                  in enumerate(load_prompts(self.order.profile.prompts.evaluation).prompts)}
        cells = dict.fromkeys((video.identity.name, video.prompt_id) for video in self.checked.usable
                              if video.identity is not None and video.prompt_id in places)
        return [(identity, prompt_id, places[prompt_id], folder / f"{identity}.mkv") for identity, prompt_id in cells
                if (folder / f"{identity}.mkv").is_file()]

    def _rendered_files(self, archive: Path, place: int) -> Files:
        return self._embedding_files(digest([self.content(archive), place]))

    # Running.

    def _drain(self, pool: Executor, queue: deque[Job]) -> None:
        while queue or pool.running:
            while queue and pool.idle:
                pool.submit(queue.popleft())
            event = pool.wait()
            if isinstance(event, Done):
                assert isinstance(event.result, Answer)
                self._answered(event.result)
            elif isinstance(event, Failed):
                self._failed(event)

    def _answered(self, answer: Answer) -> None:
        if answer.refused is not None:
            if answer.refused.fatal:
                raise PvbenchError(answer.refused.message)
            self.refused[answer.kind, answer.name] = answer.refused
        if answer.kind in ("video", "reference video"):
            self._done += 1
            self.made += answer.kind == "video" and answer.refused is None
            if self.progress is not None:
                self.progress(self._done, self._total, Path(answer.name).name)

    def _failed(self, event: Failed) -> None:
        """A worker ended under a job: only the video that did it is lost."""
        if not isinstance(event.job, VideoJob):
            raise PvbenchError(event.message)
        piece = event.job.piece
        self._answered(Answer(piece.kind, piece.name, Refused(event.error, event.message, event.traceback)))

    def _stop_for_inputs(self) -> None:
        faults = [Problem(f"{kind} {name}", refused.message) for (kind, name), refused in self.refused.items()
                  if kind in ("identity", "text")]
        self.checked.problems += faults
        if faults and not self.order.allow_partial:
            raise FaceError("; ".join(f"{fault.where}: {fault.what}" for fault in faults)
                            + "; or go on without with --allow-partial")


Cell = TypeVar("Cell")


class KeptEmbeddings(Mapping[Cell, np.ndarray]):
    """`video/embedding` by key, each read from its file when it is asked for, so that none is held."""

    def __init__(self, kept: KeptFeatures, files: Mapping[Cell, Files]) -> None:
        self._kept = kept
        self._files = {key: of_key for key, of_key in files.items() if not kept.missing(of_key)}

    def __getitem__(self, key: Cell) -> np.ndarray:
        found = self._kept.read(self._files[key])
        assert found is not None, "it was there when it was looked for"
        return found[_EMBEDDING]

    def __iter__(self) -> Iterator[Cell]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)
