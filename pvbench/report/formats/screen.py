"""A report's first table, for a terminal."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from rich import box
from rich.markup import escape
from rich.table import Table

from pvbench.errors import counted
from pvbench.metrics.metric import Column
from pvbench.report.written import WrittenReport

GROUPS = ("main", "beside", "extra")
MOST = 7
"""Columns that fit a terminal."""

_ROLES = {"floor": " (floor)", "ceiling": " (ceiling)", "control": " (control)", "retake": " (ceiling again)"}
_ORDER = ("floor", "method", "control", "ceiling", "retake")


def shown_columns(report: WrittenReport) -> list[Column]:
    """The numbers that stand first: the paper's six as far as they are known, or others without them."""
    known = [
        column
        for column in report.columns.values()
        if any(report.score(label, column.name).get("value") is not None for label in report.methods)
    ]
    for group in GROUPS:
        if found := [column for column in known if column.group == group]:
            return found[:MOST]
    return []


def screen_table(report: WrittenReport) -> Table:
    """Means above half the width of their interval; bold where a method is significantly better than all others."""
    columns = shown_columns(report)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, caption=_caption(report, columns), caption_justify="left")
    table.add_column("method", overflow="fold", min_width=min(24, max(map(len, report.methods))))
    for column in columns:
        table.add_column(column.header, justify="right")
    whole = len({row["done"] for row in report.methods.values()}) == 1 and not any(map(_lacks, report.methods.values()))
    if not whole:
        table.add_column("videos", justify="right")
    rows = sorted(report.methods.items(), key=lambda item: _ORDER.index(item[1]["role"]))
    for label, row in rows:
        count = f"{row['done']}/{row['planned']}" if _lacks(row) else str(row["done"])
        cells = (_cell(report, label, column) for column in columns)
        table.add_row(f"{escape(label)}{_ROLES.get(row['role'], '')}", *cells, *([] if whole else [count]))
    return table


def _lacks(row: Mapping[str, Any]) -> bool:
    return bool(row["done"] != row["planned"])


def _cell(report: WrittenReport, label: str, column: Column) -> str:
    score = report.score(label, column.name)
    text = column.text(math.nan if score.get("value") is None else score["value"])
    if report.content["places"].get(column.name, {}).get(label) == "best":
        text = f"[bold]{text}[/]"
    half = _half(score.get("interval"))
    return text if math.isnan(half) else f"{text}\n[dim]±{half * column.scale:{column.fmt}}[/]"


def _half(interval: Any) -> float:
    if not interval or interval["low"] is None or interval["high"] is None:
        return math.nan
    return float(interval["high"] - interval["low"]) / 2


def _caption(report: WrittenReport, columns: list[Column]) -> str:
    done = {row["done"] for row in report.methods.values()}
    parts = [f"{counted(done.pop(), 'video')} in each row."] if len(done) == 1 else []
    intervals = [report.score(label, column.name).get("interval") for label in report.methods for column in columns]
    if not all(math.isnan(_half(interval)) for interval in intervals):
        parts.append("± is half of the 95 % interval.")
    if any("best" in report.content["places"].get(column.name, {}).values() for column in columns):
        parts.append("Bold: significantly better than every other method.")
    if more := len(report.columns) - len(columns):
        parts.append(f"{more} more numbers stand in the report.")
    return " ".join(parts)
