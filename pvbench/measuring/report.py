"""The report of videos that were made elsewhere: the same tables, files and pictures as a run's."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np

from pvbench.errors import ProfileError, PvbenchError, counted, readable
from pvbench.evaluator import FeaturePlan, evaluator_loaders
from pvbench.identity import CARD, Identity
from pvbench.machine.facts import machine, versions
from pvbench.measuring.grid import cell_of, cells_by_method, common_means, expected_cells
from pvbench.measuring.imported import Found, ImportedVideo, Problem
from pvbench.measuring.precheck import shape_of, some_of
from pvbench.measuring.request import MeasureRequest, Reported, role_of, runs_among
from pvbench.measuring.work import Work
from pvbench.metrics import COLUMNS, Metric, columns_in, metric_class, metric_of, score
from pvbench.metrics.face_sim import face_trace
from pvbench.metrics.gallery import UNKNOWN, others_of
from pvbench.profile import Profile
from pvbench.report import CellKey, ReferenceSet, ReportData, ReportIdentity, ReportPrompt, ReportVariant, write_report
from pvbench.video.probe import VideoFacts
from pvbench.world.foils import foils_of

_NAMED = 5
"""So many long prompts are named."""


def report(order: MeasureRequest, metrics: Sequence[Metric], found: Found, work: Work, folder: Path) -> Reported:
    """Scores every video and writes the report to `folder`.

    Raises:
        StoreError: the folder cannot be written, or the disk is full.
    """
    data, problems = report_data(order, metrics, found, work)
    files = write_report(folder, data)
    own = cells_by_method(found.videos)
    failed = sum(cell in own[label] for label, cells in data.failures.items() for cell in cells)
    return Reported(tuple(files), failed, tuple(problems), tuple(seen_late(found.videos, work)))


def report_data(
    order: MeasureRequest, metrics: Sequence[Metric], found: Found, work: Work
) -> tuple[ReportData, list[Problem]]:
    """The report's data, and what was wrong with videos that had passed the look at them."""
    scores: dict[str, dict[CellKey, Mapping[str, float]]] = {}
    videos: dict[str, dict[CellKey, Path]] = {}
    failures: dict[str, dict[CellKey, str]] = {}
    expected = expected_cells(found.videos)
    places: dict[str, dict[CellKey, str]] = {}
    traces: dict[str, dict[CellKey, np.ndarray]] = {}
    problems = [
        Problem(name, refused.message) for (kind, name), refused in work.refused.items() if kind == "reference video"
    ]
    why = {problem.where: problem.what for problem in reversed(work.checked.problems)}
    people = {cell_of(video).identity: video.identity for video in found.videos}
    others = _others(order, {name: one for name, one in people.items() if one is not None}, work)
    for video in found.videos:
        label, cell = video.method, cell_of(video)
        for table in (scores, videos, failures):
            table.setdefault(label, {})
        places.setdefault(label, {})[cell] = readable(video.path)
        features = work.features(video)
        if not features:
            refused = work.refused.get(("video", str(video.path)))
            failures[label][cell] = refused.message if refused else why.get(video.source, "not measured")
            if refused:
                problems.append(Problem(video.source, refused.message))
            continue
        try:
            known = {**features, **others.get(cell.identity, {})}
            scores[label][cell] = _scores(known, metrics, order.profile.name, work.lacking(video.path))
        except PvbenchError as error:
            failures[label][cell] = str(error)
            problems.append(Problem(video.source, str(error)))
            continue
        trace = face_trace(known)
        if trace is not None:
            traces.setdefault(label, {})[cell] = trace
        videos[label][cell] = video.path
    for label, cells in places.items():
        failures[label] |= dict.fromkeys(expected[label] - set(cells), "no video of it was given")
    failed = {video.source for video in found.videos if cell_of(video) in failures[video.method]}
    left_out = _left_out(found)
    prompts = {video.prompt_id: video.text for video in found.videos}
    needs = {need for name in order.metrics for need in metric_class(name).needs}
    signature = FeaturePlan(order.profile, needs).signature
    data = ReportData(
        profile=order.profile.name,
        variants=tuple(ReportVariant(label, label, "made elsewhere", role=role_of(label)) for label in expected),
        identities=tuple(_reported(name, one) for name, one in sorted(people.items())),
        prompts=tuple(ReportPrompt(name, text) for name, text in prompts.items()),
        seeds=tuple(sorted({video.seed for video in found.videos})),
        scores=scores,
        evaluators=signature,
        metric_settings=order.profile.evaluators.get("metrics", {}),
        embeddings={label: work.embeddings(of_label) for label, of_label in videos.items()},
        reference_sets=tuple(_reference_sets(work)),
        videos=videos,
        traces=traces,
        places=places,
        failures=failures,
        **_sizes(list(work.checked.usable.values())),
        command=order.command,
        versions=versions(),
        machine=machine(),
        expected={label: frozenset(cells) for label, cells in expected.items()},
        metrics=order.metrics,
        licences=licences_of(order.profile, signature),
        remarks=(*_refined(order), *_remarks(found.videos, work), *common_means(scores, _mean_columns(order))),
        left_out=left_out,
        doubts=tuple(
            (problem.where, problem.what)
            for problem in (*work.checked.problems, *problems)
            if problem.where not in failed and (problem.where, problem.what) not in left_out
        ),
    )
    return data, problems


def _sizes(shapes: Sequence[VideoFacts]) -> dict[str, Any]:
    """What a report says of the videos' frames, rates and sizes."""
    described = tuple(sorted({shape_of(facts) for facts in shapes}))
    return {
        "shapes": described if len(described) > 1 else (),
        "frames": max(facts.frames for facts in shapes),
        "fewest_frames": min(facts.frames for facts in shapes),
        "fps": max(facts.fps for facts in shapes),
        "size": (max(facts.height for facts in shapes), max(facts.width for facts in shapes)),
    }


def _others(order: MeasureRequest, people: Mapping[str, Identity], work: Work) -> dict[str, dict[str, np.ndarray]]:
    """By identity, what line-ups read of other people: those of the folder, and look-alikes where there are some."""
    foils = foils_of(order.profile, people.values())
    found = others_of({name: work.reference_features(one) for name, one in people.items()})
    return {name: {**UNKNOWN, **of_one, **foils[people[name].name]} for name, of_one in found.items()}


def _reported(name: str, person: Identity | None) -> ReportIdentity:
    if person is None:
        return ReportIdentity(name, "")
    return ReportIdentity(name, person.class_noun, person.images, bool(person.scoring))


def licences_of(profile: Profile, named: Collection[str]) -> Mapping[str, str]:
    """What the publishers of the weights of the parts named allow; pvbench's own weights need no line."""
    found = {part: loader.licence(profile) for part, loader in evaluator_loaders(profile).items() if part in named}
    return {part: terms for part, terms in found.items() if terms}


def _remarks(videos: Sequence[ImportedVideo], work: Work) -> Iterable[str]:
    """What a reader of the tables must know of these videos."""
    yield from work.checked.notes
    yield from seen_late(videos, work)


def seen_late(videos: Sequence[ImportedVideo], work: Work) -> Iterable[str]:
    """What shows only when the videos have been looked at."""
    yield from _cut_short(videos, work)
    yield from _shared(work)
    yield from _compared(videos)
    yield from _faces(videos, work)


def _compared(videos: Sequence[ImportedVideo]) -> Iterable[str]:
    """A sentence on people of whom nothing says which photos methods were tuned on."""
    names = sorted({one.identity.name for one in videos if one.identity and not one.identity.scoring})
    if names:
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        yield (
            f"Compared with all photos of {', '.join(names[:_NAMED])}{more}: a method that was tuned on them scores "
            f"higher than with photos that it has not seen. A {CARD} can name such ones (scoring_images)."
        )


def _refined(order: MeasureRequest) -> Iterable[str]:
    """A sentence on runs whose methods were asked with longer texts than those that are compared."""
    for store in runs_among(order):
        count = len(store.read_plan().get("refined", {}))
        if count:
            texts = "1 text" if count == 1 else f"{count} texts"
            yield (
                f"The videos of {readable(store.folder)} were asked for with refined prompts ({texts}); what is "
                "compared with a prompt is compared with the one in this report."
            )


def _cut_short(videos: Sequence[ImportedVideo], work: Work) -> Iterable[str]:
    """A sentence on the prompts that CLIP does not read to their ends."""
    texts = {video.prompt_id: video.rendered_text for video in videos if video.text}
    tokens = {name: work.text_features(text).get("text/tokens") for name, text in texts.items()}
    long = [(name, *counts) for name, counts in tokens.items() if counts is not None and counts[0] > counts[1]]
    if long:
        named = ", ".join(f"{name} ({count:.0f})" for name, count, _ in long[:_NAMED])
        more = f" and {len(long) - _NAMED} more" if len(long) > _NAMED else ""
        yield (
            f"CLIP reads {long[0][2]:.0f} tokens of a prompt: what follows plays no part in CLIP-T for {named}{more}."
        )


def _shared(work: Work) -> Iterable[str]:
    """A sentence on videos that are measured against themselves."""
    reference = {work.content(path) for path in work.checked.reference}
    measured = [work.content(video.path) for video in work.checked.usable] if reference else []
    shared = sum(content in reference for content in measured)
    if shared:
        yield (
            f"{shared} of the {len(measured)} videos measured are in FVD's reference set, too: FVD and KVD are "
            f"smaller than between sets of other videos."
        )


def _faces(videos: Sequence[ImportedVideo], work: Work) -> Iterable[str]:
    """Sentences on videos without any face, and on those with several in a frame."""
    none, several = [], []
    for video in videos:
        count = work.features(video).get("face/count")
        if count is not None and not (count > 0).any():
            none.append(readable(video.path.name))
        elif count is not None and (count > 1).any():
            several.append(readable(video.path.name))
    if none:
        yield (
            f"{counted(len(none), 'video')} without a face in any frame ({some_of(none)}): Face Sim. is 0; the face "
            f"may be turned away, too small, or hidden."
        )
    if several:
        yield (
            f"{counted(len(several), 'video')} with two faces or more in a frame ({some_of(several)}): one of them "
            f"counts, which may be somebody else's: the largest, or in the miniature world the surest."
        )


def _left_out(found: Found) -> tuple[tuple[str, str], ...]:
    """Files and lines of manifests that are not cells: of nobody known, of no prompt, or the second of one cell."""
    known = {video.source for video in found.videos}
    # A person's photo that cannot serve takes no cell away.
    known |= {f"identity {video.identity.name}" for video in found.videos if video.identity}
    return tuple((problem.where, problem.what) for problem in found.problems if problem.where not in known)


def _reference_sets(work: Work) -> list[ReferenceSet]:
    rendered = work.rendered()
    if rendered:
        what = "the true people doing what the prompts say, as the renderer draws them"
        # A CellKey equals the plain tuple, by which it is found.
        return [ReferenceSet("rendered", what, cast("Mapping[CellKey, np.ndarray]", rendered))]
    pool = work.pool()
    if pool is None:
        return []
    name, kept = pool
    return [ReferenceSet(name, f"{len(kept)} videos of the folder given with --reference", pool=kept)]


def _mean_columns(order: MeasureRequest) -> dict[str, tuple[str, float]]:
    """Names and scales of the numbers of single videos in the main table."""
    shown = [COLUMNS[name] for name in columns_in("main", order.metrics)]
    return {one.name: (one.display, one.scale) for one in shown if issubclass(metric_of(one.name), Metric)}


def _scores(
    features: Mapping[str, np.ndarray], metrics: Sequence[Metric], profile: str, without: Collection[str] = ()
) -> dict[str, float]:
    """The columns of the metrics whose needs are met: a video without identity or prompt has no number for some.

    Args:
        without: features that the video cannot have.

    Raises:
        ProfileError: the video itself lacks a feature that a metric needs.
    """
    values: dict[str, float] = {}
    for metric in metrics:
        lacking = [need for need in metric.needs if need not in features]
        if not lacking:
            values |= score(features, [metric])
        elif not all(need in without or need.startswith(("reference/", "text/")) for need in lacking):
            raise ProfileError(
                f"the evaluators of profile {profile!r} make no {' and no '.join(lacking)}, which "
                f"{metric.name} needs; leave it out with --metrics"
            )
    return values
