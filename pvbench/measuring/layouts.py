"""Which videos a folder or a manifest holds, and what folders and file names say of each."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from pvbench.errors import IdentityError, PromptError, VideoError, did_you_mean
from pvbench.identity import CARD, Identity
from pvbench.measuring.imported import Found, Given, ImportedVideo, People, Problem, prompt_of, refuse_twins, slug
from pvbench.measuring.manifest import MANIFEST_SUFFIXES, read_manifest
from pvbench.prompt import Prompt
from pvbench.video import PICTURE_SUFFIXES

VIDEO_SUFFIXES = (".mp4", ".mkv", ".webm", ".gif", ".mov", ".avi")
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
        found = read_manifest(source, people, prompts, given, label)
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
        return (*prompt_of(given.prompt, by_id), int(matched["seed"]) if matched else 0)
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
