"""The features of videos: what there is to compute, who computes it, and what came of it."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Hashable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import TypeVar

import numpy as np

from pvbench.digest import digest
from pvbench.errors import FaceError, PvbenchError
from pvbench.evaluator import FeaturePlan
from pvbench.executors.executor import Done, Executor, Failed, Job
from pvbench.executors.worker import Refused
from pvbench.identity import Identity
from pvbench.measuring.imported import ImportedVideo, Problem
from pvbench.measuring.jobs import Answer, InputJob, Kind, MeasureSetup, Piece, VideoJob
from pvbench.measuring.kept import Files, KeptFeatures, read_left_out
from pvbench.measuring.place import Place
from pvbench.measuring.precheck import Precheck
from pvbench.measuring.request import EMBEDDING, FEWEST_IN_A_SET, MeasureRequest, role_of, runs_among, takes_renderings
from pvbench.prompt import load_prompts
from pvbench.store import Store
from pvbench.video import content_digest, written_digest
from pvbench.weights import verified, weights_folder

Progress = Callable[[int, int, str], None]
"""Told how many videos are measured, of how many, and what is under way."""


class Work:
    """What there is to compute, and what came of it.

    Attributes:
        refused: by kind and name, why something has no features.
        made, reused: videos that were measured, and that were known; those of FVD's reference set do not count.
    """

    def __init__(
        self, order: MeasureRequest, store: Store, features: FeaturePlan, checked: Precheck, progress: Progress | None
    ) -> None:
        self.order, self.store, self.checked, self.progress = order, store, checked, progress
        self.features_plan = features
        self.kept = KeptFeatures(features, store, runs_among(order))
        self.refused: dict[tuple[Kind, str], Refused] = {}
        self.reused = self.made = 0
        self._done = self._total = 0
        self._contents: dict[Path, str] = {}
        # How often each thing brought down a worker.
        self._tries: Counter[Hashable] = Counter()

    def go(self, place: Place) -> None:
        """Makes what the folder lacks, by workers of that place."""
        first, then = self._plan()
        if first or then:
            wanted = frozenset(name for group in self.features_plan.groups for name in group.features)
            around = MeasureSetup(self.order.profile, place.device, wanted, self.store.folder / "workers.log")
            count = max(1, min(place.workers, len(first) + len(then)))
            with place.pool(around, count) as pool:
                self._drain(pool, deque(first))
                self._stop_for_inputs()
                self._drain(pool, deque(then))
        self.checked.problems += [
            Problem(f"identity {person.name}", f"{photo} is left out: {why}", stops=False)
            for person in self._people()
            for photo, why in (read_left_out(self._reference_files(person)) if person.plain else {}).items()
        ]

    def features(self, video: ImportedVideo) -> dict[str, np.ndarray]:
        """All features of a video, of its identity's references and of its text; nothing where its own are missing."""
        if video not in self.checked.usable:
            return {}
        own = self.kept.read(self._video_files(video.path)) or {}
        if own and video.identity is not None:
            own |= self.reference_features(video.identity)
        if own and video.text:
            own |= self.text_features(video.rendered_text)
        return own

    def reference_features(self, identity: Identity) -> dict[str, np.ndarray]:
        """All features of an identity's photos; nothing where one is missing."""
        return self.kept.read(self._reference_files(identity)) or {}

    def text_features(self, text: str) -> dict[str, np.ndarray]:
        """All features of a text; nothing where one is missing."""
        return self.kept.read(self._text_files(text)) or {}

    def rendered(self) -> Mapping[tuple[str, str, int], np.ndarray]:
        """The embeddings of the rendered videos by cell, where they are FVD's reference set: one for all seeds."""
        if not self._embeds or not takes_renderings(self.order):
            return {}
        seeds = {video.seed for video in self.checked.usable}
        return KeptEmbeddings(
            self.kept,
            {
                (name, prompt_id, seed): self._rendered_files(archive, place)
                for name, prompt_id, place, archive in self._renderings()
                for seed in seeds
            },
        )

    def pool(self) -> tuple[str, Mapping[str, np.ndarray]] | None:
        """Name and embeddings of the folder that FVD refers to, where one was given."""
        if not self.checked.reference:
            return None
        kept = self._pool()
        name = f"{Path(self.order.reference).resolve().name}@{self.reference_content()[:8]}"
        return (name, kept) if len(kept) >= FEWEST_IN_A_SET else None

    def _pool(self) -> KeptEmbeddings[str]:
        return KeptEmbeddings(
            self.kept, {str(path): self._embedding_files(self.content(path)) for path in self.checked.reference}
        )

    @property
    def _embeds(self) -> bool:
        """Whether embeddings of videos are made."""
        return any(EMBEDDING in group.features for group in self.features_plan.groups)

    def _embedding_files(self, content: str) -> Files:
        holds = [group.name for group in self.features_plan.groups if EMBEDDING in group.features]
        return self.kept.files("video", content, holds)

    def embeddings(self, videos: Mapping[Cell, Path]) -> Mapping[Cell, np.ndarray]:
        """The embeddings of videos by their cells, as far as FVD has anything to refer to."""
        return KeptEmbeddings(
            self.kept,
            {cell: self._embedding_files(self.content(path)) for cell, path in videos.items()} if self._embeds else {},
        )

    def reference_content(self) -> str:
        """Digest of the videos that FVD refers to: those that have an embedding."""
        if not self._embeds:
            return ""
        if takes_renderings(self.order):
            return digest([[place, self.content(archive)] for _, _, place, archive in self._renderings()])
        return digest(sorted(self.content(Path(path)) for path in self._pool())) if self.checked.reference else ""

    def _plan(self) -> tuple[list[Job], list[Job]]:
        """References and texts, then videos, as far as their features are missing."""
        inputs: list[tuple[Identity | str, Files]] = [
            *((identity, self._reference_files(identity)) for identity in self._people()),
            *((text, self._text_files(text)) for text in self._asked()),
        ]
        first: list[Job] = [
            InputJob(given, missing, files) for given, files in inputs if (missing := self.kept.missing(files))
        ]
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
        people = {
            video.identity.scoring_digest: video.identity for video in self.checked.usable if video.identity is not None
        }
        return list(people.values())

    def _asked(self) -> list[str]:
        return list(dict.fromkeys(video.rendered_text for video in self.checked.usable if video.text))

    def _reference_files(self, identity: Identity) -> Files:
        return self.kept.files("reference", identity.scoring_digest)

    def _text_files(self, text: str) -> Files:
        return self.kept.files("text", sha256(text.encode()).hexdigest())

    def _video_files(self, path: Path) -> Files:
        without = self.checked.without.get(path, frozenset())
        groups = [group.name for group in self.features_plan.of("video") if group.name not in without]
        return self.kept.files("video", self.content(path), groups)

    def lacking(self, path: Path) -> frozenset[str]:
        """The features that a video cannot have."""
        without = self.checked.without.get(path, frozenset())
        return frozenset(
            name for group in self.features_plan.groups if group.name in without for name in group.features
        )

    def content(self, path: Path) -> str:
        """Digest of a video, computed once: of its frames where it lies in a run's folder, else of the file's bytes."""
        if path not in self._contents:
            of_run = any(path.is_relative_to(store.folder / "videos") for store in runs_among(self.order))
            # Anywhere else a file may be a copy that somebody changed, with the head of the old one.
            self._contents[path] = (written_digest(path) if of_run else None) or content_digest(path)
        return self._contents[path]

    # FVD's reference set.

    def _reference_pieces(self) -> list[Piece]:
        if not self._embeds:
            return []
        pieces = []
        if takes_renderings(self.order):
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
        places = {
            prompt.id: place for place, prompt in enumerate(load_prompts(self.order.profile.prompts.evaluation).prompts)
        }
        cells = dict.fromkeys(
            (video.identity.name, video.prompt_id)
            for video in self.checked.usable
            if video.identity is not None and video.prompt_id in places
        )
        return [
            (identity, prompt_id, places[prompt_id], folder / f"{identity}.mkv")
            for identity, prompt_id in cells
            if (folder / f"{identity}.mkv").is_file()
        ]

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
                if self._tries_again(event, pool):
                    queue.append(event.job)
                else:
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

    def _tries_again(self, event: Failed, pool: Executor) -> bool:
        """Whether a job that brought down its worker is given to another."""
        job = event.job
        assert isinstance(job, VideoJob | InputJob)
        self._tries[job.kept] += 1
        return event.crashed and self._tries[job.kept] < pool.attempts

    def _failed(self, event: Failed) -> None:
        """A worker ended under a job: only the video that did it is lost."""
        if not event.crashed or not isinstance(event.job, VideoJob):
            raise PvbenchError(event.message)
        piece = event.job.piece
        self._answered(Answer(piece.kind, piece.name, Refused(event.error, event.message, event.traceback)))

    def _stop_for_inputs(self) -> None:
        faults = [
            Problem(f"{kind} {name}", refused.message)
            for (kind, name), refused in self.refused.items()
            if kind in ("identity", "text")
        ]
        self.checked.problems += faults
        if faults and not self.order.allow_partial:
            raise FaceError(
                "; ".join(f"{fault.where}: {fault.what}" for fault in faults)
                + "; or go on without with --allow-partial"
            )


Cell = TypeVar("Cell")


class KeptEmbeddings(Mapping[Cell, np.ndarray]):
    """`video/embedding` by key, each read from its file when it is asked for, so that none is held."""

    def __init__(self, kept: KeptFeatures, files: Mapping[Cell, Files]) -> None:
        self._kept = kept
        self._files = {key: of_key for key, of_key in files.items() if not kept.missing(of_key)}

    def __getitem__(self, key: Cell) -> np.ndarray:
        found = self._kept.read(self._files[key])
        assert found is not None, "it was there when it was looked for"
        return found[EMBEDDING]

    def __iter__(self) -> Iterator[Cell]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)
