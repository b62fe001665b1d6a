"""A look at every video before anything is computed: what is missing, unreadable, too short or of another shape."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich import box
from rich.markup import escape
from rich.table import Table

from pvbench.errors import VideoError
from pvbench.features.flow import sampling_interval
from pvbench.measuring.imported import ImportedVideo, Problem, counted
from pvbench.video import VideoFacts, probe_video

SHOWN = 30
_GIBI = 2**30
_SAME_PAIRS = 1.01


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


@dataclass
class Precheck:
    """What the look found.

    Attributes:
        usable: videos that can be measured, with their facts, in the order in which they were found.
        reference: videos of FVD's reference set that can be measured.
        problems: what keeps others from being measured, or from being compared.
        notes: worth knowing, but nothing to stop for.
    """

    usable: dict[ImportedVideo, VideoFacts] = field(default_factory=dict)
    reference: list[Path] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def precheck(
    videos: Sequence[ImportedVideo], problems: Sequence[Problem], needs: Needs, reference: Sequence[Path] = ()
) -> Precheck:
    """Looks at every video's head, those of FVD's `reference` set included. A video of another size or rate than most
    of its method's is a problem, but can be measured; one that lacks what a metric needs is measured without that
    metric."""
    found = Precheck(problems=list(problems))
    for video in videos:
        facts = _facts(video.path, video.source, needs)
        if isinstance(facts, Problem):
            found.problems.append(facts)
        else:
            found.usable[video] = facts
    for path in reference:
        facts = _facts(path, str(path), needs)
        if isinstance(facts, VideoFacts):
            found.reference.append(path)
        elif facts not in found.problems:
            found.problems.append(facts)
    found.problems += _lacking(found.usable, needs)
    found.problems += _odd_ones(found.usable)
    found.notes += _notes(found.usable)
    return found


def _facts(path: Path, source: str, needs: Needs) -> VideoFacts | Problem:
    """What a video's head says, or why it cannot be measured."""
    try:
        facts = probe_video(path)
    except VideoError as error:
        # The path stands before it already.
        return Problem(source, str(error).removeprefix(f"{source} "))
    why = _unusable(facts, needs)
    return Problem(source, why) if why else facts


def _unusable(facts: VideoFacts, needs: Needs) -> str:
    if facts.frames < needs.frames:
        return (
            f"is too short: {counted(facts.frames, 'frame')}; the metrics asked for need {needs.frames}: leave FVD "
            f"out with --metrics, or make it longer"
        )
    if needs.size is not None and (facts.height, facts.width) != needs.size:
        return (
            f"has {facts.width}x{facts.height} pixels; the profile's evaluators see {needs.size[1]}x"
            f"{needs.size[0]} alone: resize it, or measure with another --profile"
        )
    if facts.frames < needs.multiple:
        return (
            f"is too short: {counted(facts.frames, 'frame')}; the profile's video encoder sees {needs.multiple} "
            f"together: leave FVD out with --metrics, make it longer, or measure with another profile"
        )
    if facts.frames % needs.multiple:
        return (
            f"has {facts.frames} frames; the profile's video encoder sees multiples of {needs.multiple}: cut it, "
            f"leave FVD out with --metrics, or measure with another --profile"
        )
    if needs.memory is not None and needs.bytes_of and needs.bytes_of(facts.height, facts.width) > needs.memory:
        fewer = "measure with --workers 1, " if needs.workers > 1 else ""
        return (
            f"is too large for RAFT: {facts.width}x{facts.height} pixels take about "
            f"{needs.bytes_of(facts.height, facts.width) / _GIBI:.0f} GiB of memory, and a worker has "
            f"{needs.memory / _GIBI:.0f}: scale it down, {fewer}or leave "
            f"{' and '.join(needs.flow)} out with --metrics"
        )
    return ""


def _lacking(videos: Iterable[ImportedVideo], needs: Needs) -> list[Problem]:
    problems = []
    for video in videos:
        if needs.identity and video.identity is None:
            folder = video.path.parent.name
            problems.append(
                Problem(
                    video.source,
                    f"nobody says who it shows (its folder {folder!r} is no identity), "
                    f"which {' and '.join(needs.identity)} need: sort videos into "
                    f"folders named after identities, say it with --identity or in a "
                    f"manifest, or choose --metrics that do without",
                )
            )
        if needs.prompt and not video.text:
            problems.append(
                Problem(
                    video.source,
                    f"nobody says what was asked for, which {' and '.join(needs.prompt)} "
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
    unsteady = [video.path.name for video, facts in videos.items() if not facts.steady]
    notes = []
    if unsteady:
        notes.append(
            f"{counted(len(unsteady), 'video')} with frames shown for unequal times ({_some(unsteady)}): movement "
            f"is measured by their time stamps, eight times a second; all else takes frames as they come"
        )
    for remark, meaning in _REMARKS.items():
        names = [video.path.name for video, facts in videos.items() if remark in facts.remarks]
        if names:
            notes.append(f"{counted(len(names), 'video')} ({_some(names)}) {meaning}")
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
            f"its threshold passes in one and not in the other. Flow is given for 1/8 s, and does not depend on it"
        )


def _some(names: Sequence[str], count: int = 3) -> str:
    return ", ".join(names[:count]) + (" ..." if len(names) > count else "")


def problems_table(problems: Sequence[Problem]) -> Table:
    """The problems, the first so many."""
    table = Table(box=box.SIMPLE_HEAD, title=counted(len(problems), "problem"), title_justify="left")
    table.add_column("where", overflow="fold")
    table.add_column("what", overflow="fold")
    for problem in problems[:SHOWN]:
        table.add_row(escape(str(problem.where)), escape(problem.what))
    if len(problems) > SHOWN:
        table.add_row("...", f"and {len(problems) - SHOWN} more")
    return table
