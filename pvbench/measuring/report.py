"""The report of videos that were made elsewhere: the same tables, files and pictures as a run's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from pvbench.errors import PvbenchError
from pvbench.measuring.layouts import NOBODY, Found, ImportedVideo, Problem
from pvbench.measuring.measure import Order, Reported, Work
from pvbench.measuring.precheck import shape_of
from pvbench.metrics import Metric
from pvbench.profile import Profile
from pvbench.report import CellKey, ReferenceSet, ReportData, ReportIdentity, ReportPrompt, ReportVariant, write_report
from pvbench.runner.surroundings import machine, versions


def report(order: Order, metrics: Sequence[Metric], found: Found, work: Work, folder: Path) -> Reported:
    """Scores every video and writes the report to `folder`.

    Raises:
        StoreError: the folder cannot be written, or the disk is full.
    """
    data, problems = report_data(order, metrics, found, work)
    files = write_report(folder, data)
    return Reported(tuple(files), sum(map(len, data.failures.values())), tuple(problems))


def report_data(
    order: Order, metrics: Sequence[Metric], found: Found, work: Work
) -> tuple[ReportData, list[Problem]]:
    """The report's data, and what was wrong with videos that had passed the look at them."""
    scores: dict[str, dict[CellKey, Mapping[str, float]]] = {}
    embeddings: dict[str, dict[CellKey, np.ndarray]] = {}
    videos: dict[str, dict[CellKey, Path]] = {}
    failures: dict[str, dict[CellKey, str]] = {}
    expected: dict[str, set[CellKey]] = {}
    problems = []
    why = {problem.where: problem.what for problem in reversed(work.checked.problems)}
    for video in found.videos:
        label, cell = video.method, _cell(video)
        for table in (scores, embeddings, videos, failures):
            table.setdefault(label, {})
        expected.setdefault(label, set()).add(cell)
        features = work.features(video)
        if not features:
            refused = work.refused.get(("video", str(video.path)))
            failures[label][cell] = refused.message if refused else why.get(video.source, "not measured")
            if refused:
                problems.append(Problem(video.source, refused.message))
            continue
        try:
            scores[label][cell] = _scores(features, metrics)
        except PvbenchError as error:
            failures[label][cell] = str(error)
            problems.append(Problem(video.source, str(error)))
            continue
        if "video/embedding" in features:
            embeddings[label][cell] = features["video/embedding"]
        videos[label][cell] = video.path
    shapes = list(work.checked.usable.values())
    described = tuple(sorted({shape_of(facts) for facts in shapes}))
    people = {_cell(video).identity: video.identity for video in found.videos}
    prompts = {video.prompt_id: video.text for video in found.videos}
    data = ReportData(
        profile=order.profile.name,
        variants=tuple(ReportVariant(label, label, "made elsewhere") for label in expected),
        identities=tuple(ReportIdentity(name, one.class_noun if one else "", one.images if one else ())
                         for name, one in sorted(people.items())),
        prompts=tuple(ReportPrompt(name, text) for name, text in prompts.items()),
        seeds=tuple(sorted({video.seed for video in found.videos})),
        scores=scores,
        extractors=work.signature,
        metric_settings=order.profile.evaluators.get("metrics", {}),
        embeddings=embeddings,
        reference_sets=tuple(_reference_sets(work)),
        videos=videos,
        failures=failures,
        shapes=described if len(described) > 1 else (),
        frames=max(facts.frames for facts in shapes),
        fps=max(facts.fps for facts in shapes),
        size=(max(facts.height for facts in shapes), max(facts.width for facts in shapes)),
        command=order.command,
        versions=versions(),
        machine=machine(),
        expected={label: frozenset(cells) for label, cells in expected.items()},
        metrics=order.metrics,
        licences=licences_of(order.profile),
    )
    return data, problems


def licences_of(profile: Profile) -> Mapping[str, str]:
    """What the publishers of the evaluators' weights allow, by part; nothing for weights of pvbench's own."""
    if profile.evaluators["kind"] != "published":
        return {}
    from pvbench.features.published import licences

    return licences(profile)


def _cell(video: ImportedVideo) -> CellKey:
    return CellKey(video.identity.name if video.identity else NOBODY, video.prompt_id, video.seed)


def _reference_sets(work: Work) -> list[ReferenceSet]:
    rendered = work.rendered()
    if rendered:
        seeds = {video.seed for video in work.checked.usable}
        embeddings = {CellKey(*cell, seed): embedding for cell, embedding in rendered.items() for seed in seeds}
        what = "the true people doing what the prompts say, as the renderer draws them"
        return [ReferenceSet("rendered", what, embeddings)]
    pool = work.pool()
    if pool is None:
        return []
    name, rows = pool
    return [ReferenceSet(name, f"{len(rows)} videos of the folder given with --reference", pool=rows)]


def _scores(features: Mapping[str, np.ndarray], metrics: Sequence[Metric]) -> dict[str, float]:
    """The columns of the metrics whose needs are met: a video without identity or prompt has no number for some."""
    values: dict[str, float] = {}
    for metric in metrics:
        if all(need in features for need in metric.needs):
            row = metric.rows([features])[0]
            values |= {column.name: float(value) for column, value in zip(metric.columns, row, strict=True)}
    return values
