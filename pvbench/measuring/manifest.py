"""Videos that a manifest lists, one a line."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pvbench.errors import IdentityError, PromptError, VideoError, did_you_mean
from pvbench.identity import Identity
from pvbench.measuring.imported import Found, Given, ImportedVideo, People, Problem, prompt_of, slug
from pvbench.prompt import Prompt

MANIFEST_SUFFIXES = (".csv", ".jsonl")
MANIFEST_FIELDS = ("video", "identity", "prompt", "method", "seed")
_LONGEST_SEED = 18


def read_manifest(path: Path, people: People, prompts: Sequence[Prompt], given: Given, label: str) -> Found:
    """The videos of a manifest's lines, in their order, and what is wrong with lines that cannot be used.

    Raises:
        VideoError: the manifest cannot be read, has other fields, or lists no videos.
    """
    found = Found()
    by_id = {prompt.id: prompt for prompt in prompts}
    root = path.parent.resolve()
    for number, row in _rows(path):
        where = f"{path} line {number}"
        try:
            if not row.get("video"):
                raise VideoError("names no video; give its path from the manifest's folder")
            video = _inside(root, "video", row["video"])
            asked = given.prompt or row.get("prompt", "")
            prompt_id, text = prompt_of(asked, by_id) if asked else (slug(video.stem), "")
            identity = people.find(given.identity) if given.identity else _person(root, row.get("identity", ""), people)
            seed = row.get("seed", "") or "0"
            if not seed.isdecimal() or len(seed) > _LONGEST_SEED:
                raise VideoError(
                    f"seed is {seed[:40]!r}; expected a whole number from 0, of {_LONGEST_SEED} digits at most"
                )
        except (IdentityError, PromptError, VideoError) as error:
            found.problems.append(Problem(where, str(error)))
            continue
        method = given.method or row.get("method", "") or label
        found.videos.append(ImportedVideo(video, method, identity, prompt_id, text, int(seed), where))
    if not found.videos and not found.problems:
        raise VideoError(f"{path} lists no videos; expected a line for each with {', '.join(MANIFEST_FIELDS[:3])}")
    return found


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Lines of a manifest by their numbers, every value a text."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise VideoError(f"{path} cannot be read as UTF-8 text ({error})") from error
    if path.suffix.lower() == ".jsonl":
        # Not at other line ends, which JSON allows within a text.
        for number, line in enumerate(text.split("\n"), start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError as error:
                raise VideoError(f"{path} line {number} is no JSON ({error})") from error
            if not isinstance(row, dict):
                raise VideoError(
                    f"{path} line {number} is {line[:40]!r}; expected an object with {', '.join(MANIFEST_FIELDS[:3])}"
                )
            _check_fields(row, f"{path} line {number}")
            yield number, {name: _plain(value) for name, value in row.items()}
        return
    reader = csv.DictReader(io.StringIO(text, newline=""))
    try:
        _check_fields(reader.fieldnames or (), f"{path} line 1")
        for row in reader:
            if None in row:
                raise VideoError(
                    f"{path} line {reader.line_num} has more fields than its first line names; put a text "
                    f"with commas into double quotes"
                )
            yield reader.line_num, {name: (value or "").strip() for name, value in row.items()}
    except csv.Error as error:
        raise VideoError(
            f"{path} line {reader.line_num} is no CSV ({error}); a double quote is perhaps not closed"
        ) from error


def _plain(value: Any) -> str:
    return "" if value is None else str(value).strip()


def _check_fields(names: Sequence[str] | Mapping[str, Any], where: str) -> None:
    for name in names:
        if name not in MANIFEST_FIELDS:
            raise VideoError(
                f"{where} has the field {name!r}{did_you_mean(name, MANIFEST_FIELDS)}; known: "
                f"{', '.join(MANIFEST_FIELDS)}"
            )
    if "video" not in names:
        raise VideoError(f"{where} lacks the field video; known: {', '.join(MANIFEST_FIELDS)}")


def _inside(root: Path, field: str, name: str) -> Path:
    """A manifest's path, refused where it leaves the manifest's folder."""
    try:
        path = (root / name).resolve()
        path.exists()
    except (OSError, ValueError) as error:
        raise VideoError(f"{field} {name[:60]!r} is no path that can be looked up ({error}); mend the line") from error
    if not path.is_relative_to(root):
        raise VideoError(
            f"{field} {name!r} lies outside of the manifest's folder; put the manifest above what it "
            f"names, or move that below it"
        )
    return path


def _person(root: Path, name: str, people: People) -> Identity | None:
    """The identity of a manifest's line: a known one, or one in a folder below the manifest's."""
    if not name:
        return None
    return people.find(str(_inside(root, "identity", name))) if "/" in name else people.find(name)
