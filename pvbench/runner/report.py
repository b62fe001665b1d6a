"""From features to a report: scores of every cell, and what is printed with them."""

from __future__ import annotations

import dataclasses
import json
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

import pvbench
from pvbench.atomic import write_text
from pvbench.digest import digest, file_digest
from pvbench.errors import PvbenchError
from pvbench.metrics import load_metrics, score
from pvbench.registry import list_methods, method_class, select_variants, settings_of
from pvbench.report import (
    CellKey,
    ReferenceSet,
    ReportData,
    ReportIdentity,
    ReportPrompt,
    ReportVariant,
    write_report,
)
from pvbench.runner.grid import RunResult
from pvbench.runner.plan import Cell, Plan, PlannedVariant
from pvbench.runner.survey import take_survey
from pvbench.store import Store

# FVD's reference sets, and the methods whose videos they are.
_REFERENCE_METHODS: tuple[tuple[Literal["rendered", "base"], str], ...] = (("rendered", "oracle"), ("base", "base"))
_LIBRARIES = ("torch", "diffusers", "transformers", "peft", "open_clip_torch", "opencv-python-headless", "numpy",
              "scipy")


@dataclass(frozen=True)
class Scored:
    """A report's data; `refused` are cells with features that no metric takes, with the reason."""

    data: ReportData
    refused: Mapping[Cell, str]


def report_run(result: RunResult, *, anew: bool = False) -> tuple[Path, Mapping[Cell, str]]:
    """The folder with the run's report, and the cells whose features were refused.

    Nothing is written where the report of the same cells is there already, unless `anew`.

    Raises:
        ReportError: for a run from which no report can be made.
        StoreError: for a folder that cannot be written or a full disk.
    """
    folder = result.store.report_folder
    written = folder / ".written.json"
    key = _key(result)
    if not anew:
        earlier = _earlier(written, key, folder)
        if earlier is not None:
            return folder, earlier
    scored = score_run(result)
    # A report half replaced by the next must not pass for either of them.
    written.unlink(missing_ok=True)
    files = write_report(folder, scored.data)
    refused = [[*dataclasses.astuple(cell), message] for cell, message in scored.refused.items()]
    write_text(written, json.dumps({
        "key": key, "files": sorted(str(file.relative_to(folder)) for file in files), "refused": refused,
    }, indent=1) + "\n")
    return folder, scored.refused


def score_run(result: RunResult) -> Scored:
    """The run's scores by cell, with everything that a report says beside them."""
    plan = result.plan
    settings = plan.profile.evaluators.get("metrics", {})
    metrics = load_metrics(settings)
    scores: dict[str, dict[CellKey, Mapping[str, float]]] = {variant.label: {} for variant in plan.variants}
    embeddings: dict[str, dict[CellKey, Any]] = {variant.label: {} for variant in plan.variants}
    videos: dict[str, dict[CellKey, Path]] = {variant.label: {} for variant in plan.variants}
    failures: dict[str, dict[CellKey, str]] = {variant.label: {} for variant in plan.variants}
    refused: dict[Cell, str] = {}
    for cell in plan.cells:
        key = CellKey(cell.identity, cell.prompt, cell.seed)
        features = result.features(cell)
        if features is None:
            failure = result.failures.get(cell)
            failures[cell.variant][key] = failure.message if failure else "not made yet"
            continue
        try:
            scores[cell.variant][key] = score(features, metrics)
        except PvbenchError as error:
            refused[cell] = failures[cell.variant][key] = str(error)
            continue
        embeddings[cell.variant][key] = features["video/embedding"]
        videos[cell.variant][key] = result.store.video_path(plan.video_key(cell), cell.variant, *key)
    sampling = plan.profile.sampling
    data = ReportData(
        profile=plan.profile.name,
        variants=tuple(
            ReportVariant(variant.label, variant.variant.method, variant.cls.summary,
                          dataclasses.asdict(variant.settings))
            for variant in plan.variants),
        identities=tuple(ReportIdentity(identity.name, identity.class_noun, identity.images)
                         for identity in plan.identities),
        prompts=tuple(ReportPrompt(prompt.id, prompt.text) for prompt in plan.prompts),
        seeds=plan.seeds,
        scores=scores,
        extractors=plan.extractor_signature,
        metric_settings=settings,
        embeddings=embeddings,
        reference_sets=_reference_sets(plan, result.store),
        videos=videos,
        failures=failures,
        frames=sampling.frames,
        fps=sampling.fps,
        size=(sampling.height, sampling.width),
        command=plan.choice.command,
        versions=_versions(),
        machine=_machine(),
    )
    return Scored(data, refused)


def _reference_sets(plan: Plan, store: Store) -> tuple[ReferenceSet, ...]:
    """Videos that FVD refers to and that are no row here, as far as earlier runs left them in the folder."""
    rows = {variant.variant.method for variant in plan.variants}
    sets = []
    for name, method in _REFERENCE_METHODS:
        if method in rows or method not in list_methods() or not method_class(method).supports(plan.profile):
            continue
        (variant,) = select_variants([method], plan.profile)
        planned = PlannedVariant(variant, settings_of(variant, plan.profile),
                                 method_class(method).data_digest(plan.profile))
        measured = take_survey(dataclasses.replace(plan, variants=(planned,)), store).measured
        if measured:
            embeddings = {CellKey(cell.identity, cell.prompt, cell.seed): features["video/embedding"]
                          for cell, features in measured.items()}
            sets.append(ReferenceSet(name, f"the videos of {method}, from an earlier run in this folder", embeddings))
    return tuple(sets)


def _key(result: RunResult) -> str:
    """Digest of everything that a report is made from, the code that writes it included."""
    plan = result.plan
    package = Path(pvbench.__file__).parent
    sources = sorted([*package.glob("report/**/*.py"), *package.glob("metrics/*.py"), package / "stats.py"])
    return digest({
        "plan": plan.summary(),
        "cells": {plan.video_key(cell): made for cell, made in result.survey.made.items()
                  if cell in result.survey.measured},
        "failures": {plan.video_key(cell): failure.message for cell, failure in result.failures.items()},
        "references": {reference.name: sorted(map(str, reference.embeddings))
                       for reference in _reference_sets(plan, result.store)},
        "metrics": plan.profile.evaluators.get("metrics", {}),
        "versions": _versions(),
        "machine": _machine(),
        "sources": [file_digest(source) for source in sources],
    })


def _earlier(written: Path, key: str, folder: Path) -> dict[Cell, str] | None:
    try:
        content = json.loads(written.read_text())
        same = content["key"] == key and all((folder / name).is_file() for name in content["files"])
        refused = {Cell(*cell): message for *cell, message in content["refused"]}
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return refused if same else None


def _versions() -> dict[str, str]:
    versions = {"pvbench": pvbench.__version__, "python": platform.python_version()}
    for library in _LIBRARIES:
        try:
            versions[library] = version(library)
        except PackageNotFoundError:
            continue
    return versions


def _machine() -> dict[str, str]:
    machine = {"system": f"{platform.system()} {platform.machine()}", "cores": str(os.cpu_count() or 1)}
    processor = _field(Path("/proc/cpuinfo"), "model name")
    if processor:
        machine["processor"] = processor
    for card in sorted(Path("/proc/driver/nvidia/gpus").glob("*/information")):
        machine["accelerator"] = _field(card, "Model")
    return machine


def _field(path: Path, name: str) -> str:
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), "")
