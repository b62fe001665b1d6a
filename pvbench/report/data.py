"""What a report is made from: the scores of a grid of cells and everything that is printed with them.

The runner fills it, the report only reads it; it holds no model, no tensor and no time of day, so that the same
cells always give the same bytes.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from pvbench.identity import NOBODY
from pvbench.method import Role
from pvbench.metrics import COLUMNS, PAPER, Metric, metric_of

ENOUGH_CELLS = 0.5
"""A method with a smaller share of its cells takes no part where all are compared on the cells they share."""


class CellKey(NamedTuple):
    """Which video of a variant: its identity, its prompt's id and its seed."""

    identity: str
    prompt: str
    seed: int


Answer = Literal["a", "b", "tie"]


@dataclass(frozen=True)
class Judgement:
    """One judge's answer to one pair.

    Attributes:
        a, b: the rows that were shown, in this order.
        answer: which of them is more like the person; a tie where the judge cannot decide.
    """

    judge: str
    cell: CellKey
    a: str
    b: str
    answer: Answer


@dataclass(frozen=True)
class ReportVariant:
    """One row of the tables: a method with its settings."""

    label: str
    """As on the command line, such as ``personalvideo[scr=off]``; unique in a report."""
    method: str
    summary: str = ""
    settings: Mapping[str, object] = field(default_factory=dict)
    role: Role = "method"
    """Those of the role `method` compete; the others stand apart, and are never best."""
    style: str = ""
    """Name of what its videos are drawn in, and the label of the same row without it."""
    plain: str = ""


@dataclass(frozen=True)
class ReportIdentity:
    """One person: the name and the reference images shown beside the videos."""

    name: str
    class_noun: str
    images: tuple[Path, ...] = ()
    apart: bool = False
    """Whether videos are compared with photos that no method was tuned on."""


@dataclass(frozen=True)
class ReportPrompt:
    """One prompt: its id and its text with ``<V>``."""

    id: str
    text: str


@dataclass(frozen=True)
class ReferenceSet:
    """Videos that FVD measures the distance to, by cell, for sets that are not a row of the report."""

    name: str
    """``rendered`` and ``base`` are compared cell by cell; any other name stands for videos of their own choice."""
    description: str
    embeddings: Mapping[CellKey, np.ndarray] = field(default_factory=dict)
    pool: Mapping[str, np.ndarray] | None = None
    """By any name, for a set that has no cells in common with the report."""


@dataclass(frozen=True)
class ReportData:
    """A run, ready to be reported.

    `variants`, `identities`, `prompts` and `seeds` span the grid. A cell of the grid that `scores` lacks has failed or
    was never made; `failures` says why where that is known.
    """

    profile: str
    variants: tuple[ReportVariant, ...]
    identities: tuple[ReportIdentity, ...]
    prompts: tuple[ReportPrompt, ...]
    seeds: tuple[int, ...]
    scores: Mapping[str, Mapping[CellKey, Mapping[str, float]]]
    """Variant label -> cell -> column name (see `pvbench.metrics.COLUMNS`) -> value; NaN where it is undefined."""
    evaluators: Mapping[str, Mapping[str, object]]
    """The signatures of the evaluators: face, clip, flow, video."""
    metric_settings: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    """The profile's settings of the metrics, as `pvbench.metrics.load_metrics` takes them."""
    embeddings: Mapping[str, Mapping[CellKey, np.ndarray]] = field(default_factory=dict)
    """Variant label -> cell -> ``video/embedding``, for FVD; a mapping may read each when it is asked for."""
    reference_sets: tuple[ReferenceSet, ...] = ()
    """For FVD, where the variants `oracle` (rendered) or `base` are not rows of this report."""
    videos: Mapping[str, Mapping[CellKey, Path]] = field(default_factory=dict)
    """Variant label -> cell -> the video file, for the filmstrips."""
    traces: Mapping[str, Mapping[CellKey, np.ndarray]] = field(default_factory=dict)
    """Variant label -> cell -> (T,) cosine of each frame's face to the person's; NaN without a face."""
    places: Mapping[str, Mapping[CellKey, str]] = field(default_factory=dict)
    """Variant label -> cell -> where its video lies, in words: for those that have no number, too."""
    failures: Mapping[str, Mapping[CellKey, str]] = field(default_factory=dict)
    """Variant label -> failed cell -> the error's message."""
    shapes: tuple[str, ...] = ()
    """In words, where videos differ in frames, size or rate; `frames`, `fps` and `size` then are the largest."""
    frames: int = 0
    fewest_frames: int = 0
    """Of the shortest video, where they differ."""
    fps: float = 0.0
    size: tuple[int, int] = (0, 0)
    """Of the videos: number of frames, rate, (height, width)."""
    command: str = ""
    """What makes this run again."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """Of pvbench and of the libraries that move a number."""
    machine: Mapping[str, str] = field(default_factory=dict)
    """Processor, cores, accelerator: printed, never compared."""
    expected: Mapping[str, frozenset[CellKey]] | None = None
    """Variant label -> the cells that it was to fill, for videos that were made elsewhere; None for the whole grid."""
    metrics: tuple[str, ...] | None = None
    """Names of the metrics that were asked for; None for those of the paper."""
    licences: Mapping[str, str] = field(default_factory=dict)
    """By part of the evaluators: what the publishers of its weights allow."""
    remarks: tuple[str, ...] = ()
    """Sentences that a reader of the tables must know of these videos."""
    left_out: tuple[tuple[str, str], ...] = ()
    """Where and why: what was given to be measured and stands for no cell, so that no table counts it."""
    judged: tuple[Judgement, ...] = ()
    """What judges said of pairs of videos."""
    doubts: tuple[tuple[str, str], ...] = ()
    """Where and what: other problems, of videos that have numbers, of identities, of FVD's reference set."""

    @property
    def people(self) -> tuple[ReportIdentity, ...]:
        """Those who are known: what statistics count."""
        return tuple(identity for identity in self.identities if identity.name != NOBODY)

    @cached_property
    def cells(self) -> tuple[CellKey, ...]:
        """Every cell of the grid, in the order of the files: identity, prompt, seed."""
        cells = (
            CellKey(identity.name, prompt.id, seed)
            for identity in self.identities
            for prompt in self.prompts
            for seed in self.seeds
        )
        if self.expected is None:
            return tuple(cells)
        wanted = frozenset().union(*self.expected.values())
        return tuple(cell for cell in cells if cell in wanted)

    def planned(self, label: str) -> tuple[CellKey, ...]:
        """The cells that a variant was to fill, in the order of the grid."""
        if self.expected is None:
            return self.cells
        return tuple(cell for cell in self.cells if cell in self.expected.get(label, frozenset()))

    def frames_fact(self, made_by: Mapping[str, Mapping[str, object]]) -> int | str:
        """How many frames of a video the evaluators of these signatures saw, as signatures say it: 16, or 8-16."""
        words = [str(one.get("frames_seen", "all")).removeprefix("first ") for one in made_by.values()]
        most = min([self.frames, *(int(word) for word in words if word.isdecimal())])
        fewest = min(self.fewest_frames or self.frames, most)
        return most if fewest == most else f"{fewest}-{most}"

    @property
    def photos_fact(self) -> str:
        """With which photos videos are compared: those kept `apart`, those `tuned on`, or `both`, by person."""
        found = {one.apart for one in self.identities if one.name != NOBODY}
        return "both" if len(found) > 1 else "apart" if found == {True} else "tuned on"

    def shows(self, column: str) -> bool:
        """Whether the metric of a column was asked for."""
        return metric_of(column).name in (PAPER if self.metrics is None else self.metrics)

    @property
    def video_columns(self) -> tuple[str, ...]:
        """The numbers of single videos that are shown, in the order of the files."""
        return tuple(name for name in COLUMNS if issubclass(metric_of(name), Metric) and self.shows(name))

    @property
    def in_table_order(self) -> tuple[ReportVariant, ...]:
        """The floor, methods, controls, the ceiling and its retake; each in the order they were asked for."""
        rank = {"floor": 0, "method": 1, "control": 2, "ceiling": 3, "retake": 4}
        return tuple(sorted(self.variants, key=lambda variant: rank[variant.role]))

    def done(self, label: str) -> tuple[CellKey, ...]:
        """The cells of a variant that have scores, in the order of the grid."""
        scores = self.scores.get(label, {})
        return tuple(cell for cell in self.cells if cell in scores)

    def defined(self, label: str, column: str) -> dict[CellKey, float]:
        """A variant's values of one column, in the order of the grid; cells without a value are left out."""
        scores = self.scores.get(label, {})
        values = {cell: scores[cell].get(column, math.nan) for cell in self.done(label)}
        return {cell: value for cell, value in values.items() if not math.isnan(value)}

    def shared_cells(self, has: Iterable[Iterable[CellKey]]) -> tuple[CellKey, ...]:
        """The cells that all have of those who have enough of them (`ENOUGH_CELLS`), in the order of the grid."""
        enough = [held for cells in has if len(held := set(cells)) >= max(1.0, ENOUGH_CELLS * len(self.cells))]
        return tuple(cell for cell in self.cells if enough and all(cell in held for held in enough))
