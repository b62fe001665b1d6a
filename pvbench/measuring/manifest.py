"""Videos that a manifest lists, one a line; a manifest of what a folder shows, to be corrected."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from pvbench.atomic import write_text
from pvbench.errors import IdentityError, PromptError, StoreError, VideoError, did_you_mean, readable
from pvbench.identity import Identity
from pvbench.measuring.consisid_bench import COLUMNS, rows_of_consisid
from pvbench.measuring.imported import Found, Given, ImportedVideo, People, Problem, prompt_of, slug
from pvbench.measuring.table import PICTURES, TABLE_SUFFIXES, further_sheets, guessed_encoding, read_rows
from pvbench.prompt import Prompt
from pvbench.video import VIDEO_SUFFIXES

MANIFEST_SUFFIXES = TABLE_SUFFIXES
MANIFEST_FIELDS = ("video", "identity", "prompt", "method", "seed")
_SAME = {
    "video": ("file", "filename", "file_name", "path", "filepath", "file_path", "video_path", "videopath"),
    "identity": ("person", "subject", PICTURES),
    "prompt": ("caption", "text", "prompt_en"),
    "method": ("model",),
}
"""What other tables call these fields."""
_LONGEST_SEED = 18


def read_manifest(
    path: Path,
    people: People,
    prompts: Sequence[Prompt],
    given: Given,
    label: str,
    root: Path | None = None,
) -> Found:
    """The videos of a manifest's lines, in their order, and what is wrong with lines that cannot be used.

    Args:
        root: the folder that paths may not leave; the manifest's own by default.

    Raises:
        VideoError: the manifest cannot be read, lacks the field video, or lists no videos.
    """
    found = Found()
    by_id = {prompt.id: prompt for prompt in prompts}
    places = _Places(path.parent.resolve(), (root or path.parent).resolve())
    unread: dict[str, None] = {}
    for number, row in _rows(path):
        where = f"{readable(path)} line {number}"
        fields = _fields(row, where)
        unread |= dict.fromkeys(name for name in row if name and fields.get(_field(name)) != row[name])
        for of_one in _by_method(fields, path.parent):
            try:
                found.videos.append(_video(of_one, where, places, people, by_id, given, label))
            except (IdentityError, PromptError, VideoError) as error:
                found.problems.append(Problem(where, str(error)))
    if not found.videos and not found.problems:
        raise VideoError(f"{path} lists no videos; expected a line for each with {', '.join(MANIFEST_FIELDS[:3])}")
    found.notes += filter(None, (guessed_encoding(path), further_sheets(path)))
    if unread:
        found.notes.append(f"{readable(path)}: not read, as no fields of a manifest: {', '.join(unread)}")
    return found


def _by_method(fields: Mapping[str, str], start: Path) -> list[Mapping[str, str]]:
    """The fields of one video, or of one in each folder below the manifest's that has it, which names the method then.

    So a table of prompts, such as OpenS2V's, serves the folders of several methods at once.
    """
    name = fields["video"]
    if fields.get("method") or not name or {"/", "\\", "\0"} & set(name) or _there(start, name):
        return [fields]
    inner = sorted(path for path in start.iterdir() if path.is_dir() and not path.name.startswith("."))
    having: list[Mapping[str, str]] = [
        {**fields, "video": f"{one.name}/{name}", "method": one.name} for one in inner if _there(one, name)
    ]
    return having or [fields]


def _there(folder: Path, name: str) -> bool:
    """Whether a folder has a video of that name, with its suffix or without."""
    return any(os.path.lexists(folder / f"{name}{suffix}") for suffix in ("", *VIDEO_SUFFIXES))


def _rows(path: Path) -> Iterable[tuple[int, Mapping[str, str]]]:
    """A table's rows; those of ConsisID's table of prompts are the videos that were made of them."""
    rows = dict(read_rows(path))
    if rows and set(next(iter(rows.values()))) >= COLUMNS:
        return rows_of_consisid(path, rows)
    return rows.items()


def _field(name: str) -> str:
    """The field that a column's name means; the name in small letters where it means none."""
    plain = name.strip().lower().replace(" ", "_")
    return next((field for field, others in _SAME.items() if plain in others), plain)


def _fields(row: Mapping[str, str], where: str) -> dict[str, str]:
    """The values of the fields that a manifest has; a column of a field's own name goes before one that means it."""
    found: dict[str, str] = {}
    for name, value in row.items():
        field = _field(name)
        if field in MANIFEST_FIELDS and (field not in found or name.strip().lower() == field):
            found[field] = value
    for name in row:
        near = did_you_mean(name, set(MANIFEST_FIELDS) - set(found))
        if near and _field(name) not in MANIFEST_FIELDS:
            raise VideoError(f"{where} has the field {name!r}{near}; known: {', '.join(MANIFEST_FIELDS)}")
    if "video" not in found:
        raise VideoError(
            f"{where} lacks the field video; it has {', '.join(filter(None, row)) or 'none'}; known: "
            f"{', '.join(MANIFEST_FIELDS)}"
        )
    return found


def _video(
    fields: Mapping[str, str],
    where: str,
    places: _Places,
    people: People,
    by_id: Mapping[str, Prompt],
    given: Given,
    label: str,
) -> ImportedVideo:
    if not fields["video"]:
        raise VideoError("names no video; give its path from the manifest's folder")
    video = places.video(fields["video"])
    asked = given.prompt or fields.get("prompt", "")
    prompt_id, text = prompt_of(asked, by_id) if asked else (slug(readable(video.stem)), "")
    named = fields.get("identity", "")
    identity = people.find(given.identity) if given.identity else _person(places, named, people)
    method = given.method or fields.get("method", "") or label
    return ImportedVideo(video, method, identity, prompt_id, text, _seed(fields.get("seed", "")), where)


def _seed(text: str) -> int:
    """A seed as tables have it: pandas and spreadsheets make 3.0 of 3, or 3,0, where another line has none."""
    whole, _, zeros = (text if text.lower() not in ("", "nan", "none") else "0").replace(",", ".").partition(".")
    if not whole.isdecimal() or len(whole) > _LONGEST_SEED or zeros.strip("0"):
        raise VideoError(f"seed is {text[:40]!r}; expected a whole number from 0, of {_LONGEST_SEED} digits at most")
    return int(whole)


class _Places:
    """Where a manifest's paths start, and what they may not leave."""

    def __init__(self, start: Path, root: Path) -> None:
        self._start, self._root = start, root

    def inside(self, field: str, name: str) -> Path:
        """A manifest's path, refused where it leaves the root."""
        try:
            path = (self._start / name).resolve()
            if not path.exists() and "\\" in name:
                path = (self._start / name.replace("\\", "/")).resolve()
        except (OSError, ValueError) as error:
            raise VideoError(
                f"{field} {name[:60]!r} is not a path that can be looked up ({error}); fix the line"
            ) from error
        if not path.is_relative_to(self._root):
            inside = "the manifest's folder" if self._root == self._start else str(self._root)
            raise VideoError(
                f"{field} {name!r} lies outside of {inside}; put the manifest above what it names, or allow "
                f"it with --root FOLDER, a folder above both"
            )
        return path

    def video(self, name: str) -> Path:
        """The path of a video, which may be named without its suffix."""
        path = self.inside("video", name)
        if not path.exists() and path.suffix.lower() not in VIDEO_SUFFIXES:
            named = [path.with_name(path.name + suffix) for suffix in VIDEO_SUFFIXES]
            return next((one for one in named if one.is_file()), path)
        return path


def _person(places: _Places, name: str, people: People) -> Identity | None:
    """The identity of a manifest's line: a known one, or one in a folder below the manifest's."""
    if not name:
        return None
    return people.find(str(places.inside("identity", name))) if {"/", "\\"} & set(name) else people.find(name)


def _named(person: Identity, start: Path) -> str:
    """What a list calls a person: a folder from there on, or, where it lies elsewhere, the name."""
    folder = person.folder.absolute()
    if not folder.is_relative_to(start):
        return person.name
    inner = folder.relative_to(start).as_posix()
    return inner if "/" in inner else f"./{inner}"


def write_manifest(path: Path, videos: Sequence[ImportedVideo], unread: Sequence[Path] = ()) -> list[Problem]:
    """`path` lists videos and what is known of each, to be corrected and measured; what cannot be listed comes out.

    A person whose folder lies below the list's is named by that folder, so that the list is enough.

    Args:
        unread: videos of which nothing is known: they have a line with their path alone.

    Raises:
        StoreError: it cannot be written, or is there already: somebody may have corrected it.
    """
    if path.exists():
        raise StoreError(f"{path} is there already, and may hold corrections; delete it, or give the list another name")
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(MANIFEST_FIELDS)
    known = {video.path: video for video in videos}
    problems = []
    for file in sorted([*known, *unread]):
        where, video = os.path.relpath(file.absolute(), path.parent.absolute()), known.get(file)
        if readable(where) != where:
            problems.append(Problem(readable(file), "its name is no UTF-8, as a list's texts are: rename it"))
        elif video is None:
            writer.writerow((where, "", "", "", ""))
        else:
            person = _named(video.identity, path.parent.absolute()) if video.identity else ""
            writer.writerow((where, person, video.text or "", video.method, video.seed))
    # Spreadsheets take UTF-8 for what it is where a mark says so.
    write_text(path, "\ufeff" + text.getvalue())
    return problems
