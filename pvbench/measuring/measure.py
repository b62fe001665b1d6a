"""From videos to a report: features are made once for each video and kept, scores follow from them."""

from __future__ import annotations

import dataclasses
import json
import shlex
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from os.path import isdir
from pathlib import Path

from pvbench.atomic import write_text
from pvbench.errors import ProfileError, VideoError, counted
from pvbench.evaluator import FeaturePlan
from pvbench.freshness import freshness
from pvbench.identity import SPLITS, split_root
from pvbench.measuring.facts import KeptFacts
from pvbench.measuring.grid import uneven_notes, with_paired_seeds
from pvbench.measuring.imported import SHIPPED, Found, People, Problem, refuse_twins
from pvbench.measuring.layouts import find_videos, labels_of
from pvbench.measuring.partial import as_weights_allow
from pvbench.measuring.place import Place
from pvbench.measuring.precheck import Needs, Precheck, precheck, some_of
from pvbench.measuring.request import FEWEST_IN_A_SET, MeasureRequest, Reported, role_of, runs_among, takes_renderings
from pvbench.measuring.tree import look_below
from pvbench.measuring.work import Progress, Work
from pvbench.metrics import Metric, check_features, load_metrics, load_set_metrics
from pvbench.prompt import load_prompts
from pvbench.store import Store

_MEASURED = ".measured.json"
"""Says what the last report was made from."""
_FACTS = ".facts.json"
_NO_REFERENCE = "fvd needs --reference FOLDER, videos to measure the distance to"


@dataclass(frozen=True)
class Measured:
    """What came of it: where the report lies, and everything that was wrong with single videos."""

    report: Path
    problems: tuple[Problem, ...]
    reused: int
    made: int
    failed: int
    """Videos without a number."""
    replaced: tuple[str, ...] = ()
    """Metrics of an earlier report in the same place, which this one does not have."""
    notes: tuple[str, ...] = ()
    """What showed only when the videos had been looked at."""


class ProblemsError(VideoError):
    """Videos that cannot be measured as asked; `found` lists them."""

    def __init__(self, found: Precheck) -> None:
        count = len(found.problems)
        super().__init__(
            f"{counted(count, 'problem')} with the videos; fix {'it' if count == 1 else 'them'}, or go "
            f"on without with --allow-partial"
        )
        self.found = found


def measure(
    order: MeasureRequest, progress: Progress | None = None, looked: Callable[[Precheck], None] | None = None
) -> Measured:
    """Every video measured, and the report written to `<out>/report`.

    Args:
        looked: told what the look at the videos found, before anything is computed.

    Raises:
        ProblemsError: some videos cannot be measured as asked, and `allow_partial` is off.
        FaceError: reference images show no face, or more than one, and `allow_partial` is off; all are named.
        PvbenchError: nothing can be measured: no videos, missing weights, no such device or cluster, or a node that
            does not see the videos.
    """
    order, lacking = as_weights_allow(order)
    with Place(order) as place:
        return _measure_at(place, order, lacking, progress, looked)


def _measure_at(
    place: Place,
    order: MeasureRequest,
    lacking: Sequence[Problem],
    progress: Progress | None,
    looked: Callable[[Precheck], None] | None,
) -> Measured:
    profile = order.profile
    metrics = load_metrics(profile.evaluators.get("metrics", {}), order.metrics)
    of_sets = load_set_metrics(order.metrics)
    wanted = {name for metric in metrics for name in metric.needs}
    check_features(order.metrics, FeaturePlan(profile).features)
    found = find(order)
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
        workers = min(place.workers, max(1, len(found.videos)))
        needs = dataclasses.replace(needs, memory=place.memory(workers), workers=workers)
    facts = KeptFacts(order.out / _FACTS)
    checked = precheck(found.videos, [*found.problems, *lacking], needs, reference, facts.probe)
    checked.notes += [*found.notes, *uneven_notes(found.videos), *notes]
    if looked is not None:
        looked(checked)
    if any(problem.stops for problem in checked.problems) and not order.allow_partial:
        raise ProblemsError(checked)
    if not checked.usable:
        raise VideoError(f"none of the {len(found.videos)} videos can be measured; see the problems above")
    if reference and len(checked.reference) < FEWEST_IN_A_SET:
        raise VideoError(
            f"--reference {order.reference}: {len(checked.reference)} of its {len(reference)} videos can "
            f"be used, and FVD needs at least {FEWEST_IN_A_SET}; see the problems above"
        )
    for part in features.parts:
        # Once, here and not in every worker.
        features.loaders[part].provide(profile)
    store = Store(order.out)
    with store.locked():
        facts.save()
        work = Work(order, store, features, checked, progress)
        work.go(place)
        folder = report_folder(store)
        replaced = _metrics_before(store) - set(order.metrics)
        reported = _report(order, metrics, found, work)
    problems = *checked.problems, *reported.problems
    gone = tuple(sorted(replaced))
    return Measured(folder, problems, work.reused, work.made, reported.failed, gone, reported.notes)


def _report(order: MeasureRequest, metrics: Sequence[Metric], found: Found, work: Work) -> Reported:
    """The report, written where it is not there from the same inputs."""
    folder, written = report_folder(work.store), work.store.folder / _MEASURED
    key = freshness(_inputs(work, found))
    earlier = _earlier(written, key, folder)
    if earlier is not None:
        return earlier
    # What scores and draws takes a second to import, which a run with nothing to do can save.
    from pvbench.measuring.report import report

    written.unlink(missing_ok=True)
    reported = report(order, metrics, found, work, folder)
    content = {
        "key": key,
        "metrics": list(order.metrics),
        "files": sorted(str(path.relative_to(folder)) for path in reported.files),
        "command": order.command,
        "from": str(Path.cwd()),
        "failed": reported.failed,
        "problems": [dataclasses.astuple(problem) for problem in reported.problems],
        "notes": list(reported.notes),
    }
    write_text(written, json.dumps(content, indent=1) + "\n")
    return reported


@contextmanager
def made_anew(folder: Path) -> Iterator[tuple[tuple[str, ...], Path] | None]:
    """The command that measured what is in a folder, and where it was given; None where none was.

    Within it, the same command writes the report again, though nothing has changed.
    """
    written = folder / _MEASURED
    try:
        text = written.read_text()
        content = json.loads(text)
        command, place = tuple(shlex.split(content["command"])), Path(content["from"])
    except (OSError, ValueError, KeyError, TypeError):
        yield None
        return
    written.unlink(missing_ok=True)
    try:
        yield (command, place) if command else None
    finally:
        if not written.exists():  # it came to nothing
            write_text(written, text)


def report_folder(store: Store) -> Path:
    """Where the report goes: beside that of a run, where the folder is one."""
    return store.folder / "measured" if (store.folder / "plan.json").is_file() else store.report_folder


def _inputs(work: Work, found: Found) -> dict[str, object]:
    """Everything that a report is made from, but for the code that writes it and the machine."""
    return {
        "videos": [
            [
                v.method,
                v.identity.digest if v.identity else "",
                v.identity.scoring_digest if v.identity else "",
                v.prompt_id,
                v.text,
                v.seed,
                str(v.path),
                work.content(v.path) if v in work.checked.usable else "",
            ]
            for v in found.videos
        ],
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
        problems = tuple(Problem(*problem) for problem in content["problems"])
        return Reported(files, content["failed"], problems, tuple(content["notes"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _metrics_before(store: Store) -> set[str]:
    """The metrics of the report that was written before; none where there is none."""
    try:
        return set(json.loads((store.folder / _MEASURED).read_text())["metrics"])
    except (OSError, ValueError, KeyError, TypeError):
        return set()


def find(order: MeasureRequest) -> Found:
    """The videos of all sources, and what is wrong with their names."""
    prompts = load_prompts(order.profile.prompts.evaluation).prompts
    people = _people(order)
    found = Found()
    for source, label in zip(order.sources, labels_of(order.sources), strict=True):
        of_one = find_videos(source, people, prompts, order.given, label, _own_folders(order), order.root)
        found.videos += of_one.videos
        found.problems += of_one.problems
        found.notes += of_one.notes
        found.unread += of_one.unread
    found.notes += _shipped_notes(order, found)
    found.problems += [
        Problem(f"identity {one.name}", why, stops=False)
        for one in dict.fromkeys(video.identity for video in found.videos if video.identity)
        for why in one.left_out
    ]
    # Twins within one source were refused by now.
    return refuse_twins(
        with_paired_seeds(found),
        "where they are of two methods of one name, rename one of the folders, or measure them "
        "apart, each with its own --method; else give one another seed",
    )


def _people(order: MeasureRequest) -> People:
    """Who may be shown: pvbench's own people only in their own world, in runs, and where the user says so."""
    named = str(order.identities) == SHIPPED
    if order.identities is not None and not named:
        return People(order.identities)
    return People(shipped=named or order.profile.is_miniature or bool(runs_among(order)))


def _shipped_notes(order: MeasureRequest, found: Found) -> list[str]:
    """A sentence where names of folders alone say that videos show people whom pvbench ships."""
    if order.identities is not None or order.given.identity or runs_among(order):
        return []
    rendered = split_root(SPLITS[0])
    names = {
        video.identity.name for video in found.videos if video.identity and video.identity.folder.parent == rendered
    }
    if not names:
        return []
    return [
        f"{some_of(sorted(names))}: these are taken for the rendered people of these names whom pvbench ships; give "
        f"photos of people of your own with --identities FOLDER"
    ]


def _own_folders(order: MeasureRequest) -> tuple[Path, ...]:
    """What an earlier measuring left, which may lie among the videos."""
    store = Store(order.out)
    photos = (order.identities,) if order.identities else ()
    return store.folder / "features", store.report_folder, store.folder / "measured", *photos


def _has_reference(order: MeasureRequest, methods: Collection[str]) -> bool:
    """Whether FVD has anything to refer to: a folder, the miniature world's renderings, or another method's row."""
    rows = any(role_of(method) in ("floor", "ceiling") for method in methods)
    return bool(order.reference) or takes_renderings(order) or (rows and len(methods) > 1)


def _reference_videos(order: MeasureRequest) -> list[Path]:
    """The videos of the folder that FVD refers to; none where it refers to no folder."""
    if not order.reference or takes_renderings(order):
        return []
    folder = Path(order.reference)
    there = isdir(folder)  # noqa: PTH112 - the path's own method raises for a name that is too long
    videos = look_below(folder, _own_folders(order)).videos if there else []
    if len(videos) < FEWEST_IN_A_SET:
        raise VideoError(
            f"--reference {folder}: it holds {counted(len(videos), 'video')}; FVD needs a folder with at "
            f"least two, and hundreds to mean something"
        )
    return videos


def _needs(features: FeaturePlan, metrics: Sequence[Metric]) -> Needs:
    def needing(prefix: str) -> tuple[str, ...]:
        return tuple(metric.name for metric in metrics if any(need.startswith(prefix) for need in metric.needs))

    demands = features.demands
    by_group = {group.name: features.demands_of([group.name]) for group in features.of("video")}
    return Needs(
        needing("reference/"),
        needing("text/"),
        size=demands.size,
        frames=demands.frames,
        multiple=demands.multiple,
        flow=needing("flow/") if demands.bytes_of else (),
        bytes_of=demands.bytes_of,
        groups=frozenset(by_group),
        counting=_with_readers(features, {name for name, own in by_group.items() if max(own.frames, own.multiple) > 1}),
        moving=_with_readers(features, {name for name, own in by_group.items() if own.bytes_of}),
    )


def _with_readers(features: FeaturePlan, groups: Collection[str]) -> frozenset[str]:
    """Groups of a video's features, and those that are made of theirs."""
    found = set(groups)
    # Groups stand after those that they read.
    for group in features.of("video"):
        made = {name for other in features.of("video") if other.name in found for name in other.features}
        if made & set(group.reads):
            found.add(group.name)
    return frozenset(found)
