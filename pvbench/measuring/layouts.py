"""Which videos there are and what each shows: read from folders, from file names, or from a manifest."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from pvbench.errors import IdentityError, PromptError, VideoError, did_you_mean
from pvbench.identity import CARD, NOBODY, Identity, list_identities, load_identities
from pvbench.prompt import PERSON, Prompt
from pvbench.video import PICTURE_SUFFIXES

VIDEO_SUFFIXES = (".mp4", ".mkv", ".webm", ".gif", ".mov", ".avi")
MANIFEST_SUFFIXES = (".csv", ".jsonl")
MANIFEST_FIELDS = ("video", "identity", "prompt", "method", "seed")
_REPORT = "aggregates.json"

# What `pvbench run` appends to a prompt's id: seed and part of the cell's key. Others append a number alone.
_SEED = re.compile(r"(?P<prompt>.+?)-s?(?P<seed>\d+)(?:-[0-9a-f]{12})?")
_WORD_AND_INDEX = re.compile(r"[a-z]{3,}-\d{1,3}")
_WORDS_FOR_FILES = (
    "clip",
    "film",
    "frame",
    "frames",
    "gen",
    "generated",
    "img",
    "movie",
    "out",
    "output",
    "result",
    "sample",
    "samples",
    "seed",
    "test",
    "vid",
    "video",
    "videos",
)
"""What files are called, whatever they show."""
_LONGEST_SLUG = 48
_LONGEST_SEED = 18


@dataclass(frozen=True)
class ImportedVideo:
    """One video and what it shows, as far as that is known.

    Attributes:
        path: the video file, or the folder that holds its frames as pictures.
        identity: who it shows; None where nobody says.
        prompt_id: the prompt's id, or one made from its text or from the file's name.
        text: what was asked for, with `<V>` or without; empty where nobody says.
        source: where all this comes from, for messages.
    """

    path: Path
    method: str
    identity: Identity | None
    prompt_id: str
    text: str
    seed: int
    source: str

    @property
    def rendered_text(self) -> str:
        """The text that CLIP compares with: `<V>` is the person's class noun, or "person" where nobody is known."""
        return render_text(self.prompt_id, self.text, self.identity.class_noun if self.identity else None)


def render_text(prompt_id: str, text: str, class_noun: str | None) -> str:
    """The text with a class noun in the place of `<V>`; a text without `<V>` as it is."""
    if PERSON not in text:
        return text
    if class_noun is None:
        return text.replace(PERSON, "person")
    return Prompt(prompt_id, text).render(class_noun)


@dataclass(frozen=True)
class Problem:
    """Something that keeps a video, or a line of a manifest, from being measured as asked."""

    where: str
    what: str


@dataclass
class Found:
    """What a source holds."""

    videos: list[ImportedVideo] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


class People:
    """Identities by name, each loaded once: those that pvbench ships, or those below a folder of the user's."""

    def __init__(self, root: Path | None = None) -> None:
        self.names = list_identities(root)
        """What identities are called here."""
        if not self.names:
            raise IdentityError(
                f"no identities in {root}; expected folders that each hold a {CARD} and reference images"
            )
        self._root = root
        self._loaded: dict[str, Identity] = {}

    def find(self, name: str) -> Identity:
        """The identity of that name, or in the folder that a name with a slash gives.

        Raises:
            IdentityError: there is none, or it cannot be used.
        """
        if name not in self._loaded:
            (self._loaded[name],) = load_identities([name], self._root)
        return self._loaded[name]


@dataclass(frozen=True)
class Given:
    """What the command line says of every video: it goes before what folders and names say."""

    identity: str = ""
    prompt: str = ""
    method: str = ""


def find_videos(
    source: Path,
    people: People,
    prompts: Sequence[Prompt],
    given: Given | None = None,
    label: str = "",
    besides: Collection[Path] = (),
) -> Found:
    """The videos of a folder or a manifest, in the order of their paths or lines.

    A folder is read as `METHOD/IDENTITY/PROMPT[-SEED].mp4`, `IDENTITY/PROMPT[-SEED].mp4` or `PROMPT-INDEX.mp4` (as
    VBench names videos). PROMPT is the id of one of `prompts`, or a text, which has spaces or, in the last form, is a
    word in small letters. A folder above a video that is no identity is a method. A manifest (`.csv` or `.jsonl`) has
    the fields video, identity, prompt and, if wanted, method and seed; its paths start from its folder and stay in it.

    Args:
        label: the method of videos for which nothing else names one; the source's own name by default.
        besides: folders that hold no videos to be measured.

    Raises:
        VideoError: there is no such folder or manifest, or it holds no video.
    """
    try:
        source.exists()
    except OSError as error:
        raise VideoError(f"{source.name[:60]!r} cannot be looked up ({error.strerror}); check the path") from error
    given, label = given or Given(), label or labels_of([source])[0]
    if source.suffix.lower() in MANIFEST_SUFFIXES and not source.is_dir():
        found = _read_manifest(source, people, prompts, given, label)
    elif source.is_dir():
        # Of a folder that `pvbench run` made, the videos alone.
        inner = source / "videos" if (source / "plan.json").is_file() else source
        found = _read_folder(inner, people, prompts, given, label, besides)
    else:
        raise VideoError(
            f"{source} is neither a folder with videos nor a manifest ({' or '.join(MANIFEST_SUFFIXES)}); "
            f"check the path"
        )
    return refuse_twins(found)


def _name(source: Path) -> str:
    """A folder's name as it is, a manifest's without its suffix."""
    whole = source.resolve()
    return whole.stem if whole.suffix.lower() in MANIFEST_SUFFIXES and not whole.is_dir() else whole.name


def labels_of(sources: Sequence[Path]) -> tuple[str, ...]:
    """What to call each source: its name, with as many folders above it as tell it from the others."""
    parts = [(*source.resolve().parts[1:-1], _name(source)) for source in sources]
    return tuple(
        next(
            "/".join(own[-depth:])
            for depth in range(1, len(own) + 1)
            if depth == len(own) or sum(other[-depth:] == own[-depth:] for other in parts) == 1
        )
        for own in parts
    )


def _read_folder(
    folder: Path, people: People, prompts: Sequence[Prompt], given: Given, label: str, besides: Collection[Path]
) -> Found:
    found = Found()
    by_id = {prompt.id: prompt for prompt in prompts}
    for path in videos_below(folder, besides):
        folders = path.relative_to(folder).parts[:-1]
        try:
            method, identity = _folders_say(folders, label, people, given)
            stem = path.name if path.is_dir() else path.stem
            prompt_id, text, seed = _name_says(stem, by_id, given, flat=not folders)
        except (IdentityError, PromptError) as error:
            found.problems.append(Problem(str(path), str(error)))
            continue
        found.videos.append(ImportedVideo(path, method, identity, prompt_id, text, seed, str(path)))
    if not found.videos and not found.problems:
        raise VideoError(
            f"no videos in {folder}; expected files ending in {', '.join(VIDEO_SUFFIXES)}, or folders "
            f"that hold frames as pictures"
        )
    return found


def videos_below(folder: Path, besides: Collection[Path] = ()) -> list[Path]:
    """Whatever is named as a video is, and folders whose pictures are a video's frames; links are followed.

    Links to nowhere and folders that cannot be read are among them, so that reading them says what is wrong.

    Args:
        besides: folders that are not looked into; a report's is not either, whose pictures are filmstrips.
    """
    return sorted(_videos_in(folder, (), {path.resolve() for path in besides}))


def _videos_in(folder: Path, above: tuple[Path, ...], besides: Collection[Path]) -> Iterator[Path]:
    """The videos below a folder; `above` are the folders that it lies in, into which a link may lead back."""
    true = folder.resolve()
    if true in above or true in besides or (folder / _REPORT).is_file():
        return
    try:
        items = [item for item in folder.iterdir() if not item.name.startswith(".")]
    except OSError:
        yield folder
        return
    for item in items:
        if not item.is_dir():
            if item.suffix.lower() in VIDEO_SUFFIXES:
                yield item
        elif _is_one_video(item):
            yield item
        else:
            yield from _videos_in(item, (*above, true), besides)


def _is_one_video(folder: Path) -> bool:
    """Whether a folder holds pictures, or is named as a video is, and has neither videos nor folders in it."""
    try:
        items = [item for item in folder.iterdir() if not item.name.startswith(".")]
    except OSError:
        return True
    if (folder / CARD).is_file() or any(item.is_dir() or item.suffix.lower() in VIDEO_SUFFIXES for item in items):
        return False
    return folder.suffix.lower() in VIDEO_SUFFIXES or any(item.suffix.lower() in PICTURE_SUFFIXES for item in items)


def _folders_say(folders: Sequence[str], label: str, people: People, given: Given) -> tuple[str, Identity | None]:
    """The method and the identity that the folders above a video name."""
    inner = folders[-1] if folders else ""
    is_person = inner in people.names
    if given.identity:
        identity: Identity | None = people.find(given.identity)
    elif is_person:
        identity = people.find(inner)
    else:
        identity = None
        if len(folders) > 1:
            raise IdentityError(
                f"its folder {inner!r} is no identity{did_you_mean(inner, people.names)}; expected "
                f"METHOD/IDENTITY/PROMPT, or say who the videos show with --identity"
            )
    outer = folders[:-1] if is_person else folders
    method = given.method or "/".join(outer) or label
    return method, identity


def _name_says(stem: str, by_id: Mapping[str, Prompt], given: Given, *, flat: bool) -> tuple[str, str, int]:
    """Prompt id, text and seed that a file's name says.

    A single word is a text where it stands as VBench's do: beside others (`flat`), with an index, in small letters.
    """
    if given.prompt:
        matched = _SEED.fullmatch(stem)
        return (*_prompt_of(given.prompt, by_id), int(matched["seed"]) if matched else 0)
    if stem in by_id:
        return stem, by_id[stem].text, 0
    matched = _SEED.fullmatch(stem)
    name, seed = (matched["prompt"], int(matched["seed"])) if matched else (stem, 0)
    if name in by_id:
        return name, by_id[name].text, seed
    if " " in name.strip():
        return slug(name), name.strip(), seed
    near = did_you_mean(name, by_id)
    if flat and not near and _WORD_AND_INDEX.fullmatch(stem) and name not in _WORDS_FOR_FILES:
        return slug(name), name, seed
    if near:
        raise PromptError(
            f"its name {stem!r} begins with no prompt's id{near}; mend it, or say what the videos show with --prompt"
        )
    # A name that says nothing: fine for the metrics that need no prompt.
    return slug(stem), "", 0


def _prompt_of(asked: str, by_id: Mapping[str, Prompt]) -> tuple[str, str]:
    """Id and text of a prompt given as either."""
    if asked in by_id:
        return asked, by_id[asked].text
    if PERSON in asked:
        return slug(asked), Prompt("given", asked).text
    if " " in asked.strip():
        return slug(asked), asked.strip()
    raise PromptError(
        f"unknown prompt {asked!r}{did_you_mean(asked, by_id)}; give the id of a prompt of the profile, "
        f"or a text of several words"
    )


def slug(text: str) -> str:
    """An id made of a text: its letters and digits and, where that loses something, a few digits of its digest."""
    plain = re.sub(r"[^A-Za-z0-9]+", "-", text.replace(PERSON, "V")).strip("-").lower()[:_LONGEST_SLUG].strip("-")
    return plain if plain == text else f"{plain or 'video'}-{sha256(text.encode()).hexdigest()[:6]}"


def _read_manifest(path: Path, people: People, prompts: Sequence[Prompt], given: Given, label: str) -> Found:
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
            prompt_id, text = _prompt_of(asked, by_id) if asked else (slug(video.stem), "")
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


def refuse_twins(found: Found, advice: str = "give one of them another seed") -> Found:
    """The same with problems for videos that stand for a cell which another has taken, and what to do about it."""
    taken: dict[tuple[str, str, str, int], ImportedVideo] = {}
    kept, problems = [], []
    for video in found.videos:
        cell = (video.method, video.identity.name if video.identity else NOBODY, video.prompt_id, video.seed)
        if cell in taken:
            problems.append(
                Problem(
                    video.source,
                    f"stands for the same method, identity, prompt and seed as {taken[cell].source}; {advice}",
                )
            )
            continue
        taken[cell] = video
        kept.append(video)
    return Found(kept, found.problems + problems)
