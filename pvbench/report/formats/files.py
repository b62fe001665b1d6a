"""The report for programs: scores.csv with every number of every video, aggregates.json with what follows from them."""

import csv
import io
import json
import math
from collections.abc import Mapping

from pvbench.metrics import COLUMNS
from pvbench.report.data import ReportData
from pvbench.report.published import published_statements, published_table
from pvbench.report.statistics.agreement import agreements, judged_statements
from pvbench.report.statistics.judgement import about_the_person, agreement, between_judges, preferences
from pvbench.report.statistics.score import Aggregates, Comparison, Kept, Score
from pvbench.report.statistics.styles import InStyle, rows_in_styles
from pvbench.report.written import FORMAT
from pvbench.stats import Interval

HEADER = ("method", "identity", "prompt", "seed", "metric", "value", "video", "text")


def scores_csv(data: ReportData) -> str:
    """One line for each cell and column; the value is empty for a failed cell, ``nan`` where it is undefined.

    Each ends in the video's path and the prompt's text, as far as they are known.
    """
    texts = {prompt.id: prompt.text for prompt in data.prompts}
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADER)
    for variant in data.variants:
        scores = data.scores.get(variant.label, {})
        for cell in data.planned(variant.label):
            values = scores.get(cell, {})
            for column in data.video_columns:
                value = format(values[column], ".9g") if column in values else ""
                place = data.places.get(variant.label, {}).get(cell, "")
                writer.writerow((variant.label, *cell, column, value, place, texts[cell.prompt]))
    return text.getvalue()


def aggregates_json(data: ReportData, numbers: Aggregates) -> str:
    """Scores with intervals, sizes and signatures, comparisons, shares and the grid; NaN is null."""
    content = {
        "format": FORMAT,
        "profile": data.profile,
        "grid": {
            "methods": [variant.label for variant in data.variants],
            "identities": [identity.name for identity in data.identities],
            "prompts": [prompt.id for prompt in data.prompts],
            "seeds": list(data.seeds),
            "cells": len(data.cells),
        },
        "videos": {"frames": data.frames, "fps": data.fps, "height": data.size[0], "width": data.size[1]},
        "columns": {
            column.name: {
                "display": column.display,
                "group": column.group,
                "format": column.fmt,
                "unit": column.unit,
                "higher_is_better": column.higher_is_better,
                "shown_times": column.scale,
                "undefined": column.undefined or None,
            }
            for column in COLUMNS.values()
            if data.shows(column.name)
        },
        "methods": {
            variant.label: {
                "method": variant.method,
                "role": variant.role,
                "settings": dict(variant.settings),
                "done": len(data.done(variant.label)),
                "planned": len(data.planned(variant.label)),
                "scores": {
                    name: _score(score) for name, score in numbers.scores[variant.label].items() if data.shows(name)
                },
                "kept": {name: _kept(kept) for name, kept in numbers.kept.get(variant.label, {}).items()},
            }
            for variant in data.variants
        },
        "comparisons": [_comparison(test) for test in numbers.comparisons],
        "styles": [_styled(row) for row in rows_in_styles(data)],
        "ceiling_above_floor": {
            name: separates for name in COLUMNS if (separates := numbers.separates(name)) is not None
        },
        "places": {name: dict(places) for name, places in numbers.best.items() if places},
        "fvd_floors": {
            name: {"value": floor.value, "n": floor.cells, "width": floor.width, "retake": floor.retake or None}
            for name, floor in numbers.floors.items()
        },
        "judged": _judged(data),
        "published": _published(data, numbers),
        "licences": dict(data.licences),
        "versions": dict(data.versions),
        "machine": dict(data.machine),
        "command": data.command,
    }
    return json.dumps(_plain(content), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _judged(data: ReportData) -> dict[str, object]:
    """Which rows blind judges prefer, and how often each number about the person agrees; empty without judgements."""
    if not data.judged:
        return {}
    same, both = between_judges(data.judged)
    return {
        "judges": {"names": sorted({one.judge for one in data.judged}), "same": same, "both": both},
        "rows": [
            {"row": one.first, "against": one.second, "won": one.won, "decided": one.decided, "shown": one.shown}
            for one in preferences(data.judged, [variant.label for variant in data.in_table_order])
        ],
        "agreement": {
            name: {**_agreed(data, name, floor=True), "between_methods": _agreed(data, name, floor=False)}
            for name in about_the_person(data)
        },
    }


def _agreed(data: ReportData, name: str, *, floor: bool) -> dict[str, object]:
    found = agreement(data, data.judged, name, floor=floor)
    return {"agrees": found.right, "pairs": found.asked, "interval": _interval(found.interval)}


def _published(data: ReportData, numbers: Aggregates) -> dict[str, object]:
    """Verdicts on published pairs, by number and by statement."""
    statements = published_statements()
    return {
        "table": [
            {
                "metric": one.column,
                "pairs": dict(one.counts),
                "methods": one.methods,
                "tau": one.tau,
                "interval": _interval(one.interval),
            }
            for one in agreements(data, numbers, published_table())
        ],
        "statements": [
            {"metric": one.column, "better": one.better, "worse": one.worse, "gain": one.gain, "verdict": one.verdict}
            for one in judged_statements(data, numbers, statements)
            if data.shows(one.column)
        ],
    }


def _styled(row: InStyle) -> dict[str, object]:
    shares = ("face", "face_without", "face_lost", "flow", "clip_t", "action")
    return {
        "method": row.label,
        "style": row.style,
        "reached": row.reached,
        "p": row.p,
        **{name: None if (kept := getattr(row, name)) is None else _kept(kept) for name in shares},
    }


def _kept(kept: Kept) -> dict[str, object]:
    return {"value": kept.value, "interval": _interval(kept.interval), "n": kept.cells}


def _score(score: Score) -> dict[str, object]:
    return {
        "value": score.value,
        "interval": _interval(score.interval),
        "bootstrap": _interval(score.bootstrap),
        "n": score.n,
        "planned": score.planned,
        "identities": score.identities,
        "by_identity": None if score.by_identity is None else dict(score.by_identity),
        "terms": None if score.terms is None else dict(score.terms),
        "note": score.note or None,
        "signature": score.signature.short,
        "signature_long": score.signature.long,
    }


def _comparison(test: Comparison) -> dict[str, object]:
    return {
        "metric": test.column,
        "question": test.family,
        "first": test.first,
        "second": test.second,
        "difference": test.difference,
        "interval": _interval(test.interval),
        "p": test.p,
        "p_holm": test.p_holm,
        "better": test.winner or None,
        "test": test.test,
        "effect": test.effect,
        "detectable": test.detectable,
        "outlying": list(test.outlying),
        "n": test.cells,
        "identities": test.identities,
    }


def _interval(interval: Interval | None) -> dict[str, object] | None:
    if interval is None:
        return None
    return {"low": interval.low, "high": interval.high, "level": interval.level, "kind": interval.kind}


def _plain(value: object) -> object:
    """The value for JSON: NaN as null, floats to nine digits, beyond which they differ between machines."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return float(format(value, ".9g")) if math.isfinite(value) else None
    return value
