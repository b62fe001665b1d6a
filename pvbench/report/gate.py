"""Bars that a report's numbers must clear, so that a program can stop on them: `face_sim.low>30`."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pvbench.errors import ReportError, SettingError, did_you_mean
from pvbench.metrics import COLUMNS
from pvbench.report.written import WrittenReport

_SIGNS: Mapping[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
_BAR = re.compile(
    r"\s*(?:(?P<row>.+):)?\s*(?P<column>\w+)(?:\.(?P<end>\w+))?\s*(?P<sign>>=|<=|>|<)\s*(?P<limit>[-+\w.]+)\s*"
)


@dataclass(frozen=True)
class Bar:
    """One bar: a number, or an end of its 95 % interval, and what it must be above or below, in the tables' unit.

    Attributes:
        row: label of the row that must clear it; empty for every method of the report.
        end: `value`, `low` or `high`.
    """

    row: str
    column: str
    end: str
    sign: str
    limit: float

    def failures(self, report: WrittenReport) -> list[str]:
        """In words, which rows do not clear it; a row without the number does not.

        Raises:
            ReportError: the report has no such row, no row that is a method, or not the number.
        """
        rows = [report.known(self.row)] if self.row else report.labelled("method")
        if not rows:
            raise ReportError(
                f"{report.folder}: it has no row that is a method, so nothing can clear {self}; name the row: "
                f"{next(iter(report.methods))}:{self}"
            )
        if self.column not in report.columns:
            raise ReportError(
                f"{report.folder}: {self.column} was not measured; ask for it with --metrics, or choose among "
                f"{', '.join(report.columns)}"
            )
        return [f"{row}: {shown}" for row in rows if (shown := self._failure(report, row))]

    def _failure(self, report: WrittenReport, row: str) -> str:
        score, column = report.score(row, self.column), report.columns[self.column]
        of = score.get("value") if self.end == "value" else (score.get("interval") or {}).get(self.end)
        name = self.column if self.end == "value" else f"{self.column}.{self.end}"
        if of is None:
            why = score.get("note") or ("no interval" if self.end != "value" else "no value")
            return f"{name} is not known ({why}), {self.sign}{self.limit:g} was asked"
        shown = of * column.scale
        if _SIGNS[self.sign](shown, self.limit):
            return ""
        return f"{name} is {shown:{column.fmt}}, {self.sign}{self.limit:g} was asked"

    def __str__(self) -> str:
        end = "" if self.end == "value" else f".{self.end}"
        return f"{self.row + ':' if self.row else ''}{self.column}{end}{self.sign}{self.limit:g}"


def read_bars(texts: Sequence[str]) -> tuple[Bar, ...]:
    """Bars as the command line writes them: ``face_sim.low>30``, or ``personalvideo:clip_t>=60`` for one row.

    Raises:
        SettingError: one is not written so, or names no number.
    """
    return tuple(map(_read, texts))


def _read(text: str) -> Bar:
    found = _BAR.fullmatch(text)
    expected = "expected a number of the report, >, >=, < or <=, and a limit, such as 'face_sim.low>30'"
    if found is None:
        raise SettingError(f"--fail-under {text!r}: {expected}")
    column, end = found["column"], found["end"] or "value"
    if column not in COLUMNS:
        near = did_you_mean(column, list(COLUMNS))
        raise SettingError(f"--fail-under {text!r}: no number is called {column!r}{near}; known: {', '.join(COLUMNS)}")
    if end not in ("value", "low", "high"):
        raise SettingError(f"--fail-under {text!r}: .{end} is unknown; .low and .high are the interval's ends")
    try:
        limit = float(found["limit"])
    except ValueError:
        limit = math.nan
    if not math.isfinite(limit):
        raise SettingError(f"--fail-under {text!r}: {found['limit']!r} is not a limit; {expected}")
    return Bar((found["row"] or "").strip(), column, end, found["sign"], limit)
