"""What the mini weights are worth: how well the untuned base model obeys its prompts."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pvbench.digest import stable_seed
from pvbench.pixels import to_tensor
from pvbench.profile import load_profile
from pvbench.prompt import load_prompts
from pvbench.video import Video

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
            found = classify(clip, images, name).cpu().numpy()
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


def write_quality(path: Path, **found: Any) -> None:
    """Writes measures as JSON."""
    path.write_text(json.dumps(found, indent=2) + "\n")
