"""What the mini weights are worth: the base model's obedience, and what the face score gives to known fakes."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

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
from pvbench.profile import load_profile
from pvbench.prompt import load_prompts
from pvbench.rewards.identity import FaceReward
from pvbench.video import Video
from pvbench.weights import verified

Image = NDArray[np.uint8]


@dataclass(frozen=True)
class BaseQuality:
    """Shares over the untuned model's videos.

    Attributes:
        videos: how many were drawn.
        faces: frames with a face.
        scene, colour: frames in which the scoring CLIP finds the scene and the clothes' colour that the prompt names.
        action: videos in which the video encoder finds the action.
        flow_ratio: mean flow over that of rendered videos of the same prompts.
    """

    videos: int
    faces: float
    scene: float
    colour: float
    action: float
    flow_ratio: float


def base_quality(profile_name: str, videos: int, device: str = "cpu", save: Path | None = None) -> BaseQuality:
    """Samples the untuned backbone on the evaluation prompts, both class nouns in turn, and judges the videos."""
    from pvbench.backbone import load_backbone
    from pvbench.evaluator import Evaluators, FeaturePlan
    from pvbench.features.flow import optical_flow
    from pvbench.weights import weights_folder
    from pvbench.world import vocabulary
    from pvbench.world.benchmark import NAMES, read_archive
    from workshop.train.clip import classify
    from workshop.train.video_encoder import to_videos

    profile = load_profile(profile_name)
    backbone, evaluators = load_backbone(profile, device), Evaluators(FeaturePlan(profile), device)
    faces_of, clip, encoder = (evaluators.part(part).network for part in ("face", "clip", "video"))  # type: ignore[attr-defined]
    place = backbone.device
    prompts = load_prompts(profile.prompts.evaluation).prompts
    archive = weights_folder(profile.evaluators["weights"]) / "oracle"
    faces: list[float] = []
    right: dict[str, list[float]] = {"scene": [], "colour": [], "action": []}
    flows: list[float] = []
    true_flows: list[float] = []
    strips: list[Image] = []
    for i in range(videos):
        prompt, noun = prompts[i % len(prompts)], ("woman", "man")[i % 2]
        video: Video = backbone.sample(prompt.render(noun), stable_seed("base quality", i))
        images = to_tensor(video.frames, place)
        faces += (faces_of(video.frames).count > 0).tolist()
        for name in ("scene", "colour"):
            found = classify(clip.model, clip.tokenizer, images, name).cpu().numpy()
            right[name] += (found == vocabulary.LABELS[name].index(prompt.tags[name])).tolist()
        with torch.no_grad():
            judged = encoder(to_videos(video.frames[None]).to(place))["action"].argmax()
        right["action"].append(float(int(judged) == vocabulary.LABELS["action"].index(prompt.tags["action"])))
        flows.append(float(optical_flow(video.frames).mean.mean()))
        if len(strips) < 16:
            strips.append(np.concatenate(list(video.frames), axis=1))
    for name in NAMES[:4]:
        films = read_archive(archive / f"{name}.mkv", profile.sampling.frames, profile.sampling.fps)
        true_flows += [float(optical_flow(film.frames).mean.mean()) for film in films]
    if save is not None:
        from PIL import Image as Pictures

        Pictures.fromarray(np.concatenate(strips)).save(save)
    return BaseQuality(
        videos,
        float(np.mean(faces)),
        float(np.mean(right["scene"])),
        float(np.mean(right["colour"])),
        float(np.mean(right["action"])),
        float(np.mean(flows) / np.mean(true_flows)),
    )


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


def fakes_table(weights: Path, people: int = 40, device: str = "cpu", size: int = 64) -> dict[str, dict[str, float]]:
    """Cosine to the reference of true and faked pictures of held-out people, by the scoring recogniser.

    Args:
        weights: folder of the mini weights.

    Returns:
        By kind of picture: mean, 5th and 95th percentile, share of pictures with a face, number of pictures.
    """
    extractor = load_face_extractor(weights, device)
    reward = FaceReward(
        load_detector(weights, extractor.device), load_recogniser(weights, "reward", extractor.device), extractor.device
    )
    vae = PatchAutoencoder.from_pretrained(verified(weights, "vae")).float().to(extractor.device)
    vae.requires_grad_(False).eval()
    from pvbench.world.figure import load_figure
    from pvbench.world.person import Person, pool_person
    from pvbench.world.render import Shot, render

    figure = load_figure()
    sliders = figure.face_sliders()
    crowd = [pool_person("held-out", 5000 + k, sliders) for k in range(people)]
    found: dict[str, list[float]] = {}

    def photos(person: Person, number: int, count: int, domain: str) -> list[Image]:
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

    def add(kind: str, images: list[Image], target: NDArray[np.float32]) -> None:
        faces = extractor(np.stack(images))
        cosine = faces.embedding @ target
        found.setdefault(kind, []).extend(float(c) for c in cosine)

    def average(person: Person) -> Person:
        middle = dict.fromkeys(person.sliders, 0.0)
        thirds = {"african": 0.33, "asian": 0.33, "caucasian": 0.34, "muscle": 0.5, "weight": 0.5}
        return replace(person, sliders=middle, phenotypes=person.phenotypes | thirds)

    edits: dict[str, Callable[[Image], Image]] = {
        "same person, mild blur": lambda image: gaussian_blur(image, 0.6),
        "same person, strong blur": lambda image: gaussian_blur(image, 2.5),
        "same person, grey": grey,
        "same person, colour cast": colour_cast,
    }
    for number, person in enumerate(crowd):
        references = extractor(np.stack(photos(person, number, 5, "photo")))
        target = np.nanmean(references.embedding, axis=0)
        target = target / np.linalg.norm(target)
        true = photos(person, number + 1000, 6, "video")
        add("same person", true, target)
        for kind, edit in edits.items():
            add(kind, [edit(image) for image in true], target)
        seen = reward.detector.detect(to_tensor(np.stack(true), extractor.device))
        faces = [(image, f.landmarks[0].cpu().numpy()) for image, f in zip(true, seen, strict=True) if len(f.scores)]
        add("same person, mouth wiped out", [wiped(image, points, slice(2, 5)) for image, points in faces], target)
        add("same person, eyes wiped out", [wiped(image, points, slice(0, 2)) for image, points in faces], target)
        same_noun = [p for p in crowd if p.class_noun == person.class_noun and p is not person]
        other = same_noun[number % len(same_noun)]
        add("another person", photos(other, number + 2000, 6, "video"), target)
        hair = replace(other, look=person.look)
        add("another person, same hair, beard and glasses", photos(hair, number + 2000, 6, "video"), target)
        add(
            "another person, same skin tone",
            photos(replace(other, skin=person.skin), number + 2000, 6, "video"),
            target,
        )
        both = replace(hair, skin=person.skin, iris=person.iris)
        add("another person, same hair and skin tone", photos(both, number + 2000, 6, "video"), target)
        add("average face, same hair and skin tone", photos(average(person), number + 2000, 6, "video"), target)
        pictures = to_tensor(np.stack(photos(other, number + 2000, 2, "video")), extractor.device)
        if all(len(seen.scores) for seen in reward.detector.detect(pictures)):
            crops = reward.reference(photos(person, number, 5, "photo"), size, size).crops
            with torch.no_grad():
                wanted = functional.normalize(embed_faces(reward.recogniser, crops).mean(dim=0), dim=-1)
            fooled, reached = tuned_on_reward(reward, vae, pictures, wanted.expand(len(pictures), -1))
            frames = ((fooled + 1) * 127.5).round().byte().permute(0, 2, 3, 1).cpu().numpy()
            add("another person, tuned on the reward", list(frames), target)
            found.setdefault("(the same, by the reward's own recogniser)", []).append(reached)
    return {kind: _summary(np.array(values)) for kind, values in found.items()}


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


def write_quality(path: Path, **found: Any) -> None:
    """Writes measures as JSON."""
    path.write_text(json.dumps(found, indent=2) + "\n")


def load_face_extractor(weights: Path, device: str = "cpu") -> FaceExtractor:
    """The scoring side's detector and recogniser alone."""
    from pvbench.features.mini.face_extractor import load_detector, load_recogniser
    from pvbench.machine.devices import torch_device

    place = torch_device(device)
    return FaceExtractor(load_detector(weights, place), load_recogniser(weights, "scoring", place), place)
