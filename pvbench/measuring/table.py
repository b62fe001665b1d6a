"""Tables as people have them: CSV of any spreadsheet, TSV, Excel, JSON and JSON lines, each line as texts by field."""

from __future__ import annotations

import csv
import io
import json
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pvbench.errors import VideoError

TABLE_SUFFIXES = (".csv", ".tsv", ".xlsx", ".json", ".jsonl")

Rows = Iterator[tuple[int, dict[str, str]]]
"""Lines by their numbers, or rows of a sheet; empty ones are left out."""

_MARKS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16", b"\xef\xbb\xbf": "utf-8-sig"}
_SEPARATORS = (",", ";", "\t", "|")
_WINDOWS = "cp1252"


def read_rows(path: Path) -> Rows:
    """The rows of a table, every value a text without spaces around it.

    Raises:
        VideoError: the file cannot be read, or is no such table.
    """
    kind = path.suffix.lower()
    if kind == ".xlsx":
        rows = _sheet(path)
    elif kind == ".json":
        rows = _json(path)
    elif kind == ".jsonl":
        rows = _json_lines(path)
    else:
        rows = _separated(path)
    return ((number, row) for number, row in rows if any(row.values()))


def text_of(path: Path) -> str:
    """A file's text: as its first bytes say, else UTF-8, else as Windows in western Europe writes it.

    Raises:
        VideoError: it cannot be read, or is not a text.
    """
    try:
        content = path.read_bytes()
        marked = next((name for mark, name in _MARKS.items() if content.startswith(mark)), "utf-8")
        try:
            return content.decode(marked)
        except UnicodeDecodeError:
            return content.decode(_WINDOWS)
    except (OSError, UnicodeDecodeError) as error:
        raise VideoError(f"{path} cannot be read as a table ({error}); save it as CSV in UTF-8") from error


def _separated(path: Path) -> Rows:
    import pandas

    text, first = text_of(path), 2
    head, _, rest = text.partition("\n")
    if head.startswith("sep="):
        text, first, separator = rest, 3, head[4:5]
    else:
        separator = _separator(head)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pandas.errors.ParserWarning)
            frame = pandas.read_csv(
                io.StringIO(text),
                sep=separator,
                dtype=str,
                keep_default_na=False,
                skip_blank_lines=False,
                index_col=False,
                encoding_errors="strict",
            )
    except pandas.errors.EmptyDataError as error:
        raise VideoError(f"{path} is empty; expected a first line with the names of its columns") from error
    except pandas.errors.ParserWarning as error:
        raise VideoError(_too_wide(path, "a line")) from error
    except pandas.errors.ParserError as error:
        if "Expected" in str(error):
            raise VideoError(_too_wide(path, str(error).partition("in ")[2].partition(",")[0] or "a line")) from error
        raise VideoError(f"{path} is no CSV ({error}); a double quote is perhaps not closed") from error
    yield from _of_frame(frame, first)


def _too_wide(path: Path, where: str) -> str:
    return f"{path}: {where} has more fields than its first line names; put a text with commas into double quotes"


def _separator(head: str) -> str:
    """What stands between the names in a first line: whatever makes most of them."""
    return max(_SEPARATORS, key=lambda one: len(next(csv.reader([head], delimiter=one), [])))


def _sheet(path: Path) -> Rows:
    import pandas

    try:
        frame = pandas.read_excel(path, dtype=str, keep_default_na=False, na_filter=False)
    except ImportError as error:
        raise VideoError(f"{path} needs openpyxl to be read: pip install openpyxl, or save it as CSV") from error
    except Exception as error:
        raise VideoError(f"{path} is damaged or no Excel file ({error}); save it again, or as CSV") from error
    yield from _of_frame(frame, 2)


def _of_frame(frame: Any, first: int) -> Rows:
    names = [str(name).strip() for name in frame.columns]
    for number, values in enumerate(frame.itertuples(index=False, name=None), start=first):
        yield number, {name: _plain(value) for name, value in zip(names, values, strict=True)}


def _json(path: Path) -> Rows:
    """A list of objects, or an object of prompts or objects by video, as VBench and OpenS2V write them."""
    try:
        content = json.loads(text_of(path))
    except ValueError as error:
        raise VideoError(f"{path} is no JSON ({error})") from error
    if isinstance(content, dict):
        rows = [
            {"video": name, **(value if isinstance(value, dict) else {"prompt": value})}
            for name, value in content.items()
        ]
    else:
        rows = content if isinstance(content, list) else [content]
    for number, row in enumerate(rows, start=1):
        yield number, _object(row, f"{path} entry {number}")


def _json_lines(path: Path) -> Rows:
    # Not at other line ends, which JSON allows within a text.
    for number, line in enumerate(text_of(path).split("\n"), start=1):
        if line.strip():
            try:
                row = json.loads(line)
            except ValueError as error:
                raise VideoError(f"{path} line {number} is no JSON ({error})") from error
            yield number, _object(row, f"{path} line {number}")


def _object(row: Any, where: str) -> dict[str, str]:
    if not isinstance(row, Mapping):
        raise VideoError(f"{where} is {str(row)[:40]!r}; expected an object with video, identity, prompt")
    return {str(name).strip(): _face_among(value) if name == PICTURES else _plain(value) for name, value in row.items()}


PICTURES = "img_paths"
"""What OpenS2V calls the pictures that a video was made from: of a person, of things, of a place."""


def _face_among(paths: Any) -> str:
    """The first one that lies in a folder of people, by which OpenS2V's own script knows faces; none, an empty text."""
    known = {"man", "woman", "crop_man", "crop_woman"}
    listed = [str(path) for path in paths] if isinstance(paths, list) else [_plain(paths)]
    return next((path for path in listed if known & set(path.replace("\\", "/").split("/")[:-1])), "")


def _plain(value: Any) -> str:
    return "" if value is None else str(value).strip()
