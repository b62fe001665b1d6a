"""Looking at videos and pictures of a person: features, verdicts, and which folder is most like."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pvbench.digest import stable_seed
from pvbench.errors import FaceError, PvbenchError, VideoError
from pvbench.evaluator import Evaluators, FeaturePlan
from pvbench.identity import load_identity
from pvbench.likeness.bands import CALIBRATIONS, FEWEST_PHOTOS, Bands, bands_of, template
from pvbench.likeness.seen import Seen, see
from pvbench.measuring.tree import look_below
from pvbench.pixels import resize_photo
from pvbench.profile import Profile
from pvbench.stats import holm, sign_flip_p
from pvbench.video import PICTURE_SUFFIXES, Video, is_video_file, read_picture, read_video

_WANTED = ("face/embedding", "face/detected", "face/landmarks", "reference/face", "flow/top5", "flow/size", "flow/fps")
SIGNIFICANT = 0.05

Advanced = Callable[[int, int, str], None]
"""Told how many of how many were looked at, and which one is next."""


@dataclass(frozen=True)
class Likeness:
    """What was found.

    Attributes:
        refused: files that could not be looked at, and why.
    """

    bands: Bands
    seen: tuple[Seen, ...]
    refused: tuple[tuple[str, str], ...]

    @property
    def folders(self) -> tuple[str, ...]:
        """In the order of their names, numbers by value."""
        return tuple(sorted({one.folder for one in self.seen}, key=_by_number))

    def of(self, folder: str) -> list[Seen]:
        """What was seen in a folder."""
        return [one for one in self.seen if one.folder == folder]


def look(
    photos: Path,
    sources: Sequence[Path],
    profile: Profile,
    device: str = "cpu",
    strangers: Path | None = None,
    advanced: Advanced = lambda done, total, name: None,
) -> Likeness:
    """Holds every video and picture of the sources against a person's photos.

    Args:
        photos: a folder of the person's photos, with or without a card.
        sources: folders, videos or pictures; every folder that holds some has a row of its own.
        profile: whose evaluators look.
        strangers: a folder of pictures of other people, for what strangers reach.

    Raises:
        IdentityError: the photos cannot be used.
        FaceError: fewer than two photos show one face each.
        VideoError: there is nothing to look at.
        WeightsError: an evaluator's weights are missing or damaged.
    """
    person = load_identity(photos)
    plan = FeaturePlan(profile, frozenset(_WANTED))
    evaluators = Evaluators(plan, device)
    faces = _photos(evaluators, person.references())
    others = [] if strangers is None else list(_strangers(evaluators, strangers, template(faces)))
    bands = bands_of(faces, CALIBRATIONS.get(plan.loaders["face"].name), others)
    things = list(_things(sources))
    if not things:
        raise VideoError(f"no videos and no pictures in {', '.join(map(str, sources))}; name folders that hold some")
    seen, refused = [], []
    for number, (path, folder) in enumerate(things):
        advanced(number, len(things), path.name)
        try:
            seen.append(see(path.name, folder, _features(evaluators, path), faces, bands))
        except PvbenchError as error:
            refused.append((str(path), str(error)))
    advanced(len(things), len(things), "")
    return Likeness(bands, tuple(seen), tuple(refused))


def _photos(evaluators: Evaluators, photos: Sequence[np.ndarray]) -> np.ndarray:
    """Embeddings of the photos that show one face; those that do not are left out, unless too few are left."""
    found, wrong = [], []
    for number, photo in enumerate(photos, start=1):
        try:
            found.append(evaluators.all("reference", [photo])["reference/face"])
        except FaceError as error:
            wrong.append(f"photo {number}: {error}")
    if len(found) < FEWEST_PHOTOS:
        raise FaceError(f"{len(found)} of {len(photos)} photos show one face; at least two are needed. {wrong[0]}")
    return np.concatenate(found).astype(np.float64)


def _strangers(evaluators: Evaluators, folder: Path, own: np.ndarray) -> Iterator[float]:
    pictures = [path for path in sorted(folder.rglob("*")) if path.suffix.lower() in PICTURE_SUFFIXES]
    if not pictures:
        raise FaceError(f"--strangers {folder}: no pictures in it; name a folder of photos of other people")
    for path in pictures:
        features = _features(evaluators, path)
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
    files = [path for path in (*found.videos, *found.others, *inner, *whole) if path.is_file()]
    return sorted({path for path in files if is_video_file(path) or path.suffix.lower() in PICTURE_SUFFIXES})


def _features(evaluators: Evaluators, path: Path) -> dict[str, np.ndarray]:
    if is_video_file(path):
        return evaluators.all("video", read_video(path))
    picture, size = read_picture(path), evaluators.plan.demands.size
    seen = Video((picture if size is None else resize_photo(picture, *size))[None], 8.0)
    groups = [group.name for group in evaluators.plan.of("video") if not group.name.startswith("flow")]
    return {name: array for _, made in evaluators.make("video", seen, groups) for name, array in made.items()}


def best_folder(found: Likeness) -> tuple[str, float, str]:
    """The folder of the highest mean likeness, the p of its lead over the next, and the next; p is NaN for one folder.

    Paired over the names that both have, by sign flips; Holm's correction is over the rivals of the best.
    """
    means = {folder: _mean(found.of(folder)) for folder in found.folders}
    order = sorted(means, key=lambda folder: -means[folder])
    if len(order) < 2:
        return order[0], math.nan, ""
    best = order[0]
    p_values = holm([_lead(found, best, rival) for rival in order[1:]])
    return best, p_values[0], order[1]


def _lead(found: Likeness, first: str, second: str) -> float:
    one, other = ({_stem(s.name): s.likeness for s in found.of(folder)} for folder in (first, second))
    shared = [name for name in one if name in other and not math.isnan(one[name] + other[name])]
    differences = np.array([one[name] - other[name] for name in shared])
    if len(differences) < 2:
        return 1.0
    return sign_flip_p(differences, np.random.default_rng(stable_seed("likeness", first, second)))


def _stem(name: str) -> str:
    """A file's name without its ending, and without the key that a run's own videos have."""
    return re.sub(r"-[0-9a-f]{12}$", "", Path(name).stem)


def _mean(seen: Sequence[Seen]) -> float:
    values = [one.likeness for one in seen if not math.isnan(one.likeness)]
    return float(np.mean(values)) if values else -1.0


def _by_number(name: str) -> list[tuple[int, int | str]]:
    return [(0, int(part)) if part.isdigit() else (1, part) for part in re.split(r"(\d+)", name)]
