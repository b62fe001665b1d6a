"""What each row of a run cost: seconds and memory, as its log has them, beside the run's report.

Times differ from run to run, and a run that goes on measures some of them again, so that they are not part of the
report, whose bytes two runs have in common.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from pvbench.atomic import write_bytes, write_text
from pvbench.report.document.block import Document, Entry, Figure, Paragraph, Section, Table
from pvbench.report.formats.markdown import markdown
from pvbench.report.written import WrittenReport, read_report

FOLDER = "cost"
QUALITY = "face_sim"


@dataclass(frozen=True)
class Cost:
    """What one row cost; NaN where the log does not say.

    Attributes:
        tunings, videos: how many pieces the figures are of.
        tune_seconds: median of a person's tuning, on one worker.
        shared_seconds: median of what of it other tunings of that person need not do again, such as learned words.
        video_seconds: median of a video, on one worker.
        tune_gib, video_gib: the most memory of any piece, models included.
        devices: where they were made.
    """

    label: str
    tunings: int
    tune_seconds: float
    shared_seconds: float
    tune_gib: float
    videos: int
    video_seconds: float
    video_gib: float
    devices: tuple[str, ...]

    def person_seconds(self, videos: int) -> float:
        """One worker's seconds for a person with so many videos; NaN where none was made."""
        tuning = self.tune_seconds if self.tunings else 0.0
        return tuning + videos * self.video_seconds


def costs_of(
    log: Iterable[Mapping[str, Any]], labels: Sequence[str], tuned: Mapping[str, str] | None = None
) -> tuple[Cost, ...]:
    """What each row cost, by the log's lines; of a piece that was made several times, the last.

    Args:
        tuned: by label, under which one the log has the row's tunings, where that is another: rows that share adapters
            are each told what these cost.
    """
    pieces: dict[tuple[str, str], dict[tuple[Any, ...], Mapping[str, Any]]] = {}
    for entry in log:
        if entry.get("stage") in ("tune", "generate") and isinstance(entry.get("seconds"), int | float):
            piece = tuple(entry.get(name) for name in ("identity", "prompt", "seed"))
            pieces.setdefault((str(entry["stage"]), str(entry.get("variant"))), {})[piece] = entry

    def cost(label: str) -> Cost:
        tunings = list(pieces.get(("tune", (tuned or {}).get(label, label)), {}).values())
        videos = list(pieces.get(("generate", label), {}).values())
        return Cost(
            label,
            len(tunings),
            _median(entry["seconds"] for entry in tunings),
            _median(entry.get("shared_seconds", 0.0) for entry in tunings),
            _most(tunings),
            len(videos),
            _median(entry["seconds"] for entry in videos),
            _most(videos),
            tuple(sorted({str(entry.get("device")) for entry in [*tunings, *videos]})),
        )

    return tuple(cost(label) for label in labels)


def _median(values: Iterable[float]) -> float:
    found = list(values)
    return float(median(found)) if found else math.nan


def _most(entries: Iterable[Mapping[str, Any]]) -> float:
    return max((float(entry["peak_gib"]) for entry in entries if "peak_gib" in entry), default=math.nan)


def write_costs(folder: Path, log: Iterable[Mapping[str, Any]], tuned: Mapping[str, str] | None = None) -> Path | None:
    """`cost/cost.md`, `.json` and `.png` in a run's folder, beside the report in it; none where nothing was logged.

    Args:
        tuned: as `costs_of` takes it.

    Raises:
        ReportError: the folder has no report.
        StoreError: it cannot be written.
    """
    report = read_report(folder)
    grid = report.content["grid"]
    reported = [
        entry
        for entry in log
        if entry.get("identity") in grid["identities"] and entry.get("prompt") in (None, *grid["prompts"])
    ]
    rows = [cost for cost in costs_of(reported, list(report.methods), tuned) if cost.tunings or cost.videos]
    if not rows:
        return None
    each = _videos_of_a_person(report)
    place = folder / FOLDER
    write_text(place / "cost.json", json.dumps([_plain(cost, each) for cost in rows], indent=1) + "\n")
    write_bytes(place / "cost.png", _plot(report, rows, each))
    write_text(place / "cost.md", markdown(_document(report, rows, each)))
    return place / "cost.md"


def _videos_of_a_person(report: WrittenReport) -> int:
    grid = report.content["grid"]
    return len(grid["prompts"]) * len(grid["seeds"])


def _plain(cost: Cost, each: int) -> dict[str, Any]:
    values = {**asdict(cost), "devices": list(cost.devices), "person_seconds": cost.person_seconds(each)}
    return {name: None if isinstance(value, float) and math.isnan(value) else value for name, value in values.items()}


def _document(report: WrittenReport, rows: Sequence[Cost], each: int) -> Document:
    header = (
        "Method", "Tuning, s", "of it shared, s", "Tunings", "Video, s", "Videos", f"Person of {each} videos, s",
        "Tuning, GiB", "Video, GiB", "Device", "Face Sim. ↑",
    )  # fmt: skip
    table = Table(
        "cost",
        "Seconds of one worker and peak memory",
        header,
        tuple(tuple(Entry(text) for text in _line(report, cost, each)) for cost in rows),
        notes=(
            "Seconds are medians; several workers share a machine's cores and memory bandwidth.",
            "Shared is what of a tuning other tunings of that person need not do again, such as learned words: the row "
            "that is tuned first pays for it, and the others have it for nothing.",
            "Memory is the most of any piece, models included: of a GPU what torch allocated, of a CPU all that the "
            "worker's process holds.",
            "Rows whose videos were made before the log kept memory have a dash.",
        ),
    )
    lead = Paragraph(f"Made by `{report.content['command']}`. The report was written on {_machine(report)}.")
    figure = Figure("cost.png", "Face Sim. of methods and floor against what one person costs, with 95 % intervals")
    return Document("What it cost", (Section("Seconds and gigabytes", (table, figure)),), (lead,))


def _machine(report: WrittenReport) -> str:
    facts = report.content["machine"]
    return f"{facts['system']}, {facts['processor']}, {facts['cores']} cores"


def _line(report: WrittenReport, cost: Cost, each: int) -> tuple[str, ...]:
    found = _quality(report, cost.label)
    return (
        cost.label,
        _short(cost.tune_seconds),
        _short(cost.shared_seconds),
        str(cost.tunings),
        _short(cost.video_seconds),
        str(cost.videos),
        _short(cost.person_seconds(each)),
        _short(cost.tune_gib, 2),
        _short(cost.video_gib, 2),
        ", ".join(cost.devices),
        report.columns[QUALITY].text(found[0] / report.columns[QUALITY].scale) if found else "–",
    )


def _quality(report: WrittenReport, label: str) -> tuple[float, float, float] | None:
    """The number as printed, and the ends of its interval, which are the number itself where there is none."""
    score = report.score(label, QUALITY)
    if not score or score["value"] is None:
        return None
    scale, interval = report.columns[QUALITY].scale, score["interval"] or {}
    ends = (interval.get(end) for end in ("low", "high"))
    low, high = (score["value"] if end is None else end for end in ends)
    return score["value"] * scale, low * scale, high * scale


def _short(value: float, places: int = 1) -> str:
    if math.isnan(value):
        return "–"
    return f"{value:.{places}f}" if value < 100 else f"{value:.0f}"


def _plot(report: WrittenReport, rows: Sequence[Cost], each: int) -> bytes:
    """Quality against what a person costs, better further up and left; the ceiling is a line."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
    on_gpus = any(device.startswith("cuda") for cost in rows for device in cost.devices)
    unit, length = ("GPU-hours", 3600.0) if on_gpus else ("seconds of one worker", 1.0)
    for cost in rows:
        found, seconds = _quality(report, cost.label), cost.person_seconds(each)
        if found is None or report.methods[cost.label]["role"] not in ("method", "floor") or not seconds > 0:
            continue
        value, low, high = found
        axes.errorbar(
            seconds / length, value, yerr=[[max(0.0, value - low)], [max(0.0, high - value)]], fmt="o", capsize=3
        )
        axes.annotate(cost.label, (seconds / length, value), xytext=(7, 5), textcoords="offset points", fontsize=8)
    for label in report.labelled("ceiling"):
        if found := _quality(report, label):
            axes.axhline(found[0], color="grey", linestyle="--", linewidth=1)
            place = (0.01, found[0])
            axes.annotate(label, place, xycoords=("axes fraction", "data"), xytext=(0, 3), textcoords="offset points")
    axes.set_xscale("log")
    axes.margins(x=0.25)
    axes.set_xlabel(f"{unit} for a person with {each} videos")
    axes.set_ylabel("Face Sim.")
    axes.grid(alpha=0.3)
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=120)
    plt.close(figure)
    return content.getvalue()
