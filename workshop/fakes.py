"""What the judges of faces and heads give to known fakes: other people, worn pictures, pictures tuned on the reward."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pvbench.atomic import replacing
from pvbench.digest import stable_seed
from pvbench.pixels import to_tensor
from pvbench.rewards.identity import FaceReward
from workshop.attack import Attack
from workshop.judges import FaceJudge, Image, load_judges

if TYPE_CHECKING:
    from pvbench.world.figure import Figure
    from pvbench.world.person import Person

Photos = Callable[["Person", int, int, str], list[Image]]
"""Makes pictures (H, W, 3), or videos (T, H, W, 3), of a person, from a number that seeds them, how many there shall
be, and their domain."""


def gaussian_blur(image: Image, sigma: float) -> Image:
    """The image blurred by a Gaussian of `sigma` pixels."""
    import cv2

    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), np.uint8)


def grey(image: Image) -> Image:
    """The image without colour."""
    return np.repeat(image.mean(axis=-1, keepdims=True).round().astype(np.uint8), 3, axis=-1)


def colour_cast(image: Image) -> Image:
    """The image under a strong orange light."""
    found: Image = np.clip(image * np.array([1.25, 0.9, 0.6]), 0, 255).astype(np.uint8)
    return found


def wiped(image: Image, landmarks: NDArray[np.float32], rows: slice) -> Image:
    """The image with an oval around some of the five landmarks (5, 2) smeared into plain skin.

    Args:
        rows: of the landmarks: the first two are the eyes, the last three nose and mouth.
    """
    eyes = max(float(np.linalg.norm(landmarks[1] - landmarks[0])), 4.0)
    x, y = landmarks[rows].mean(axis=0)
    across = (np.arange(image.shape[1]) + 0.5 - x) / (1.1 * eyes)
    along = (np.arange(image.shape[0]) + 0.5 - y) / (0.6 * eyes)
    reach = np.hypot(across[None], along[:, None])
    inside = (1 / (1 + np.exp(8 * (reach - 1))))[..., None]
    smooth = gaussian_blur(image, 0.35 * eyes).astype(float)
    found: Image = (image + inside * (smooth - image)).round().astype(np.uint8)
    return found


_EDITS: dict[str, Callable[[Image], Image]] = {
    "same person, mild blur": lambda image: gaussian_blur(image, 0.6),
    "same person, strong blur": lambda image: gaussian_blur(image, 2.5),
    "same person, grey": grey,
    "same person, colour cast": colour_cast,
}


STRANGER = "stranger"
"""The kind of row that compares a true picture with the references of somebody else."""

_ABOUT = ("kind", "person", "shown", "picture")


@dataclass(frozen=True)
class Fakes:
    """What judges give to true and faked pictures of held-out people.

    Attributes:
        rows: a row a picture and person: `kind`, `person` (whose references), `shown` (who was rendered, of
            strangers), `picture` (its number), and a column of cosines for each judge; NaN without a face.
    """

    rows: pd.DataFrame

    @property
    def judges(self) -> tuple[str, ...]:
        """Names of the judges."""
        return tuple(name for name in self.rows.columns if name not in _ABOUT)

    @property
    def strangers(self) -> Mapping[str, NDArray[np.float64]]:
        """By judge, the cosines of true pictures of everybody to the references of everybody else."""
        seen = self.rows[self.rows["kind"] == STRANGER]
        return {judge: seen[judge].to_numpy(np.float64) for judge in self.judges}

    def cosines(self, judge: str) -> Mapping[str, NDArray[np.float64]]:
        """By kind of picture, the cosine of each to the person's references."""
        seen = self.rows[self.rows["kind"] != STRANGER]
        return {str(kind): of_one[judge].to_numpy(np.float64) for kind, of_one in seen.groupby("kind", sort=False)}

    def write(self, path: Path) -> None:
        """Every cosine as CSV, to five decimals."""
        with replacing(path) as beside:
            self.rows.to_csv(beside, index=False, float_format="%.5f", lineterminator="\n")

    @classmethod
    def read(cls, path: Path) -> Fakes:
        """What `write` wrote."""
        return cls(pd.read_csv(path, dtype={"shown": str}).fillna({"shown": ""}))

    def threshold(self, judge: str, accepts: float) -> float:
        """The cosine that so large a share of strangers' pictures reaches."""
        return float(np.nanquantile(self.strangers[judge], 1 - accepts))

    def table(self, judge: str) -> dict[str, dict[str, float]]:
        """By kind: mean, 5th and 95th percentile, shares with a face and accepted at each threshold, how many."""
        at = {name: self.threshold(judge, share) for name, share in ACCEPTS.items()}
        return {kind: _summary(values, at) for kind, values in self.cosines(judge).items()}

    def correlation(self, one: str, other: str) -> float:
        """How two judges agree on strangers: Pearson's correlation of their cosines."""
        both = np.stack([self.strangers[one], self.strangers[other]])
        return float(np.atleast_2d(np.corrcoef(both[:, np.isfinite(both).all(axis=0)]))[0, 1])

    def in_words(self) -> dict[str, object]:
        """Everything, as plain numbers for a file."""
        pairs = [(one, other) for one in self.strangers for other in self.strangers if one < other]
        return {
            **{f"{judge}: {kind}": row for judge in self.judges for kind, row in self.table(judge).items()},
            **{
                f"{judge}: threshold at {share:.1%}": self.threshold(judge, share)
                for judge in self.strangers
                for share in ACCEPTS.values()
            },
            **{f"correlation on strangers of {one} and {other}": self.correlation(one, other) for one, other in pairs},
        }


ACCEPTS: Mapping[str, float] = {"accepted_1": 0.01, "accepted_01": 0.001}
"""Shares of strangers that thresholds let pass."""


def fakes_table(
    weights: Path, people: int = 40, device: str = "cpu", size: int = 64, only: Collection[int] | None = None
) -> Fakes:
    """What the judges give to true and faked pictures of held-out people.

    Args:
        weights: folder of the mini weights.
        only: numbers of the people whose rows are made, out of so many; all by default.
    """
    from pvbench.world.figure import load_figure
    from pvbench.world.person import pool_person

    judges = load_judges(weights, device)
    attack, figure = Attack.load(weights, device), load_figure()
    sliders = figure.face_sliders()
    crowd = [pool_person("held-out", 5000 + k, sliders) for k in range(people)]
    photos: Photos = partial(photos_of, figure, size)
    parts, pictures, templates = [], {}, {}
    for number, person in enumerate(crowd):
        if only is not None and number not in only:
            continue
        references = photos(person, number, 5, "photo")
        same_noun = [p for p in crowd if p.class_noun == person.class_noun and p is not person]
        other = same_noun[number % len(same_noun)]
        far = max(same_noun, key=lambda one: float(np.linalg.norm(np.subtract(one.skin, person.skin))))
        kinds = [
            *_of_the_same(attack.reward, photos(person, number + 1000, 6, "video")),
            *changed(photos, person, far, number + 1000),
            *of_another(photos, person, other, number + 2000),
            *attack(references, photos(other, number + 2000, 2, "video")),
        ]
        templates[number] = {name: _template(judge, references) for name, judge in judges.items()}
        for kind, images in kinds:
            seen = {name: judge(images) for name, judge in judges.items()}
            parts.append(_rows(kind, number, "", seen, templates[number]))
            if kind == TRUE:
                pictures[number] = seen
    parts += _of_strangers(pictures, templates)
    return Fakes(pd.concat(parts, ignore_index=True))


def _template(judge: FaceJudge, references: Sequence[Image]) -> NDArray[np.float32]:
    return _unit(np.nanmean(judge(references), axis=0))


def _rows(
    kind: str, person: int, shown: str, seen: Mapping[str, NDArray[np.float32]], template: Mapping[str, Any]
) -> pd.DataFrame:
    """The rows of one kind of pictures of one person, `seen` as embeddings by judge."""
    cosines = {judge: (embeddings @ template[judge]).astype(np.float64) for judge, embeddings in seen.items()}
    count = len(next(iter(cosines.values())))
    return pd.DataFrame({"kind": kind, "person": person, "shown": shown, "picture": range(count), **cosines})


def _of_strangers(
    pictures: Mapping[int, Mapping[str, NDArray[np.float32]]], templates: Mapping[int, Mapping[str, Any]]
) -> list[pd.DataFrame]:
    """Everybody's true pictures beside the templates of everybody else."""
    return [
        _rows(STRANGER, whose, str(who), seen, template)
        for who, seen in pictures.items()
        for whose, template in templates.items()
        if who != whose
    ]


def thresholds(weights: Path, people: int = 60, device: str = "cpu", size: int = 64) -> dict[str, float]:
    """By judge and share of strangers, the cosine that so large a share of strangers' pictures reaches.

    Everybody of `people` held-out people is compared with the photos of all the others, six pictures each.
    """
    from pvbench.world.figure import load_figure
    from pvbench.world.person import pool_person

    judges, figure = load_judges(weights, device), load_figure()
    sliders = figure.face_sliders()
    pictures, templates = {}, {}
    for number in range(people):
        person = pool_person("held-out", 6000 + number, sliders)
        references = photos_of(figure, size, person, number, 5, "photo")
        true = photos_of(figure, size, person, number + 1000, 6, "video")
        templates[number] = {name: _template(judge, references) for name, judge in judges.items()}
        pictures[number] = {name: judge(true) for name, judge in judges.items()}
    found = Fakes(pd.concat(_of_strangers(pictures, templates), ignore_index=True))
    return {f"{name}: {key}": found.threshold(name, share) for name in judges for key, share in ACCEPTS.items()}


def _unit(row: NDArray[np.float32]) -> NDArray[np.float32]:
    return row / np.linalg.norm(row)


TRUE = "same person"
"""The kind of picture that is not a fake."""


def photos_of(figure: Figure, size: int, person: Person, number: int, count: int, domain: str) -> list[Image]:
    """Pictures of a person in five scenes and actions in turn; `number` says which scene comes first, and seeds."""
    from pvbench.world.render import Shot, render

    scenes, actions = (
        ("office", "beach", "library", "garden", "snow"),
        ("still", "turn left", "turn right", "look up", "smile"),
    )
    out = []
    for k in range(count):
        rng = np.random.default_rng(stable_seed("fakes", number, k, domain))
        shot = Shot(actions[k % 5], "neutral", scenes[(k + number) % 5], "T-shirt", ("blue", "red", "white")[k % 3])
        out.append(render(figure, person, shot, rng, domain=domain, size=size, last=True).frames[0])
    return out


def _of_the_same(reward: FaceReward, true: list[Image]) -> Iterator[tuple[str, list[Image]]]:
    """A person's own pictures, as they are, worn, and with features wiped out where a face is seen."""
    yield TRUE, true
    for kind, edit in _EDITS.items():
        yield kind, [edit(image) for image in true]
    seen = reward.detector.detect(to_tensor(np.stack(true), reward.device))
    faces = [(image, f.landmarks[0].cpu().numpy()) for image, f in zip(true, seen, strict=True) if len(f.scores)]
    yield "same person, mouth wiped out", [wiped(image, points, slice(2, 5)) for image, points in faces]
    yield "same person, eyes wiped out", [wiped(image, points, slice(0, 2)) for image, points in faces]


def changed(photos: Photos, person: Person, other: Person, number: int) -> Iterator[tuple[str, list[Image]]]:
    """Pictures of the person's own face with the look, or the skin and eyes, or all of that, of another person."""
    restyled = _restyled(person, number)
    for kind, shown in {
        "same face, other hair, beard and glasses": restyled,
        "same face, other skin tone": replace(person, skin=other.skin, iris=other.iris),
        "same face, other hair and skin tone": replace(restyled, skin=other.skin, iris=other.iris),
    }.items():
        yield kind, photos(shown, number, 6, "video")


def _restyled(person: Person, number: int) -> Person:
    """The person with a look of which at least a word is another."""
    from pvbench.world.person import restyle

    rng = np.random.default_rng(stable_seed("fakes", number, "look"))
    while replace((found := restyle(person, rng)).look, hair_seed=0) == replace(person.look, hair_seed=0):
        pass
    return found


def of_another(photos: Photos, person: Person, other: Person, number: int) -> Iterator[tuple[str, list[Image]]]:
    """Pictures of another person, who takes over more and more of what is not the face."""
    hair = replace(other, look=person.look)
    both = replace(hair, skin=person.skin, iris=person.iris)
    for kind, shown in {
        "another person": other,
        "another person, same hair, beard and glasses": hair,
        "another person, same skin tone": replace(other, skin=person.skin),
        "another person, same hair and skin tone": both,
        "average face, same hair and skin tone": _average(person),
    }.items():
        yield kind, photos(shown, number, 6, "video")


def _average(person: Person) -> Person:
    """The person with an average face and body."""
    middle = dict.fromkeys(person.sliders, 0.0)
    thirds = {"african": 0.33, "asian": 0.33, "caucasian": 0.34, "muscle": 0.5, "weight": 0.5}
    return replace(person, sliders=middle, phenotypes=person.phenotypes | thirds)


def _summary(values: NDArray[np.float64], thresholds: Mapping[str, float]) -> dict[str, float]:
    seen = values[~np.isnan(values)]
    low, high = np.percentile(seen, [5, 95]) if len(seen) else (float("nan"), float("nan"))
    return {
        "mean": float(seen.mean()) if len(seen) else float("nan"),
        "p5": float(low),
        "p95": float(high),
        "found": float(len(seen) / len(values)),
        **{name: float((seen >= threshold).sum() / len(values)) for name, threshold in thresholds.items()},
        "n": float(len(values)),
    }
