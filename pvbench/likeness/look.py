"""Looking at videos and pictures of a person: features and verdicts."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pvbench.errors import FaceError, PvbenchError, VideoError, WeightsError, counted
from pvbench.evaluator import Evaluators, FeaturePlan, Features
from pvbench.identity import Identity, load_identity
from pvbench.likeness.bands import CALIBRATIONS, FEWEST_PHOTOS, Bands, bands_of, template
from pvbench.likeness.prompts import asked_for
from pvbench.likeness.seen import Seen, see
from pvbench.measuring.tree import look_below
from pvbench.near_copies import is_near_copy
from pvbench.pixels import resize_photo
from pvbench.profile import Profile
from pvbench.video import PICTURE_SUFFIXES, Video, is_video_file, read_picture, read_video

_WANTED = (
    "face/embedding",
    "face/detected",
    "face/count",
    "face/landmarks",
    "reference/face",
    "flow/top5",
    "flow/size",
    "flow/fps",
)
_FOR_PROMPTS = ("clip/frame", "text/clip")

Advanced = Callable[[int, int, str], None]
"""Told how many of how many were looked at, and which one is next."""


@dataclass(frozen=True)
class Likeness:
    """What was found.

    Attributes:
        refused: files that could not be looked at, and why.
        notes: sentences on photos that were left out, on frames with several faces, and on prompts that could not be
            compared, or not as a whole.
        photos: names of the photos that are held against, in the order in which `Seen.copied` counts them.
        left_out: how many photos are not, of which notes say why.
    """

    bands: Bands
    seen: tuple[Seen, ...]
    refused: tuple[tuple[str, str], ...]
    notes: tuple[str, ...] = ()
    photos: tuple[str, ...] = ()
    left_out: int = 0

    @property
    def folders(self) -> tuple[str, ...]:
        """In the order of their names, numbers by value."""
        return tuple(sorted({one.folder for one in self.seen}, key=_by_number))

    def of(self, folder: str) -> list[Seen]:
        """What was seen in a folder."""
        return [one for one in self.seen if one.folder == folder]

    @property
    def prompted(self) -> bool:
        """Whether it is known of any file what was asked for, and how near it comes to that."""
        return any(one.text for one in self.seen)


def look(
    photos: Path,
    sources: Sequence[Path],
    profile: Profile,
    device: str = "cpu",
    strangers: Path | None = None,
    advanced: Advanced = lambda done, total, name: None,
    prompt: str = "",
) -> Likeness:
    """Holds every video and picture of the sources against a person's photos, and against its prompt where it is known.

    Args:
        photos: a folder of the person's photos, with or without a card.
        sources: folders, videos or pictures; every folder that holds some has a row of its own.
        profile: whose evaluators look.
        strangers: a folder of pictures of other people, for what strangers reach.
        prompt: id or text of what all files were asked for; else the names of files that are prompts say it.

    Raises:
        IdentityError: the photos cannot be used.
        PromptError: the prompt is nearly the id of one of the profile's.
        FaceError: fewer than two photos show one face each.
        VideoError: there is nothing to look at.
        WeightsError: an evaluator's weights are missing or damaged.
    """
    person = load_identity(photos)
    things = list(_things(sources))
    if not things:
        raise VideoError(f"no videos and no pictures in {', '.join(map(str, sources))}; name folders that hold some")
    texts = asked_for([path for path, _ in things], profile, person.class_noun, prompt)
    plan = FeaturePlan(profile, frozenset((*_WANTED, *(_FOR_PROMPTS if any(texts) else ()))))
    evaluators = Evaluators(plan, device)
    faces, used, wrong = _photos(evaluators, person)
    left_out = tuple(f"{why}; it is left out" for why in (*person.left_out, *wrong))
    others = [] if strangers is None else list(_strangers(evaluators, strangers, template(faces)))
    bands = bands_of(faces, CALIBRATIONS.get(plan.loaders["face"].name), others)
    of_texts, notes = _texts(evaluators, texts, required=bool(prompt))
    seen, refused, several = [], [], []
    for number, ((path, folder), asked) in enumerate(zip(things, texts, strict=True)):
        advanced(number, len(things), path.name)
        text = asked if asked in of_texts else ""
        try:
            features = {**_features(evaluators, path, prompted=bool(text)), **of_texts.get(text, {})}
            seen.append(see(path.name, folder, features, faces, bands, text))
            if np.any(features.get("face/count", np.zeros(1)) > 1):
                several.append(path.name)
        except PvbenchError as error:
            refused.append((str(path), str(error)))
    advanced(len(things), len(things), "")
    if several:
        notes = (*notes, _several_in_words(several))
    return Likeness(bands, tuple(seen), tuple(refused), (*left_out, *notes), used, len(left_out))


def _several_in_words(names: Sequence[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return (
        f"{counted(len(names), 'file')} with two faces or more in a frame ({', '.join(names[:3])}{more}): one of them "
        f"counts, which may be somebody else's"
    )


def _texts(
    evaluators: Evaluators, texts: Sequence[str], *, required: bool
) -> tuple[Mapping[str, Features], tuple[str, ...]]:
    """Features of each text, and notes; none where CLIP's weights are missing and the prompt was not asked for.

    Raises:
        WeightsError: they are missing, and the prompt is required.
    """
    try:
        found = {text: evaluators.all("text", text) for text in dict.fromkeys(texts) if text}
    except WeightsError as error:
        if required:
            raise
        return {}, (f"names of files are prompts, and how near the videos come to them is not known: {error}",)
    tokens = [made["text/tokens"] for made in found.values() if "text/tokens" in made]
    cut = [most for count, most in tokens if count > most]
    if not cut:
        return found, ()
    return found, (
        f"CLIP reads {cut[0]:.0f} tokens of a prompt: the end of {counted(len(cut), 'prompt')} plays no part",
    )


def _photos(evaluators: Evaluators, person: Identity) -> tuple[np.ndarray, tuple[str, ...], list[str]]:
    """Embeddings of the photos that show one face, their names, and what is wrong with the others."""
    found, used, wrong = [], [], []
    kept: dict[str, np.ndarray] = {}
    for path, photo in zip(person.images, person.references(), strict=True):
        twin = next((name for name, other in kept.items() if is_near_copy(photo, other)), "")
        if twin:
            wrong.append(f"{path} is {twin} once more, or nearly: held against it, it would say nothing")
            continue
        kept[path.name] = photo
        try:
            found.append(evaluators.all("reference", [photo])["reference/face"])
            used.append(path.name)
        except FaceError as error:
            wrong.append(f"{path} {str(error).removeprefix('reference photo 1 of 1 ')}")
    if len(found) < FEWEST_PHOTOS:
        why = "".join(f" {one}." for one in (*person.left_out, *wrong)[:3])
        raise FaceError(
            f"{person.folder}: {len(found)} of {counted(len(person.images) + len(person.left_out), 'photo')} can be "
            f"used; at least two that show one face each are needed, since they are held against one another.{why}"
        )
    return np.concatenate(found).astype(np.float64), tuple(used), wrong


def _strangers(evaluators: Evaluators, folder: Path, own: np.ndarray) -> Iterator[float]:
    pictures = [path for path in sorted(folder.rglob("*")) if path.suffix.lower() in PICTURE_SUFFIXES]
    if not pictures:
        raise FaceError(f"--strangers {folder}: no pictures in it; name a folder of photos of other people")
    for path in pictures:
        features = _features(evaluators, path, prompted=False)
        if features["face/detected"][0] == 1:
            yield float(features["face/embedding"][0] @ own)


def _things(sources: Sequence[Path]) -> Iterator[tuple[Path, str]]:
    """Videos and pictures, and what the folder of each is called."""
    for source, label in zip(sources, _labels(sources), strict=True):
        if not source.exists():
            raise VideoError(f"{source}: there is no such file or folder; check the path")
        if not source.is_dir():
            yield source, label
            continue
        for path in _below(source):
            inner = path.parent.relative_to(source).as_posix()
            yield path, label if inner == "." else f"{label}/{inner}"


def _labels(sources: Sequence[Path]) -> list[str]:
    """What the folder of each source is called: its name, with as many folders above it as tell it from the others."""
    folders = [(source if source.is_dir() else source.parent).absolute() for source in sources]
    found = []
    for own in folders:
        others = [other.parts for other in set(folders) - {own}]
        depths = range(1, len(own.parts))
        depth = next((n for n in depths if all(other[-n:] != own.parts[-n:] for other in others)), len(own.parts) - 1)
        found.append("/".join(own.parts[-depth:]))
    return found


def _below(folder: Path) -> list[Path]:
    """Videos and pictures below a folder; a folder of pictures, a video's frames elsewhere, is pictures here."""
    found = look_below(folder)
    inner = [path for one in found.videos if one.is_dir() for path in one.iterdir()]
    whole = [path for path in folder.iterdir() if path.is_file()]
    # A link to nowhere is looked at, so that it is listed as one that cannot be.
    files = [path for path in (*found.videos, *found.others, *inner, *whole) if path.is_file() or path.is_symlink()]
    return sorted({path for path in files if is_video_file(path) or path.suffix.lower() in PICTURE_SUFFIXES})


def _features(evaluators: Evaluators, path: Path, *, prompted: bool) -> dict[str, np.ndarray]:
    """Features of a video, or of a picture, which has no flow; those for prompts where one is known."""
    moves = is_video_file(path)
    groups = [
        group.name
        for group in evaluators.plan.of("video")
        if (moves or not group.name.startswith("flow")) and (prompted or "clip/frame" not in group.features)
    ]
    if moves:
        seen = read_video(path)
    else:
        picture, size = read_picture(path), evaluators.plan.demands.size
        seen = Video((picture if size is None else resize_photo(picture, *size))[None], 8.0)
    return {name: array for _, made in evaluators.make("video", seen, groups) for name, array in made.items()}


def _by_number(name: str) -> list[tuple[int, int | str]]:
    return [(0, int(part)) if part.isdigit() else (1, part) for part in re.split(r"(\d+)", name)]
