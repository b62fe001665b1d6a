"""What the judges of faces and heads give to known fakes: other people, worn pictures, pictures tuned on the reward."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from pvbench.atomic import replacing
from pvbench.backbones.patch_autoencoder import PatchAutoencoder
from pvbench.digest import stable_seed
from pvbench.errors import WeightsError
from pvbench.features.face import crop_faces, embed_faces
from pvbench.features.mini.face_extractor import load_detector, load_recogniser
from pvbench.pixels import to_tensor
from pvbench.rewards.identity import FaceReward
from pvbench.weights import verified
from workshop.judges import FaceJudge, Image, load_judges

if TYPE_CHECKING:
    from pvbench.world.figure import Figure
    from pvbench.world.person import Person

_SATURATED = 0.95  # cosine under the reward's recogniser
Photos = Callable[["Person", int, int, str], list[Image]]
"""Makes pictures of a person, from a number that seeds them, how many there shall be, and their domain."""


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


def tuned_on_reward(
    reward: FaceReward, vae: PatchAutoencoder, images: Tensor, wanted: Tensor, steps: int = 80, rate: float = 0.05
) -> tuple[Tensor, float]:
    """Pictures (n, 3, H, W) changed until the reward's recogniser takes them for the people `wanted` (n, D).

    What tuning on the reward alone comes to: Adam on the latents, nothing that keeps the picture. Returns the
    pictures and the mean cosine they reach under the reward's recogniser.
    """
    points = torch.stack([found.landmarks[0] for found in reward.detector.detect(images)])
    with torch.no_grad():
        latents = vae.encode(images).latent_dist.mode()  # type: ignore[union-attr]
    latents = latents.clone().requires_grad_(True)
    optimiser = torch.optim.Adam([latents], lr=rate)
    for _ in range(steps):
        decoded = vae.decode(latents).sample  # type: ignore[union-attr]
        cosine = (embed_faces(reward.recogniser, crop_faces(decoded, points)) * wanted).sum(dim=-1)
        (-cosine.sum()).backward()
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
    with torch.no_grad():
        images = vae.decode(latents).sample.clamp(-1, 1)  # type: ignore[union-attr]
        cosine = (embed_faces(reward.recogniser, crop_faces(images, points)) * wanted).sum(dim=-1)
    return images, float(cosine.mean())


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
    extractor = judges["face"].extractor
    reward = FaceReward(
        load_detector(weights, extractor.device), load_recogniser(weights, "reward", extractor.device), extractor.device
    )
    vae = PatchAutoencoder.from_pretrained(verified(weights, "vae")).float().to(extractor.device)
    vae.requires_grad_(False).eval()
    figure = load_figure()
    sliders = figure.face_sliders()
    crowd = [pool_person("held-out", 5000 + k, sliders) for k in range(people)]
    photos: Photos = partial(_photos, figure, size)
    parts, pictures, templates = [], {}, {}
    for number, person in enumerate(crowd):
        if only is not None and number not in only:
            continue
        references = photos(person, number, 5, "photo")
        same_noun = [p for p in crowd if p.class_noun == person.class_noun and p is not person]
        other = same_noun[number % len(same_noun)]
        far = max(same_noun, key=lambda one: float(np.linalg.norm(np.subtract(one.skin, person.skin))))
        kinds = [
            *_of_the_same(reward, photos(person, number + 1000, 6, "video")),
            *_changed(photos, person, far, number + 1000),
            *_of_another(photos, person, other, number + 2000),
            *_tuned(reward, vae, references, photos(other, number + 2000, 2, "video")),
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
        references = _photos(figure, size, person, number, 5, "photo")
        true = _photos(figure, size, person, number + 1000, 6, "video")
        templates[number] = {name: _template(judge, references) for name, judge in judges.items()}
        pictures[number] = {name: judge(true) for name, judge in judges.items()}
    found = Fakes(pd.concat(_of_strangers(pictures, templates), ignore_index=True))
    return {f"{name}: {key}": found.threshold(name, share) for name in judges for key, share in ACCEPTS.items()}


def _unit(row: NDArray[np.float32]) -> NDArray[np.float32]:
    return row / np.linalg.norm(row)


TRUE = "same person"
"""The kind of picture that is not a fake."""


def _photos(figure: Figure, size: int, person: Person, number: int, count: int, domain: str) -> list[Image]:
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


def _changed(photos: Photos, person: Person, other: Person, number: int) -> Iterator[tuple[str, list[Image]]]:
    """Pictures of the person's own face with the look, or the skin and eyes, or all of that, of another person."""
    from pvbench.world.person import restyle

    restyled = restyle(person, np.random.default_rng(stable_seed("fakes", number, "look")))
    for kind, shown in {
        "same face, other hair, beard and glasses": restyled,
        "same face, other skin tone": replace(person, skin=other.skin, iris=other.iris),
        "same face, other hair and skin tone": replace(restyled, skin=other.skin, iris=other.iris),
    }.items():
        yield kind, photos(shown, number, 6, "video")


def _of_another(photos: Photos, person: Person, other: Person, number: int) -> Iterator[tuple[str, list[Image]]]:
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


def _tuned(
    reward: FaceReward, vae: PatchAutoencoder, references: list[Image], others: list[Image]
) -> list[tuple[str, list[Image]]]:
    """Others' pictures tuned on the reward until it saturates; none where a face is unseen.

    Raises:
        WeightsError: the reward was not satisfied, so that the pictures show nothing.
    """
    pictures = to_tensor(np.stack(others), reward.device)
    if not all(len(seen.scores) for seen in reward.detector.detect(pictures)):
        return []
    size = len(references[0])
    crops = reward.reference(references, size, size).crops
    with torch.no_grad():
        wanted = functional.normalize(embed_faces(reward.recogniser, crops).mean(dim=0), dim=-1)
    fooled, reached = tuned_on_reward(reward, vae, pictures, wanted.expand(len(pictures), -1))
    if reached < _SATURATED:
        raise WeightsError(f"pictures tuned on the reward reach {reached:.2f} with it; expected {_SATURATED} or more")
    frames = ((fooled + 1) * 127.5).round().byte().permute(0, 2, 3, 1).cpu().numpy()
    return [("another person, tuned on the reward", list(frames))]


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
