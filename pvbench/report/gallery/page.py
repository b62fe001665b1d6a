"""The gallery's page and the small videos beside it."""

from __future__ import annotations

import html
import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from pvbench.atomic import write_bytes, write_text
from pvbench.errors import VideoError
from pvbench.identity import NOBODY
from pvbench.metrics import COLUMNS
from pvbench.metrics.metric import Column
from pvbench.report.data import CellKey, ReportData, ReportIdentity
from pvbench.report.gallery.clips import can_encode, encode_clip, write_thumbnail
from pvbench.report.pictures.filmstrip import shown_text
from pvbench.video import content_digest, read_video

PAGE = "index.html"
CLIPS = "clips"
"""The page's name, and that of the folder beside it that holds what it shows."""

_AT_ONCE = 4


def write_gallery(folder: Path, data: ReportData) -> list[Path]:
    """The files of the gallery, written to `folder`: index.html, and a small copy of every video and photo.

    A copy that is there already is kept, and one that no cell has any more is removed. A video that cannot be read is
    reported in its place. Nothing is written where videos cannot be encoded.

    Raises:
        StoreError: the folder cannot be written, or the disk is full.
    """
    if not can_encode():
        return []
    place = folder / CLIPS
    videos = {(label, cell): path for label, of_one in data.videos.items() for cell, path in of_one.items()}
    with ThreadPoolExecutor(min(_AT_ONCE, os.cpu_count() or 1)) as pool:
        clips = dict(zip(videos, pool.map(lambda path: _clip(place, path), videos.values()), strict=True))
    photos = {one.name: list(_photos(place, one)) for one in data.identities}
    made = {path for path, _ in clips.values() if path} | {path for of_one in photos.values() for path in of_one}
    for old in place.glob("*"):
        if old not in made:
            old.unlink()
    write_text(folder / PAGE, _page(data, _content(data, folder, clips, photos)))
    return [folder / PAGE, *sorted(made)]


def _clip(place: Path, video: Path) -> tuple[Path | None, str]:
    """The small copy of a video; or None, and why there is none."""
    try:
        path = place / f"{content_digest(video)[:24]}.mp4"
        film = None if path.is_file() else read_video(video)
    except (OSError, VideoError) as error:
        return None, str(error)
    if film is not None:
        write_bytes(path, encode_clip(film))
    return path, ""


def _photos(place: Path, person: ReportIdentity) -> Iterator[Path]:
    for photo in person.images:
        try:
            path = place / f"{content_digest(photo)[:24]}.jpg"
            if not path.is_file():
                write_thumbnail(path, photo)
        except OSError:
            continue
        yield path


def _content(
    data: ReportData,
    folder: Path,
    clips: Mapping[tuple[str, CellKey], tuple[Path | None, str]],
    photos: Mapping[str, list[Path]],
) -> dict[str, Any]:
    """What the page shows, for its script; numbers as the tables print them."""

    def relative(path: Path) -> str:
        return path.relative_to(folder).as_posix()

    columns = [COLUMNS[name] for name in data.video_columns]
    people = {one.name: one for one in data.identities}
    prompts = {one.id: one for one in data.prompts}
    planned = {variant.label: frozenset(data.planned(variant.label)) for variant in data.variants}
    return {
        "methods": [{"label": variant.label, "role": variant.role} for variant in data.in_table_order],
        "metrics": [
            {"name": one.name, "display": one.display, "higher": one.higher_is_better, "note": one.note}
            for one in columns
        ],
        "people": {
            one.name: {"noun": one.class_noun, "photos": [relative(path) for path in photos[one.name]]}
            for one in data.identities
        },
        "cells": [
            {
                "person": "" if cell.identity == NOBODY else cell.identity,
                "prompt": cell.prompt,
                "text": shown_text(prompts[cell.prompt], people[cell.identity]),
                "seed": cell.seed,
                "films": {
                    variant.label: dict(_film(data, variant.label, cell, clips, relative, columns))
                    for variant in data.variants
                    if cell in planned[variant.label]
                },
            }
            for cell in data.cells
        ],
    }


def _film(
    data: ReportData,
    label: str,
    cell: CellKey,
    clips: Mapping[tuple[str, CellKey], tuple[Path | None, str]],
    relative: Any,
    columns: Iterable[Column],
) -> Iterator[tuple[str, Any]]:
    path, why = clips.get((label, cell), (None, ""))
    if path is not None:
        yield "clip", relative(path)
    else:
        yield "why", why or data.failures.get(label, {}).get(cell, "not made")
    scores = data.scores.get(label, {}).get(cell, {})
    yield "scores", {one.name: _shown(one, scores.get(one.name, math.nan)) for one in columns}
    trace = data.traces.get(label, {}).get(cell)
    if trace is not None:
        yield "faces", [None if math.isnan(value) else round(100 * float(value), 1) for value in trace]


def _shown(column: Column, value: float) -> float | None:
    return None if math.isnan(value) else float(column.text(value))


@cache
def _template() -> str:
    return (files(__package__) / "gallery.html").read_text(encoding="utf-8")


def _page(data: ReportData, content: Mapping[str, Any]) -> str:
    # A text may hold anything, and must end neither the script nor the page.
    embedded = json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    title = html.escape(f"pvbench gallery: profile {data.profile}")
    return _template().replace("{{title}}", title).replace("{{content}}", embedded)
