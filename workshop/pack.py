"""Gathers trained models into a folder of weights that `pvbench.weights` can verify."""

from __future__ import annotations

import shutil
from pathlib import Path

from pvbench.errors import WeightsError
from pvbench.weights import write_manifest

MODELS = (
    "vae", "text_encoder", "tokenizer", "unet", "scheduler", "motion_adapter", "domain_adapter", "face_detector",
    "face_recogniser_reward", "face_recogniser_scoring", "clip_reward", "clip_scoring", "video_encoder", "segmenter",
    "face_image_encoder", "face_adapter", "face_control", "head_recogniser", "look_reader", "style_reader",
    "style_cartoon", "style_sketch",
)  # fmt: skip


# Which training makes a model of another name.
_MADE_BY = dict.fromkeys(("text_encoder", "tokenizer", "unet", "scheduler"), "text-to-image") | dict.fromkeys(
    ("motion_adapter", "domain_adapter"), "motion"
)


def pack(trained: Path, weights: Path, models: tuple[str, ...] = MODELS) -> Path:
    """Copies models out of a training's folder and writes the manifest, over all that the folder then holds.

    Raises:
        WeightsError: a model was not trained yet.
    """
    for model in models:
        source = trained / model
        if not source.is_dir() or not any(source.iterdir()):
            training = _MADE_BY.get(model, model.replace("_", "-"))
            raise WeightsError(f"{source} is missing; train it first: python -m workshop train {training}")
    weights.mkdir(parents=True, exist_ok=True)
    for model in models:
        shutil.rmtree(weights / model, ignore_errors=True)
        shutil.copytree(trained / model, weights / model)
    return write_manifest(weights)
