"""What the face score gives to known fakes: other people, worn pictures, pictures tuned on the reward."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from pvbench.backbones.patch_autoencoder import PatchAutoencoder
from pvbench.digest import stable_seed
from pvbench.features.face import crop_faces, embed_faces
from pvbench.features.mini.face_extractor import FaceExtractor, load_detector, load_recogniser
from pvbench.pixels import to_tensor
from pvbench.rewards.identity import FaceReward
from pvbench.weights import verified

if TYPE_CHECKING:
    from pvbench.world.figure import Figure
    from pvbench.world.person import Person

Image = NDArray[np.uint8]
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


def fakes_table(weights: Path, people: int = 40, device: str = "cpu", size: int = 64) -> dict[str, dict[str, float]]:
    """Cosine to the reference of true and faked pictures of held-out people, by the scoring recogniser.

    Args:
        weights: folder of the mini weights.

    Returns:
        By kind of picture: mean, 5th and 95th percentile, share of pictures with a face, number of pictures.
    """
    from pvbench.world.figure import load_figure
    from pvbench.world.person import pool_person

    extractor = load_face_extractor(weights, device)
    reward = FaceReward(
        load_detector(weights, extractor.device), load_recogniser(weights, "reward", extractor.device), extractor.device
    )
    vae = PatchAutoencoder.from_pretrained(verified(weights, "vae")).float().to(extractor.device)
    vae.requires_grad_(False).eval()
    figure = load_figure()
    sliders = figure.face_sliders()
    crowd = [pool_person("held-out", 5000 + k, sliders) for k in range(people)]
    photos: Photos = partial(_photos, figure, size)
    found: dict[str, list[float]] = {}
    for number, person in enumerate(crowd):
        references = photos(person, number, 5, "photo")
        target = np.nanmean(extractor(np.stack(references)).embedding, axis=0)
        target = target / np.linalg.norm(target)
        same_noun = [p for p in crowd if p.class_noun == person.class_noun and p is not person]
        other = same_noun[number % len(same_noun)]
        tuned, reached = _tuned(reward, vae, references, photos(other, number + 2000, 2, "video"))
        for kind, images in (
            *_of_the_same(reward, photos(person, number + 1000, 6, "video")),
            *_of_another(photos, person, other, number + 2000),
            *tuned,
        ):
            cosine = extractor(np.stack(images)).embedding @ target
            found.setdefault(kind, []).extend(float(c) for c in cosine)
        if reached:
            found.setdefault("(the same, by the reward's own recogniser)", []).extend(reached)
    return {kind: _summary(np.array(values)) for kind, values in found.items()}


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
        out.append(render(figure, person, shot, rng, domain=domain, size=size).frames[-1])
    return out


def _of_the_same(reward: FaceReward, true: list[Image]) -> Iterator[tuple[str, list[Image]]]:
    """A person's own pictures, as they are, worn, and with features wiped out where a face is seen."""
    yield "same person", true
    for kind, edit in _EDITS.items():
        yield kind, [edit(image) for image in true]
    seen = reward.detector.detect(to_tensor(np.stack(true), reward.device))
    faces = [(image, f.landmarks[0].cpu().numpy()) for image, f in zip(true, seen, strict=True) if len(f.scores)]
    yield "same person, mouth wiped out", [wiped(image, points, slice(2, 5)) for image, points in faces]
    yield "same person, eyes wiped out", [wiped(image, points, slice(0, 2)) for image, points in faces]


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
) -> tuple[list[tuple[str, list[Image]]], list[float]]:
    """Others' pictures tuned on the reward, and the cosine that they reach under it; neither where a face is unseen."""
    pictures = to_tensor(np.stack(others), reward.device)
    if not all(len(seen.scores) for seen in reward.detector.detect(pictures)):
        return [], []
    size = len(references[0])
    crops = reward.reference(references, size, size).crops
    with torch.no_grad():
        wanted = functional.normalize(embed_faces(reward.recogniser, crops).mean(dim=0), dim=-1)
    fooled, reached = tuned_on_reward(reward, vae, pictures, wanted.expand(len(pictures), -1))
    frames = ((fooled + 1) * 127.5).round().byte().permute(0, 2, 3, 1).cpu().numpy()
    return [("another person, tuned on the reward", list(frames))], [reached]


def _summary(values: NDArray[np.float64]) -> dict[str, float]:
    seen = values[~np.isnan(values)]
    low, high = np.percentile(seen, [5, 95]) if len(seen) else (float("nan"), float("nan"))
    return {
        "mean": float(seen.mean()) if len(seen) else float("nan"),
        "p5": float(low),
        "p95": float(high),
        "found": float(len(seen) / len(values)),
        "n": float(len(values)),
    }


def load_face_extractor(weights: Path, device: str = "cpu") -> FaceExtractor:
    """The scoring side's detector and recogniser alone."""
    from pvbench.machine.devices import torch_device

    place = torch_device(device)
    return FaceExtractor(load_detector(weights, place), load_recogniser(weights, "scoring", place), place)
