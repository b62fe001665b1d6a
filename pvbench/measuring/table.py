"""Tables as people have them: CSV of any spreadsheet, TSV, Excel, JSON and JSON lines, each line as texts by field."""

from __future__ import annotations

import csv
import io
import json
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pvbench.errors import VideoError, readable

TABLE_SUFFIXES = (".csv", ".tsv", ".xlsx", ".json", ".jsonl")

Rows = Iterator[tuple[int, dict[str, str]]]
"""Lines by their numbers, or rows of a sheet; empty ones are left out."""

_MARKS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16", b"\xef\xbb\xbf": "utf-8-sig"}
_SEPARATORS = (",", ";", "\t", "|")
_WINDOWS = "cp1252"
_LOOKED_AT = 256


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
    # What stands in a column without a name is an index, as pandas writes one: it makes no row.
    return ((number, row) for number, row in rows if any(row[name] for name in row if _named(name)))


def _named(column: str) -> bool:
    return bool(column) and not column.startswith("Unnamed:")


def text_of(path: Path) -> str:
    """A file's text: as its first bytes say, else UTF-8, else as Windows in western Europe writes it.

    Raises:
        VideoError: it cannot be read, or is not a text.
    """
    try:
        content = path.read_bytes()
        marked = next((name for mark, name in _MARKS.items() if content.startswith(mark)), "")
        return content.decode(marked) if marked else _unmarked(content)
    except (OSError, UnicodeError) as error:
        raise VideoError(f"{path} cannot be read as a table ({error}); save it as CSV in UTF-8") from error


def guessed_encoding(path: Path) -> str:
    """A sentence where nothing in a text says how its letters are written, so that they may be read wrongly."""
    if path.suffix.lower() == ".xlsx":
        return ""
    content = path.read_bytes()
    if content.startswith(tuple(_MARKS)):
        return ""
    try:
        content.decode()
    except UnicodeDecodeError:
        if content.count(0) < len(content) // 4:
            return (
                f"{readable(path)} is not in UTF-8: its letters are read as Windows writes them in western Europe. If "
                f"they come out wrong, save it as CSV in UTF-8"
            )
    return ""


def further_sheets(path: Path) -> str:
    """A sentence where an Excel file has more sheets than the first, which is the one that is read."""
    if path.suffix.lower() != ".xlsx":
        return ""
    import pandas

    with pandas.ExcelFile(path) as book:
        first, *others = (str(name) for name in book.sheet_names)
    if not others:
        return ""
    return f"{readable(path)}: the sheet {first!r} is read, not {', '.join(map(repr, others))}"


def _unmarked(content: bytes) -> str:
    """A text without a mark at its beginning; every other byte is 0 where it is in UTF-16."""
    for start, name in ((1, "utf-16-le"), (0, "utf-16-be")):
        if 0 < len(content[:_LOOKED_AT]) // 2 == content[start:_LOOKED_AT:2].count(0):
            return content.decode(name)
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content.decode(_WINDOWS)


def _separated(path: Path) -> Rows:
    import pandas

    # Old programs end lines as the Macintosh did; blank lines before the names are left out.
    lines = text_of(path).replace("\r\n", "\n").replace("\r", "\n")
    text = lines.lstrip("\n")
    first = 2 + len(lines) - len(text)
    head, _, rest = text.partition("\n")
    separator = ""
    if head.startswith("sep="):
        text, first, separator = rest, first + 1, head[4:5]
        head = rest.partition("\n")[0]
    separator = separator or _separator(head)
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
    yield from _of_frame(frame, first, lines=True)


def _too_wide(path: Path, where: str) -> str:
    return f"{path}: {where} has more fields than its first line names; put a text with commas into double quotes"


def _separator(head: str) -> str:
    """What stands between the names in a first line: whatever makes most of them."""

    def names(one: str) -> int:
        try:
            return len(next(csv.reader([head], delimiter=one), []))
        except csv.Error:
            # A line that is longer than any field may be holds no names.
            return 0

    return max(_SEPARATORS, key=names)


def _sheet(path: Path) -> Rows:
    import pandas

    try:
        frame = pandas.read_excel(path, header=None, dtype=str, keep_default_na=False, na_filter=False)
    except ImportError as error:
        raise VideoError(f"{path} needs openpyxl to be read: pip install openpyxl, or save it as CSV") from error
    except Exception as error:
        raise VideoError(f"{path} is damaged or no Excel file ({error}); save it again, or as CSV") from error
    blank = next((place for place, row in enumerate(frame.to_numpy()) if any(map(_plain, row))), len(frame))
    if blank == len(frame):
        raise VideoError(f"{path} is empty; expected a first row with the names of its columns")
    frame.columns = frame.iloc[blank]
    yield from _of_frame(frame.iloc[blank + 1 :], blank + 2)


def _of_frame(frame: Any, first: int, lines: bool = False) -> Rows:
    """The rows of a frame from a number on; `lines` where these count lines of a text."""
    names = [str(name).strip() for name in frame.columns]
    number = first
    for values in frame.itertuples(index=False, name=None):
        yield number, {name: _plain(value) for name, value in zip(names, values, strict=True)}
        # A text in quotes may go over several lines.
        number += 1 + sum(str(value).count("\n") for value in values) * lines


def _json(path: Path) -> Rows:
    """A list of objects, or an object of prompts or objects by video, as VBench and OpenS2V write them."""
    try:
        content = json.loads(text_of(path))
    except (ValueError, RecursionError) as error:
        raise VideoError(f"{path} is no JSON ({error})") from error
    if isinstance(content, dict) and _by_column(content):
        numbers = next(iter(content.values()))
        rows = [{name: column[number] for name, column in content.items()} for number in numbers]
    elif isinstance(content, dict):
        rows = [
            {"video": name, **(value if isinstance(value, dict) else {"prompt": value})}
            for name, value in content.items()
        ]
    else:
        rows = content if isinstance(content, list) else [content]
    for number, row in enumerate(rows, start=1):
        for one in _videos_of(row):
            yield number, _object(one, f"{path} entry {number}")


def _by_column(content: Mapping[str, Any]) -> bool:
    """Whether it is a table by columns, each by the rows' numbers, as pandas' `to_json` writes it."""
    columns = list(content.values())
    return bool(columns) and all(
        isinstance(one, dict) and one.keys() == columns[0].keys() and all(map(str.isdecimal, one)) for one in columns
    )


def _videos_of(row: Any) -> list[Any]:
    """An entry of VBench's full information, a prompt with its videos, as one for each of these; any other as it is."""
    if not isinstance(row, Mapping) or not isinstance(row.get("video_list"), list):
        return [row]
    prompt = row.get("prompt_en", row.get("prompt", ""))
    return [{"video": video, "prompt": prompt} for video in row["video_list"]]


def _json_lines(path: Path) -> Rows:
    # Not at other line ends, which JSON allows within a text.
    for number, line in enumerate(text_of(path).split("\n"), start=1):
        if line.strip():
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise VideoError(f"{path} line {number} is no JSON ({error})") from error
            yield number, _object(row, f"{path} line {number}")


def _object(row: Any, where: str) -> dict[str, str]:
    if not isinstance(row, Mapping):
        raise VideoError(f"{where} is {str(row)[:40]!r}; expected an object with video, identity, prompt")
    for name in ("video", "prompt", "identity", "method", "seed"):
        if isinstance(row.get(name), list | Mapping):
            raise VideoError(f"{where} has {str(row[name])[:40]!r} as its {name}; expected a text or a number")
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
