"""From features to scores: every cell's numbers, and everything that is printed with them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pvbench.digest import digest
from pvbench.errors import PvbenchError
from pvbench.machine.facts import machine, versions
from pvbench.measuring.kept import KeptFeatures, read_left_out
from pvbench.method import Role
from pvbench.metrics import known_of, load_metrics, reads, score
from pvbench.metrics.face_sim import face_trace
from pvbench.metrics.gallery import TRUTHS, UNKNOWN, others_of, truth_of
from pvbench.report import CellKey, ReferenceSet, ReportData, ReportIdentity, ReportPrompt, ReportVariant
from pvbench.report.judged import read_judgements
from pvbench.runner.licences import licences_of
from pvbench.runner.plan import Cell, Plan
from pvbench.runner.planned import PlannedVariant
from pvbench.runner.result import RunResult
from pvbench.runner.selection import unscored_note
from pvbench.runner.survey import reference_surveys
from pvbench.world.foils import foils_of


@dataclass(frozen=True)
class Scored:
    """A report's data; `refused` are cells with features that no metric takes, with the reason."""

    data: ReportData
    refused: Mapping[Cell, str]


def score_run(result: RunResult) -> Scored:
    """The run's scores by cell, with everything that a report says beside them."""
    plan = result.plan
    settings = plan.profile.evaluators.get("metrics", {})
    metrics = load_metrics(settings, plan.metrics)
    scores: dict[str, dict[CellKey, Mapping[str, float]]] = {variant.label: {} for variant in plan.variants}
    embeddings: dict[str, dict[CellKey, Any]] = {variant.label: {} for variant in plan.variants}
    videos: dict[str, dict[CellKey, Path]] = {variant.label: {} for variant in plan.variants}
    traces: dict[str, dict[CellKey, np.ndarray]] = {variant.label: {} for variant in plan.variants}
    failures: dict[str, dict[CellKey, str]] = {variant.label: {} for variant in plan.variants}
    refused: dict[Cell, str] = {}
    beside = _beside(result)
    truths = _truths(result)
    for cell in plan.cells:
        key = CellKey(cell.identity, cell.prompt, cell.seed)
        features = result.features(cell)
        if features is None:
            failure = result.failures.get(cell)
            failures[cell.variant][key] = failure.message if failure else "not made yet"
            continue
        try:
            known = {**features, **beside[cell.identity], **truths.get(key, {})}
            scores[cell.variant][key] = score(known, known_of(known, metrics))
        except PvbenchError as error:
            refused[cell] = failures[cell.variant][key] = str(error)
            continue
        if "video/embedding" in features:
            embeddings[cell.variant][key] = features["video/embedding"]
        trace = face_trace(features)
        if trace is not None:
            traces[cell.variant][key] = trace
        videos[cell.variant][key] = result.store.video_path(plan.video_key(cell), cell.variant, *key)
    sampling = plan.profile.sampling
    data = ReportData(
        profile=plan.profile.name,
        variants=tuple(
            ReportVariant(
                variant.label,
                variant.variant.method,
                variant.cls.summary,
                dataclasses.asdict(variant.settings),
                _role(variant),
                variant.variant.style,
                variant.variant.plain.label,
            )
            for variant in plan.variants
        ),
        identities=tuple(
            ReportIdentity(identity.name, identity.class_noun, identity.images, apart=True)
            for identity in plan.identities
        ),
        prompts=tuple(ReportPrompt(prompt.id, prompt.text) for prompt in plan.prompts),
        seeds=plan.seeds,
        scores=scores,
        evaluators=plan.features.signature,
        metric_settings=settings,
        embeddings=embeddings,
        reference_sets=_reference_sets(result),
        videos=videos,
        traces=traces,
        places={
            label: {key: str(path.relative_to(result.store.folder)) for key, path in of_one.items()}
            for label, of_one in videos.items()
        },
        failures=failures,
        frames=sampling.frames,
        fps=sampling.fps,
        size=(sampling.height, sampling.width),
        command=plan.choice.command,
        versions=versions(),
        machine=machine(),
        metrics=plan.metrics,
        licences=licences_of(plan),
        judged=read_judgements(result.store.judged_file),
        remarks=(*_remarks(plan), *_left_out(result)),
    )
    return Scored(data, refused)


def _role(variant: PlannedVariant) -> Role:
    """What a row is in tables: one in a style is shown apart, as controls are, and is neither floor nor ceiling."""
    return "control" if variant.style else variant.cls.role


def _remarks(plan: Plan) -> tuple[str, ...]:
    styled = [f"`{variant.label}`" for variant in plan.variants if variant.style]
    drawn = [f"Drawn in a style, and compared with no row without one: {', '.join(styled)}."] if styled else []
    texts = "1 text" if len(plan.refined) == 1 else f"{len(plan.refined)} texts"
    refined = [
        f"Every row was asked with refined prompts, {texts} of {Path(plan.choice.refined or '').name} (sha256 "
        f"{digest({name: prompt.text for name, prompt in plan.refined.items()})[:8]}); what is compared with a prompt "
        f"is compared with the one in this report."
    ]
    return (*drawn, *(refined if plan.refined else []), *unscored_note(plan.identities))


def _left_out(result: RunResult) -> Iterator[str]:
    """A sentence on each photo without a card that was kept for scoring and shows no face, or several."""
    kept = KeptFeatures(result.plan.features, result.store)
    for identity in result.plan.identities:
        if identity.plain and identity.scoring:
            for name, why in read_left_out(kept.files("reference", identity.scoring_digest)).items():
                yield f"Of {identity.name} the photo {name}, which was kept for scoring, is left out: {why}."


def _beside(result: RunResult) -> dict[str, dict[str, np.ndarray]]:
    """By identity, what metrics read of other people and of the photos that methods were tuned on."""
    survey, plan = result.survey, result.plan
    others = others_of({name: of_one or {} for name, of_one in survey.references.items()})
    foils = foils_of(plan.profile, plan.identities)
    tuned = {
        name: {"tuned/face": of_one["reference/face"]}
        for name, of_one in survey.tuned.items()
        if "reference/face" in of_one
    }
    names = [identity.name for identity in plan.identities]
    return {name: {**UNKNOWN, **others.get(name, {}), **foils[name], **tuned.get(name, {})} for name in names}


def _truths(result: RunResult) -> dict[CellKey, dict[str, np.ndarray]]:
    """By cell, what metrics read of the ceiling's video: of a row of the run, or of an earlier run in the folder."""
    if not any(reads(result.plan.metrics, name) for name in TRUTHS):
        return {}
    ceilings = {variant.label for variant in result.plan.variants if _role(variant) == "ceiling"}
    measured = {cell: of_one for cell, of_one in result.survey.measured.items() if cell.variant in ceilings}
    if not ceilings and "rendered" in (earlier := reference_surveys(result.plan, result.store)):
        measured = earlier["rendered"][1].measured
    return {CellKey(cell.identity, cell.prompt, cell.seed): truth_of(of_one) for cell, of_one in measured.items()}


def _reference_sets(result: RunResult) -> tuple[ReferenceSet, ...]:
    """Videos that FVD refers to and that are not a row here, as far as earlier runs left them in the folder."""
    sets = []
    for name, (plan, survey) in reference_surveys(result.plan, result.store).items():
        embeddings = {
            CellKey(cell.identity, cell.prompt, cell.seed): features["video/embedding"]
            for cell, features in survey.measured.items()
        }
        description = f"the videos of {plan.variants[0].label}, from an earlier run in this folder"
        sets.append(ReferenceSet(name, description, embeddings))
    return tuple(sets)
