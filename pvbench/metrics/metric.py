"""The Metric interface: numbers for each video, an aggregate over videos, and the signature printed with both.

A metric never sees a frame. It reads the features that the evaluators left for a video, for the references of its
identity and for its prompt, so that re-scoring costs milliseconds and no network is loaded twice.
"""

import dataclasses
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from pvbench.digest import digest
from pvbench.errors import PvbenchError

Features = Mapping[str, np.ndarray]
"""Everything known of one cell: the video's features, its references' (``reference/...``) and its prompt's."""

Facts = Mapping[str, str | int | float | bool]


Group = Literal["main", "beside", "extra"]
"""Which table of a report a number stands in: the paper's, that of its companions, or that of what was asked for
besides it, which is made only where its metric is named."""

Set = Literal["", "rendered", "base"]
"""The videos that a number of a set refers to: the true ones, the untuned model's, or none for a single video's."""


class MetricError(PvbenchError):
    """A metric got features that it cannot score."""


@dataclass(frozen=True)
class Column:
    """One number of a metric, and how it is printed.

    Files hold the natural unit (a cosine is in [-1, 1]); tables multiply by `scale`, as the paper's tables do.

    Attributes:
        undefined: when a video has no value (NaN in files, left out of the mean and counted); empty if every video has
            one.
        group: the table that it stands in.
        note: a sentence below the table, without which the number misleads: its unit, and what raises it for nothing.
        reference: of a set metric, the set that the distance is taken to.
        of: of a set metric, which number of its comparison this is; its own name by default.
    """

    name: str
    display: str
    unit: str
    higher_is_better: bool
    fmt: str = ".2f"
    scale: float = 1.0
    limits: tuple[float, float] = (-math.inf, math.inf)
    undefined: str = ""
    group: Group = "extra"
    note: str = ""
    reference: Set = ""
    of: str = ""

    def text(self, value: float) -> str:
        """The number as tables print it; a dash for NaN."""
        return "–" if math.isnan(value) else format(value * self.scale, f"z{self.fmt}")

    @property
    def header(self) -> str:
        """Name and direction, such as ``Face Sim. ↑``."""
        return f"{self.display} {'↑' if self.higher_is_better else '↓'}"


@dataclass(frozen=True)
class Signature:
    """How a number was got: everything that moves it and is not visible in the table."""

    metric: str
    version: int
    facts: Facts
    evaluators: Mapping[str, Mapping[str, object]]

    @property
    def short(self) -> str:
        """One line for under a table: ``face_sim.v1 | face:arc@1a2b3c4d | reference:template | n:160``."""
        nets = [f"{part}:{_network_name(part, made_by)}" for part, made_by in self.evaluators.items()]
        return " | ".join([f"{self.metric}.v{self.version}", *nets, *(f"{k}:{v}" for k, v in self.facts.items())])

    @property
    def long(self) -> dict[str, object]:
        """The same for JSON, with each evaluator's complete signature."""
        return {
            "metric": self.metric,
            "version": self.version,
            **self.facts,
            "evaluators": {part: dict(made_by) for part, made_by in self.evaluators.items()},
        }

    def having(self, **facts: str | int | float | bool) -> "Signature":
        """This signature with more facts, such as the number of videos."""
        return dataclasses.replace(self, facts={**self.facts, **facts})

    def without(self, *names: str) -> "Signature":
        """This signature without some facts, for a line that stands for several rows."""
        return dataclasses.replace(self, facts={k: v for k, v in self.facts.items() if k not in names})


def _network_name(part: str, made_by: Mapping[str, object]) -> str:
    name = next((str(made_by[key]) for key in ("extractor", "name", "kind") if key in made_by), part)
    return f"{name}@{digest(dict(made_by))[:8]}"


class Signed:
    """What every measure states about itself. Subclasses are frozen dataclasses: their fields are their settings."""

    name: ClassVar[str]
    version: ClassVar[int]
    """Raised by any change that moves a score."""
    needs: ClassVar[tuple[str, ...]]
    """Names of the features that it reads."""
    parts: ClassVar[tuple[str, ...]]
    """Evaluators that made them: of face, clip, flow, video, dino, hps."""
    columns: ClassVar[tuple[Column, ...]]
    rule: ClassVar[Facts] = {}
    """What is fixed in the code and moves the number, in words for the signature."""
    trap: ClassVar[str] = ""
    """What cheats the metric, in a sentence: a method that does it scores well and is no better."""

    def signature(self, evaluators: Mapping[str, Mapping[str, object]]) -> Signature:
        """How this measure, set as it is, makes a number out of these evaluators' features."""
        settings = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}  # type: ignore[arg-type]
        made_by = {part: evaluators.get(part, {}) for part in self.parts}
        return Signature(self.name, self.version, {**self.rule, **settings}, made_by)


class Metric(Signed, ABC):
    """A measure of single videos; the entry point group is `pvbench.metrics`.

    A subclass is a frozen dataclass whose fields, if any, are settings with defaults.
    """

    @abstractmethod
    def row(self, features: Features) -> tuple[float, ...]:
        """The columns' values for one video; NaN only where `Column.undefined` says so."""

    def rows(self, features: Sequence[Features]) -> Float[np.ndarray, "videos columns"]:
        """The columns' values for each video; a video's row depends on that video alone.

        Raises:
            MetricError: a feature is missing, empty or not finite.
        """
        rows = np.empty((len(features), len(self.columns)))
        for index, of_one in enumerate(features):
            for needed in self.needs:
                if needed not in of_one:
                    raise MetricError(
                        f"{self.name} needs the feature {needed!r}, which video {index} lacks "
                        f"(it has {', '.join(sorted(of_one)) or 'none'}); measure it with evaluators that make it"
                    )
            rows[index] = self.row(of_one)
        return rows

    def aggregate(self, rows: Float[np.ndarray, "videos columns"]) -> dict[str, float]:
        """Mean over videos for each column, undefined videos left out; NaN for a column without any value."""
        values = {}
        for column, of_column in zip(self.columns, rows.T, strict=True):
            defined = of_column[~np.isnan(of_column)]
            values[column.name] = float(defined.mean()) if defined.size else math.nan
        return values


@runtime_checkable
class Rows(Protocol):
    """Features by their place: an array (videos, width), or something that reads them when they are asked for."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Number and width."""

    def __getitem__(self, rows: slice, /) -> np.ndarray:
        """Some of them, in order."""


@dataclass(frozen=True)
class SetNumber:
    """A number of a set of videos.

    Attributes:
        value: NaN where it is undefined.
        terms: what it is made of, by name.
        without: (people,) the number without each of the people, for a jackknife interval; empty for none.
    """

    value: float
    terms: Mapping[str, float] = field(default_factory=dict)
    without: tuple[float, ...] = ()


class SetMetric(Signed, ABC):
    """A measure of a set of videos against a reference set, such as FVD; the entry point group is `pvbench.metrics`.

    It reads one feature of each video, `needs[0]`, a row. A subclass is a frozen dataclass whose field `reference`
    names the set in the signature.
    """

    @abstractmethod
    def compare(self, videos: Rows, reference: Rows, people: Sequence[str] | None) -> Mapping[str, SetNumber]:
        """The numbers by the names that `Column.of` has.

        Args:
            people: whom each video shows, where the reference's rows are the same cells in the same order; None for a
                reference set of other videos.

        Raises:
            MetricError: a row is NaN or infinite, or paired sets differ in size or width.
        """

    def floor(self, reference: Rows, rng: np.random.Generator) -> float:
        """What sampling alone gives: the number between halves of the reference set; NaN where that is not known."""
        return math.nan


def finite(name: str, array: np.ndarray) -> np.ndarray:
    """The feature in float64.

    Raises:
        MetricError: it is empty, or holds NaN or infinity, which only a broken video or evaluator gives.
    """
    if array.size == 0:
        raise MetricError(f"the feature {name!r} is empty (shape {array.shape}); a video has at least one frame")
    values = np.asarray(array, dtype=np.float64)
    if not np.isfinite(values).all():
        bad = int((~np.isfinite(values)).sum())
        raise MetricError(f"the feature {name!r} holds {bad} values that are NaN or infinite; measure the video again")
    return values


def unit_rows(name: str, rows: Float[np.ndarray, "rows width"]) -> Float[np.ndarray, "rows width"]:
    """Each row divided by its length, so that a dot product is a cosine.

    Raises:
        MetricError: a row has no length, so no direction.
    """
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    if (lengths == 0).any():
        raise MetricError(f"the feature {name!r} holds an embedding of length zero; measure it again")
    found: Float[np.ndarray, "rows width"] = rows / lengths
    return found


def face_rows(
    name: str, rows: Float[np.ndarray, "frames width"], detected: np.ndarray
) -> Float[np.ndarray, "found width"]:
    """The unit embeddings of the frames in which a face was found.

    Raises:
        MetricError: a frame with a face has no embedding, or one without a face has one.
    """
    values = np.asarray(rows, dtype=np.float64)
    found = np.asarray(detected) == 1
    if values.shape[0] == 0 or found.shape != values.shape[:1]:
        raise MetricError(
            f"the feature {name!r} has {values.shape[0]} rows and face/detected has shape {found.shape}; "
            "both hold one entry a frame, for at least one frame"
        )
    missing = np.isnan(values).all(axis=1) & (np.asarray(detected) == 0)
    if not (found ^ missing).all() or not np.isfinite(values[found]).all():
        raise MetricError(
            f"the feature {name!r} must be NaN exactly where face/detected is 0, and finite where it is 1; "
            "measure the video again"
        )
    return unit_rows(name, values[found])
