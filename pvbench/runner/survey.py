"""What a run folder holds of a plan, and what is left to do."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from typing import Literal

from pvbench.digest import file_digest
from pvbench.errors import MethodError
from pvbench.identity import Identity
from pvbench.measuring.kept import Files, KeptFeatures
from pvbench.method import METHODS, Role, tokens_path, words_digest
from pvbench.metrics import reads
from pvbench.runner.jobs import ReferenceJob, TextJob, TuneJob, VideoToMeasure, WantedVideo
from pvbench.runner.plan import Cell, Plan
from pvbench.runner.planned import PlannedVariant, plan_variants
from pvbench.store import Features, Store
from pvbench.video import written_digest

STAGES = ("tune", "generate", "measure")

Reference = Literal["rendered", "base"]

_REFERENCE_ROLES: Mapping[Reference, Role] = {"rendered": "ceiling", "base": "floor"}
"""FVD's reference sets, and the role of the method whose videos each is."""


@dataclass
class Survey:
    """Cells by how far they are. `made` maps a cell to its video's digest, `measured` to its video's features.

    `tunings` are by what is tuned and for whom: rows that share an adapter wait for one of them. `tuned` are the
    features of the photos that methods are tuned on, where a metric reads them.
    """

    made: dict[Cell, str] = field(default_factory=dict)
    measured: dict[Cell, Features] = field(default_factory=dict)
    references: dict[str, Features] = field(default_factory=dict)
    tuned: dict[str, Features] = field(default_factory=dict)
    texts: dict[str, Features] = field(default_factory=dict)
    reference_jobs: list[ReferenceJob] = field(default_factory=list)
    text_job: TextJob | None = None
    tunings: dict[tuple[str, str], TuneJob] = field(default_factory=dict)
    wanted: list[WantedVideo] = field(default_factory=list)
    to_measure: list[VideoToMeasure] = field(default_factory=list)

    @cached_property
    def nothing_to_do(self) -> bool:
        """Whether every cell has its features."""
        return not (self.wanted or self.to_measure or self.reference_jobs or self.text_job)

    def features(self, cell: Cell, text: str) -> Features | None:
        """All features that the metrics of one cell need; None while some are missing."""
        parts = (self.measured.get(cell), self.references.get(cell.identity), self.texts.get(text))
        if any(part is None for part in parts):
            return None
        return {name: value for part in parts if part is not None for name, value in part.items()}


def take_survey(plan: Plan, store: Store, without: Collection[Cell] = ()) -> Survey:
    """What is there and what is left; the cells in `without` are looked at, but nothing is to be done for them."""
    survey, kept = Survey(), KeptFeatures(plan.features, store)
    _survey_inputs(plan, kept, survey)
    for cell in plan.cells:
        _survey_cell(plan, store, kept, survey, cell, cell not in without)
    looked: set[tuple[str, str]] = set()
    for wanted in survey.wanted:
        variant, identity = plan.variant(wanted.cell.variant), plan.identity(wanted.cell.identity)
        where = (variant.tuned.label, identity.name)
        if variant.cls.tunes and where not in looked:
            looked.add(where)
            job = tune_job(plan, store, variant, identity)
            if not _whole(job):
                survey.tunings[where] = job
    return survey


def reference_surveys(plan: Plan, store: Store) -> dict[Reference, tuple[Plan, Survey]]:
    """What the folder holds of the videos that FVD refers to, for roles that no row of the plan has."""
    rows = {variant.cls.role for variant in plan.variants if variant.style is None}
    surveys: dict[Reference, tuple[Plan, Survey]] = {}
    for name, role in _REFERENCE_ROLES.items():
        for variants in () if role in rows else _of_role(role, plan):
            reference = dataclasses.replace(plan, variants=variants)
            survey = take_survey(reference, store)
            if survey.measured:
                surveys[name] = (reference, survey)
                break
    return surveys


def _of_role(role: Role, plan: Plan) -> Iterator[tuple[PlannedVariant, ...]]:
    """The installed methods of a role that suit the profile, each as a plan's rows."""
    for name in METHODS.names():
        try:
            if METHODS.get(name).role == role:
                yield plan_variants([name], plan.profile)
        except MethodError:
            continue


def tune_job(plan: Plan, store: Store, variant: PlannedVariant, identity: Identity) -> TuneJob:
    """The job that makes the adapter that one variant and identity are sampled with."""
    key, tuned = plan.adapter_key(variant, identity), variant.tuned
    path = store.adapter_path(key, tuned.label, identity.name)
    return TuneJob(tuned, identity, plan.simulated, plan.profile.tune_seed, key, path, store.shelf)


def video_to_measure(plan: Plan, store: Store, cell: Cell, digest: str) -> VideoToMeasure:
    """What is to be measured for a cell whose video has that digest."""
    kept = KeptFeatures(plan.features, store)
    return _to_measure(plan, store, kept, cell, kept.files("video", digest))


def _to_measure(plan: Plan, store: Store, kept: KeptFeatures, cell: Cell, files: Files) -> VideoToMeasure:
    key = plan.video_key(cell)
    video = store.video_path(key, cell.variant, cell.identity, cell.prompt, cell.seed)
    return VideoToMeasure(cell, key, video, kept.missing(files), files)


def _survey_inputs(plan: Plan, kept: KeptFeatures, survey: Survey) -> None:
    wanted = [(survey.references, False), *([(survey.tuned, True)] if reads(plan.metrics, "tuned/face") else [])]
    for found, tuned in wanted:
        for identity in plan.identities:
            if not tuned and not identity.scoring:
                found[identity.name] = {}  # there is no photo to compare with
                continue
            files = kept.files("reference", identity.tuned_digest if tuned else identity.scoring_digest)
            features = kept.read(files)
            if features is None:
                survey.reference_jobs.append(ReferenceJob(identity, kept.missing(files), files, tuned))
            else:
                found[identity.name] = features
    missing = []
    for text in dict.fromkeys(plan.text(cell) for cell in plan.cells):
        files = kept.files("text", sha256(text.encode()).hexdigest())
        features = kept.read(files)
        if features is None:
            missing.append((text, kept.missing(files), files))
        else:
            survey.texts[text] = features
    if missing:
        survey.text_job = TextJob(tuple(missing))


def _survey_cell(plan: Plan, store: Store, kept: KeptFeatures, survey: Survey, cell: Cell, act: bool) -> None:
    key = plan.video_key(cell)
    path = store.video_path(key, cell.variant, cell.identity, cell.prompt, cell.seed)
    digest = written_digest(path)
    if digest is None:
        if act:
            survey.wanted.append(WantedVideo(cell, plan.request(cell), key, path))
        return
    survey.made[cell] = digest
    files = kept.files("video", digest)
    features = kept.read(files)
    if features is not None:
        survey.measured[cell] = features
    elif act:
        survey.to_measure.append(_to_measure(plan, store, kept, cell, files))


def _whole(job: TuneJob) -> bool:
    """Whether the adapter is there, and the words that were learned with it."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(job.path, framework="numpy") as file:
            words = words_digest(file.metadata())
        return words is None or file_digest(tokens_path(job.path)) == words
    except (SafetensorError, OSError):
        return False
