"""A look at every video before anything is computed: what is missing, unreadable, too short or of another shape."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from rich import box
from rich.markup import escape
from rich.table import Table

from pvbench.errors import VideoError, counted, readable
from pvbench.features.flow import sampling_interval
from pvbench.measuring.imported import ImportedVideo, Problem
from pvbench.video import VideoFacts, probe_video

SHOWN = 30
_GIBI = 2**30
_SAME_PAIRS = 1.01
_PARTICULARS = re.compile(r"'[^']*'|\"[^\"]*\"|[^\s,;:]*/[^\s,;:]*|\d+(?:\.\d+)?(?: (?:frame|video|photo)s?\b)?")
"""Names in quotes, paths and numbers, `1 frame` and `2 frames` among them: in these, problems of one kind differ."""


@dataclass(frozen=True)
class Needs:
    """What the metrics that were asked for need of a video.

    Attributes:
        identity, prompt: names of the metrics that need them.
        size: height and width that the evaluators see alone; None for any.
        frames: the fewest frames.
        multiple: the number of frames is a multiple of it.
        flow: names of the metrics that need flow by a network whose memory grows with the frame.
        bytes_of: memory of that network for frames of a height and a width.
        memory: bytes that a worker has; None for as much as it takes.
        workers: among how many the memory is divided.
        groups: names of all groups of a video's features that are made.
        counting: those of them that need so many frames, or a multiple of them.
        moving: those that take so much memory.
    """

    identity: tuple[str, ...] = ()
    prompt: tuple[str, ...] = ()
    size: tuple[int, int] | None = None
    frames: int = 1
    multiple: int = 1
    flow: tuple[str, ...] = ()
    bytes_of: Callable[[int, int], int] | None = None
    memory: int | None = None
    workers: int = 1
    groups: frozenset[str] = frozenset()
    counting: frozenset[str] = frozenset()
    moving: frozenset[str] = frozenset()


@dataclass
class Precheck:
    """What the look found.

    Attributes:
        usable: videos that can be measured, with their facts, in the order in which they were found.
        reference: videos of FVD's reference set that can be measured.
        without: by path, groups of features that a video cannot have; it has those of the others.
        problems: what keeps others from being measured, or from being compared.
        notes: worth knowing, but nothing to stop for.
    """

    usable: dict[ImportedVideo, VideoFacts] = field(default_factory=dict)
    reference: list[Path] = field(default_factory=list)
    without: dict[Path, frozenset[str]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


Probe = Callable[[Path], VideoFacts]
"""Says what a video's head does."""


def precheck(
    videos: Sequence[ImportedVideo],
    problems: Sequence[Problem],
    needs: Needs,
    reference: Sequence[Path] = (),
    probe: Probe = probe_video,
) -> Precheck:
    """Looks at every video's head, those of FVD's `reference` set included.

    A video of another size or rate than most of its method's is a problem, but can be measured; one that lacks what a
    metric needs, is too short for it or too large, is measured without that metric.
    """
    found = Precheck(problems=list(problems))
    for video in videos:
        _look(found, video, needs, probe)
    of_sets = replace(needs, flow=(), memory=None, groups=frozenset())
    for path in reference:
        facts = _facts(path, str(path), of_sets, probe)
        if isinstance(facts, VideoFacts):
            found.reference.append(path)
        elif facts not in found.problems:
            found.problems.append(facts)
    found.problems += _lacking(found.usable, needs)
    found.problems += _odd_ones(found.usable)
    found.notes += _notes(found.usable)
    return found


def _look(found: Precheck, video: ImportedVideo, needs: Needs, probe: Probe) -> None:
    """Adds what a video's head says, or why it cannot be measured, wholly or in part."""
    facts = _facts(video.path, video.source, needs, probe)
    if isinstance(facts, Problem):
        found.problems.append(facts)
        return
    found.usable[video] = facts
    unmet = _unmet(facts, needs)
    if unmet:
        found.without[video.path] = frozenset().union(*unmet.values())
        found.problems += [Problem(video.source, f"{why}; it is measured without", stops=False) for why in unmet]


def _facts(path: Path, source: str, needs: Needs, probe: Probe) -> VideoFacts | Problem:
    """What a video's head says, or why it cannot be measured."""
    try:
        facts = probe(path)
    except VideoError as error:
        # The path stands before it already.
        return Problem(source, readable(str(error)).removeprefix(f"{source} "))
    if needs.size is not None and (facts.height, facts.width) != needs.size:
        return Problem(
            source,
            f"has {facts.width}x{facts.height} pixels; the profile's evaluators see {needs.size[1]}x"
            f"{needs.size[0]} alone: resize it, or measure with --profile animatediff, which sees any size",
        )
    unmet = _unmet(facts, needs)
    return Problem(source, next(iter(unmet))) if unmet and needs.groups <= frozenset().union(*unmet.values()) else facts


def _unmet(facts: VideoFacts, needs: Needs) -> dict[str, frozenset[str]]:
    """Why a video has no features of some groups, and of which."""
    found = {_too_short(facts, needs): needs.counting, _too_large(facts, needs): needs.moving}
    return {why: groups for why, groups in found.items() if why}


def _too_short(facts: VideoFacts, needs: Needs) -> str:
    frames = counted(facts.frames, "frame")
    if facts.frames < needs.frames:
        return (
            f"is too short: {frames}; the metrics asked for need {needs.frames}: leave FVD out with --metrics, or make "
            f"it longer"
        )
    if facts.frames < needs.multiple:
        return (
            f"is too short: {frames}; the profile's video encoder sees {needs.multiple} together: leave FVD out with "
            f"--metrics, make it longer, or measure with another profile"
        )
    if facts.frames % needs.multiple:
        return (
            f"has {facts.frames} frames; the profile's video encoder sees multiples of {needs.multiple}: cut it, "
            f"leave FVD out with --metrics, or measure with another --profile"
        )
    return ""


def _too_large(facts: VideoFacts, needs: Needs) -> str:
    if needs.memory is None or not needs.bytes_of or needs.bytes_of(facts.height, facts.width) <= needs.memory:
        return ""
    fewer = "measure with --workers 1, " if needs.workers > 1 else ""
    return (
        f"is too large for RAFT: {facts.width}x{facts.height} pixels take about "
        f"{needs.bytes_of(facts.height, facts.width) / _GIBI:.0f} GiB of memory, and a worker has "
        f"{needs.memory / _GIBI:.0f}: scale it down, {fewer}or leave "
        f"{' and '.join(needs.flow)} out with --metrics"
    )


def _lacking(videos: Iterable[ImportedVideo], needs: Needs) -> list[Problem]:
    problems = []
    for video in videos:
        if needs.identity and video.identity is None:
            folder = video.path.parent.name
            problems.append(
                Problem(
                    video.source,
                    f"nothing says who it shows (its folder {folder!r} is not an identity), "
                    f"which {' and '.join(needs.identity)} need: sort videos into "
                    f"folders named after identities, say it with --identity or in a "
                    f"manifest, or choose --metrics that do without",
                )
            )
        if needs.prompt and not video.text:
            problems.append(
                Problem(
                    video.source,
                    f"nothing says what was asked for, which {' and '.join(needs.prompt)} "
                    f"needs: begin its name with a prompt's id or text, say it with "
                    f"--prompt or in a manifest, or choose --metrics that do without",
                )
            )
    return problems


def _odd_ones(videos: Mapping[ImportedVideo, VideoFacts]) -> list[Problem]:
    """Videos whose size, rate or length is not that of most of their method's: they are not comparable."""
    problems = []
    for method in dict.fromkeys(video.method for video in videos):
        own = {video: shape_of(facts) for video, facts in videos.items() if video.method == method}
        usual = Counter(own.values()).most_common(1)[0][0]
        problems += [
            Problem(
                video.source,
                f"has {shape}; most videos of {method!r} have {usual}: Dynamic Degree, FVD and T. Cons. move with that",
                stops=False,
            )
            for video, shape in own.items()
            if shape != usual
        ]
    return problems


def shape_of(facts: VideoFacts) -> str:
    """Frames, size and rate in words."""
    return f"{counted(facts.frames, 'frame')} of {facts.width}x{facts.height} pixels at {facts.fps:.4g} a second"


_REMARKS = {
    "hdr": "in HDR: their colours are taken as they are, and look pale; map them to SDR",
    "interlaced": "interlaced: lines comb where something moves, which networks see; deinterlace them",
    "bars": "with black bars at two sides, which count as picture; crop them",
}
"""What to say of what a person does not see, or does not mind (see `VideoFacts.remarks`)."""


def _notes(videos: Mapping[ImportedVideo, VideoFacts]) -> list[str]:
    unsteady = [readable(video.path.name) for video, facts in videos.items() if not facts.steady]
    notes = []
    if unsteady:
        notes.append(
            f"{counted(len(unsteady), 'video')} with frames shown for unequal times ({some_of(unsteady)}): movement "
            f"is measured by their time stamps, eight times a second; all else takes frames as they come"
        )
    for remark, meaning in _REMARKS.items():
        names = [readable(video.path.name) for video, facts in videos.items() if remark in facts.remarks]
        if names:
            notes.append(f"{counted(len(names), 'video')} ({some_of(names)}) {meaning}")
    shapes = {video.method: shape_of(facts) for video, facts in videos.items()}
    if len(set(shapes.values())) > 1:
        notes.append(
            "methods differ in the shape of their videos, which moves Dynamic Degree, FVD and T. Cons.: "
            + "; ".join(f"{method} {shape}" for method, shape in shapes.items())
        )
    return [*notes, *_pair_notes(videos.values())]


def _pair_notes(facts: Iterable[VideoFacts]) -> Iterable[str]:
    """A sentence where VBench's rule compares frames that are not equally far apart in all videos."""
    rates = {one.fps: one.fps / sampling_interval(one.fps) for one in facts if one.steady}
    if rates and max(rates.values()) > _SAME_PAIRS * min(rates.values()):
        pairs = ", ".join(f"{pairs:.3g} at {fps:.4g} frames a second" for fps, pairs in sorted(rates.items()))
        yield (
            f"VBench's rule for Dyna. Deg. compares a video's frames so many times a second: {pairs}; a movement near "
            f"its threshold passes in one and not in the other. Flow is given for 1/8 s and hardly depends on it; a "
            f"movement that turns back within half a second comes out a sixth lower at some rates, and a violent one "
            f"up to two fifths"
        )


def some_of(names: Sequence[str], count: int = 3) -> str:
    """The first few of some names."""
    return ", ".join(names[:count]) + (" ..." if len(names) > count else "")


def by_kind(problems: Sequence[Problem]) -> list[tuple[Problem, int]]:
    """The first problem of each kind, and how many there are: those that differ in numbers and names alone are one."""
    kinds: dict[str, list[Problem]] = {}
    for problem in problems:
        kinds.setdefault(_PARTICULARS.sub("#", problem.what.replace(str(problem.where), "#")), []).append(problem)
    return [(of_kind[0], len(of_kind)) for of_kind in kinds.values()]


def problems_table(problems: Sequence[Problem]) -> Table:
    """The problems by kind, the first so many."""
    table = Table(box=box.SIMPLE_HEAD, title=counted(len(problems), "problem"), title_justify="left")
    table.add_column("where", overflow="fold")
    table.add_column("what", overflow="fold")
    kinds = by_kind(problems)
    for problem, count in kinds[:SHOWN]:
        more = f"\nand {count - 1} more like it" if count > 1 else ""
        table.add_row(escape(f"{problem.where}{more}"), escape(problem.what))
    if len(kinds) > SHOWN:
        table.add_row("...", f"and {sum(count for _, count in kinds[SHOWN:])} more")
    return table
