"""Videos from elsewhere: what each shows, and what keeps one from being measured."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path

from pvbench.errors import IdentityError, PromptError, counted, did_you_mean, readable
from pvbench.identity import NOBODY, Identity, is_identity, list_identities, load_identities, load_identity
from pvbench.prompt import PERSON, Prompt

_LONGEST_SLUG = 48
_ID = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True)
class ImportedVideo:
    """One video and what it shows, as far as that is known.

    Attributes:
        path: the video file, or the folder that holds its frames as pictures.
        identity: who it shows; None where nothing says.
        prompt_id: the prompt's id, or one made from its text or from the file's name.
        text: what was asked for, with `<V>` or without; empty where nothing says.
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
        """The text that CLIP compares with: `<V>` is the person's class noun, or "person" where it is not known."""
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
    """Something that keeps a video, or a line of a manifest, from being measured as asked.

    Attributes:
        stops: whether nothing is computed before it is fixed, or allowed; else it is listed alone.
    """

    where: str
    what: str
    stops: bool = True


@dataclass
class Found:
    """What a source holds.

    Attributes:
        notes: sentences on what else there is.
        unread: files of which it is not known what they show, or which stand for what another stands for.
    """

    videos: list[ImportedVideo] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    unread: list[Path] = field(default_factory=list)


SHIPPED = "shipped"
"""What `--identities` calls the people that pvbench ships."""


class People:
    """Identities by name, each loaded once: those below a folder of the user's, or those that pvbench ships.

    Args:
        root: a folder of folders, that of one person's photos, or a single photo.
        shipped: whether the people that pvbench ships are meant where there is no root. They are rendered: somebody of
            the user's own may have the name of one.
    """

    def __init__(self, root: Path | None = None, *, shipped: bool = True) -> None:
        # A name that is no UTF-8 is known as it is shown.
        self._folders = {readable(name): name for name in (list_identities(root) if shipped or root else ())}
        self.names: tuple[str, ...] = tuple(self._folders)
        """What identities are called here."""
        self._loaded: dict[str, Identity] = {}
        if root is not None and root.is_file() and is_identity(root):
            alone = load_identity(root)
            self.names, self._loaded = (alone.name,), {alone.name: alone}
        elif root is not None and is_identity(root):
            own, root = root.resolve().name, root.resolve().parent
            self.names, self._folders = (readable(own),), {readable(own): own}
        if not self.names and (root or shipped):
            raise IdentityError(
                f"no identities in {root}; expected a folder of photos for each person, as in {root}/ada/1.jpg"
            )
        self._root = root

    def find(self, name: str) -> Identity:
        """The identity of that name, or in the folder that is given.

        Raises:
            IdentityError: there is none, or it cannot be used.
        """
        if name not in self._loaded:
            self._loaded[name] = self._load(name)
        return self._loaded[name]

    def _load(self, name: str) -> Identity:
        if "/" in name or (self._root is None and is_identity(Path(name))):
            return load_identity(Path(name))
        if not self.names:
            raise IdentityError(
                f"nothing says who {name!r} is; give the folder with the photos of each person with --identities, or "
                f"one person's with --identity"
            )
        return load_identities([self._folders.get(name, name)], self._root)[0]


@dataclass(frozen=True)
class Given:
    """What the command line says of every video: it goes before what folders and names say."""

    identity: str = ""
    prompt: str = ""
    method: str = ""


def prompt_of(asked: str, by_id: Mapping[str, Prompt]) -> tuple[str, str]:
    """Id and text of a prompt given as either.

    Raises:
        PromptError: it is nearly an id of these prompts.
    """
    if asked in by_id:
        return asked, by_id[asked].text
    if PERSON in asked:
        return slug(asked), Prompt("given", asked).text
    near = did_you_mean(asked, by_id)
    if near and _ID.fullmatch(asked):
        raise PromptError(
            f"unknown prompt {asked!r}{near}; give the id of a prompt of the profile, or, if this is a text, say it in "
            f"other words"
        )
    return slug(asked), asked.strip()


def slug(text: str) -> str:
    """An id made of a text: its letters and digits and, where that loses something, a few digits of its digest."""
    plain = re.sub(r"[^A-Za-z0-9]+", "-", text.replace(PERSON, "V")).strip("-").lower()[:_LONGEST_SLUG].strip("-")
    return plain if plain == text else f"{plain or 'video'}-{sha256(text.encode()).hexdigest()[:6]}"


def with_seeds_by_order(found: Found) -> Found:
    """The same, where several files of one method, identity and prompt say no seeds that tell them apart.

    Their seeds are counted in the order of the files, and a note says so.
    """
    groups: dict[tuple[str, str, str], list[ImportedVideo]] = {}
    for video in found.videos:
        groups.setdefault((video.method, name_of(video), video.prompt_id), []).append(video)
    new: dict[ImportedVideo, int] = {}
    for group in groups.values():
        seeds, paths = {video.seed for video in group}, {video.path for video in group}
        if len(seeds) < len(paths) == len(group):
            new |= {video: seed for seed, video in enumerate(group)}
    if not new:
        return found
    videos = [replace(video, seed=new.get(video, video.seed)) for video in found.videos]
    first = readable(next(iter(new)).path.name)
    note = f"{counted(len(new), 'video')} of one prompt ({first} ...): their seeds are counted in their order"
    return Found(videos, found.problems, [*found.notes, note])


def name_of(video: ImportedVideo) -> str:
    """Whom a video shows, as reports have it."""
    return video.identity.name if video.identity else NOBODY


def refuse_twins(found: Found, advice: str = "give one of them another seed") -> Found:
    """The same with problems for videos that stand for a cell which another has taken, and what to do about it."""
    taken: dict[tuple[str, str, str, int], ImportedVideo] = {}
    kept, problems, unread = [], [], list(found.unread)
    for video in found.videos:
        cell = (video.method, name_of(video), video.prompt_id, video.seed)
        if cell in taken:
            problems.append(
                Problem(
                    video.source,
                    f"stands for the same method, identity, prompt and seed as {taken[cell].source}; {advice}",
                )
            )
            unread.append(video.path)
            continue
        taken[cell] = video
        kept.append(video)
    return Found(kept, found.problems + problems, found.notes, unread)
