"""A report that was written, read again: what a terminal shows of it, and what comparing two of them needs."""

from __future__ import annotations

import csv
import gzip
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pvbench.errors import ReportError, did_you_mean
from pvbench.metrics.metric import Column
from pvbench.report.data import CellKey

FORMAT = 2
"""Of aggregates.json; rises when a key changes its meaning."""

PACKED = "scores.csv.gz"
"""The scores of a report that is kept, which would be a hundred megabytes at 20 people and 50 prompts."""

PLACES = ("", "report", "measured")
"""Where in a folder a report may lie: it is one, a run's or a measuring's, or that of measuring a run's own videos."""


@dataclass(frozen=True)
class WrittenReport:
    """The numbers of a report: `content` is its aggregates.json."""

    folder: Path
    content: Mapping[str, Any]

    @property
    def text(self) -> str:
        """The report's aggregates.json as it was written."""
        return (self.folder / "aggregates.json").read_text()

    @cached_property
    def columns(self) -> Mapping[str, Column]:
        """Its numbers, by name, as the file says how they are printed: no metric has to be loaded."""
        return {
            name: Column(
                name,
                facts.get("display", name),
                facts["unit"],
                facts["higher_is_better"],
                fmt=facts.get("format", ".4g"),
                scale=facts["shown_times"],
                undefined=facts["undefined"] or "",
                group=facts.get("group", "main"),
            )
            for name, facts in self.content["columns"].items()
        }

    @property
    def methods(self) -> Mapping[str, Any]:
        """By label, what is known of each row: its method, role, settings, scores and counts."""
        found: Mapping[str, Any] = self.content["methods"]
        return found

    def labelled(self, role: str) -> list[str]:
        """The labels of the rows of a role, such as `method` or `floor`."""
        return [label for label, row in self.methods.items() if row["role"] == role]

    def score(self, label: str, column: str) -> Mapping[str, Any]:
        """One number of one row, with its interval, sizes and signature; nothing where the report has none."""
        found: Mapping[str, Any] = self.methods[label]["scores"].get(column, {})
        return found

    @cached_property
    def values(self) -> Mapping[tuple[str, str], Mapping[CellKey, float]]:
        """By row and number, the value of every video that has one; set metrics have none.

        Raises:
            ReportError: scores.csv is not there or not one of a report's.
        """
        found: dict[tuple[str, str], dict[CellKey, float]] = {}
        path = scores_file(self.folder)
        try:
            with opened(path) as file:
                for row in csv.DictReader(file):
                    value = float(row["value"] or "nan")
                    if not math.isnan(value):
                        cell = CellKey(row["identity"], row["prompt"], int(row["seed"]))
                        found.setdefault((row["method"], row["metric"]), {})[cell] = value
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ReportError(f"{path}: it cannot be read ({error}); write the report again: pvbench report") from None
        return found

    def known(self, label: str) -> str:
        """The label, if it is one of the report's rows.

        Raises:
            ReportError: it is not.
        """
        if label not in self.methods:
            names = list(self.methods)
            raise ReportError(
                f"{self.folder}: it has no row {label!r}{did_you_mean(label, names)}; its rows are {', '.join(names)}"
            )
        return label


def scores_file(folder: Path) -> Path:
    """The scores of a report in its folder: `scores.csv`, or `scores.csv.gz` of a kept one."""
    packed = folder / PACKED
    return packed if packed.is_file() and not (folder / "scores.csv").is_file() else folder / "scores.csv"


def opened(path: Path) -> io.TextIOWrapper:
    """A CSV file to be read, packed or not."""
    if path.suffix == ".gz":
        return gzip.open(path, "rt", newline="", encoding="utf-8")
    return path.open(newline="", encoding="utf-8")


def find_report(folder: Path | str, names: Sequence[str] = ("aggregates.json",)) -> Path:
    """The folder of a report, given it or the folder of a run or a measuring.

    Args:
        names: files of the report, of which one is wanted.

    Raises:
        ReportError: there is none.
    """
    places = (Path(folder) / inner for inner in PLACES)
    place = next((place for place in places if any((place / name).is_file() for name in names)), None)
    if place is None:
        raise ReportError(f"no {names[0]} in {folder}; name a folder that `pvbench run` or `pvbench measure` made")
    return place


def read_report(folder: Path | str) -> WrittenReport:
    """A report, given its folder or that of a run or a measuring. Needs no torch.

    Raises:
        ReportError: there is none, or it is damaged or of another version.
    """
    path = find_report(folder) / "aggregates.json"
    again = "write it again: pvbench report, or pvbench measure with the same options"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        version = content["format"]
    except (OSError, ValueError, KeyError, TypeError):
        raise ReportError(f"{path}: it is not a report's, or damaged; {again}") from None
    if version != FORMAT:
        raise ReportError(f"{path}: it has format {version}, this version reads {FORMAT}; {again}")
    return WrittenReport(path.parent, content)
