"""Which videos a folder or a manifest holds, and what folders and file names say of each."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from pvbench.errors import IdentityError, PromptError, VideoError, counted, did_you_mean, readable
from pvbench.identity import Identity, list_identities
from pvbench.measuring.imported import (
    SHIPPED,
    Found,
    Given,
    ImportedVideo,
    People,
    Problem,
    refuse_twins,
    with_seeds_by_order,
)
from pvbench.measuring.ipvg import text_beside
from pvbench.measuring.manifest import MANIFEST_SUFFIXES, read_manifest
from pvbench.measuring.names import name_says, split_seed
from pvbench.measuring.tree import is_one_video, look_below
from pvbench.prompt import Prompt
from pvbench.video import VIDEO_SUFFIXES, is_video_file

_NAMED = 5
"""So many kinds of files that are passed over are named."""
_BESIDE_VIDEOS = (
    *(".cfg", ".csv", ".db", ".html", ".ini", ".json", ".jsonl", ".log", ".md", ".npy", ".npz", ".pt", ".pth", ".py"),
    *(".safetensors", ".sh", ".tex", ".toml", ".tsv", ".txt", ".xlsx", ".yaml", ".yml"),
)
"""Of files that lie beside videos and are taken for none by anybody."""


def find_videos(
    source: Path,
    people: People,
    prompts: Sequence[Prompt],
    given: Given | None = None,
    label: str = "",
    besides: Collection[Path] = (),
    root: Path | None = None,
) -> Found:
    """The videos of a folder or a manifest, in the order of their paths or lines.

    A folder is read as `METHOD/IDENTITY/PROMPT[-SEED].mp4`, `IDENTITY/PROMPT[-SEED].mp4` or `PROMPT-INDEX.mp4` (as
    VBench names videos). PROMPT is the id of one of `prompts`, or a text, which has spaces or, with an index, is a word
    in small letters; `prompt1`, `prompt2` and so on are texts beside the person's photos, where they lie there (as
    the IPVG challenge has them). A folder above a video that is not an identity is a method. A manifest (a table) has
    the fields video, identity, prompt and, if wanted, method and seed; its paths start from its folder and stay in it.
    A single video is read as one in a folder, where that is named after a person.

    Args:
        label: the method of videos for which nothing else names one; the source's own name by default.
        besides: folders that hold no videos to be measured.
        root: the folder that a manifest's paths may not leave; its own by default.

    Raises:
        VideoError: there is no such folder or manifest, or it holds no video.
    """
    try:
        source.exists()
    except OSError as error:
        raise VideoError(f"{source.name[:60]!r} cannot be looked up ({error.strerror}); check the path") from error
    given, label = given or Given(), readable(label or labels_of([source])[0])
    by_id = {prompt.id: prompt for prompt in prompts}
    if source.suffix.lower() in MANIFEST_SUFFIXES and not source.is_dir():
        found = read_manifest(source, people, prompts, given, label, root)
    elif is_single(source):
        found = Found()
        _add(found, source, _folders_of(source, people), label, people, by_id, given)
    elif source.is_dir():
        # Of a folder that `pvbench run` made, the videos alone.
        inner = source / "videos" if (source / "plan.json").is_file() else source
        found = _read_folder(inner, people, by_id, given, label, besides)
    else:
        raise VideoError(
            f"{source} is neither a folder with videos nor a manifest ({', '.join(MANIFEST_SUFFIXES)}), and no video; "
            f"check the path"
        )
    return refuse_twins(with_seeds_by_order(found) if given.prompt else found)


def is_single(source: Path) -> bool:
    """Whether a source is one video: a file, or a folder of its frames."""
    return is_one_video(source) if source.is_dir() else source.exists() and is_video_file(source)


def _folders_of(source: Path, people: People) -> tuple[str, ...]:
    """The folder above a single video, where it is named after a person."""
    above = source.absolute().parent.name
    return (above,) if above in people.names else ()


def _home(source: Path) -> Path:
    """A folder, a manifest without its suffix, or the folder in which a single video lies."""
    whole = source.resolve()
    if is_single(source):
        return source.absolute().parent.resolve()
    return whole.with_suffix("") if whole.suffix.lower() in MANIFEST_SUFFIXES and not whole.is_dir() else whole


def labels_of(sources: Sequence[Path]) -> tuple[str, ...]:
    """What to call each source: its name, with as many folders above it as tell it from the others.

    Single videos of one folder have its name.
    """
    singles = {_home(source) for source in sources if is_single(source)}
    parts = [_home(source).parts[1:] for source in sources if not is_single(source)]
    parts += [home.parts[1:] for home in singles]
    return tuple(
        next(
            "/".join(own[-depth:])
            for depth in range(1, len(own) + 1)
            if depth == len(own) or sum(other[-depth:] == own[-depth:] for other in parts) == 1
        )
        for own in (_home(source).parts[1:] for source in sources)
    )


def _read_folder(
    folder: Path, people: People, by_id: Mapping[str, Prompt], given: Given, label: str, besides: Collection[Path]
) -> Found:
    below, found = look_below(folder, besides), Found()
    above = {path: path.relative_to(folder).parts[:-1] for path in below.videos}
    # Beside people's folders another one is that of somebody who is not known.
    among_people = not given.identity and any(len(of) == 1 and readable(of[0]) in people.names for of in above.values())
    for path, folders in above.items():
        if among_people and len(folders) == 1 and readable(folders[0]) not in people.names:
            inner = readable(folders[0])
            found.problems.append(Problem(readable(path), _no_identity(inner, people, "IDENTITY/PROMPT")))
            found.unread.append(path)
            continue
        _add(found, path, folders, label, people, by_id, given)
    if not below.videos:
        raise VideoError(
            f"no videos in {folder}{_holds(below.others)}; expected files ending in {', '.join(VIDEO_SUFFIXES)}, "
            f"moving WebP, PNG or AVIF, or folders that hold frames as pictures"
        )
    found.notes += _namesakes(folder, below.videos, people)
    unread = [path for path in below.others if path.suffix.lower() not in _BESIDE_VIDEOS]
    if unread:
        found.notes.append(
            f"in {readable(folder)}, {counted(len(unread), 'file')} passed over as no video:{_kinds(unread)}"
        )
    return found


def _namesakes(folder: Path, videos: Sequence[Path], people: People) -> list[str]:
    """A sentence on folders that have the names of people whom pvbench ships, and who are not meant."""
    if people.names:
        return []
    above = {name for path in videos for name in path.relative_to(folder).parts[:-1]}
    names = sorted(above & set(list_identities()))
    if not names:
        return []
    return [
        f"pvbench ships rendered people named {', '.join(names)}: the folders of these names are not taken for them; "
        f"give photos with --identities FOLDER, or say --identities {SHIPPED} if these people are meant"
    ]


def _holds(files: Sequence[Path]) -> str:
    return f", which holds{_kinds(files)}" if files else ""


def _kinds(files: Sequence[Path]) -> str:
    """How many files there are of each kind, with the name of one."""
    kinds: dict[str, list[str]] = {}
    for path in files:
        kinds.setdefault(path.suffix.lower(), []).append(readable(path.name))
    most = sorted(kinds.items(), key=lambda one: -len(one[1]))[:_NAMED]
    return "".join(f" {len(names)} {kind or 'without a suffix'} ({names[0]})" for kind, names in most)


def _add(
    found: Found,
    path: Path,
    folders: Sequence[str],
    label: str,
    people: People,
    by_id: Mapping[str, Prompt],
    given: Given,
) -> None:
    """One more video, or what is wrong with its name."""
    source, stem = readable(path), readable(path.name if path.is_dir() else path.stem)
    try:
        method, identity = _folders_say([readable(name) for name in folders], label, people, given)
        name, seed = split_seed(stem)
        beside = text_beside(identity, name) if identity and not given.prompt else None
        prompt_id, text, seed = (*beside, seed) if beside else name_says(stem, by_id, given)
    except (IdentityError, PromptError) as error:
        found.problems.append(Problem(source, str(error)))
        found.unread.append(path)
        return
    found.videos.append(ImportedVideo(path, method, identity, prompt_id, text, seed, source))


def _no_identity(inner: str, people: People, expected: str) -> str:
    return (
        f"its folder {inner!r} is not an identity{did_you_mean(inner, people.names)}; expected {expected}, or say who "
        f"the videos show with --identity"
    )


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
            raise IdentityError(_no_identity(inner, people, "METHOD/IDENTITY/PROMPT"))
    outer = folders[:-1] if is_person else folders
    method = given.method or "/".join(outer) or label
    return method, identity
