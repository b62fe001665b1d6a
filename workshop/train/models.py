"""Which models can be trained: the name on the command line, the function and how long it trains."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from workshop.train import (
    autoencoder,
    clip,
    face_adapter,
    face_detector,
    face_recogniser,
    head,
    image_encoder,
    motion,
    segmenter,
    text_to_image,
    video_encoder,
)
from workshop.train.loop import Place, Plan


@dataclass(frozen=True)
class Model:
    """One model's training.

    Attributes:
        plan: its default steps, batch and rate; `gpu_plan` stands in its place on a GPU.
    """

    train: Callable[[Place, Plan], None]
    plan: Plan
    gpu_plan: Plan | None = None


def _recogniser(role: str, place: Place, plan: Plan) -> None:
    face_recogniser.train_recogniser(place, role, plan)


def _clip(role: str, place: Place, plan: Plan) -> None:
    clip.train(place, role, plan)


MODELS: Mapping[str, Model] = {
    "vae": Model(autoencoder.train, autoencoder.PLAN),
    "text-to-image": Model(text_to_image.train, text_to_image.PLAN, text_to_image.GPU_PLAN),
    "motion": Model(motion.train, motion.PLAN, motion.GPU_PLAN),
    "face-detector": Model(face_detector.train_detector, face_detector.DETECTOR_PLAN),
    "face-recogniser-reward": Model(partial(_recogniser, "reward"), face_recogniser.RECOGNISER_PLAN),
    "face-recogniser-scoring": Model(partial(_recogniser, "scoring"), face_recogniser.RECOGNISER_PLAN),
    "clip-reward": Model(partial(_clip, "reward"), clip.PLAN),
    "clip-scoring": Model(partial(_clip, "scoring"), clip.PLAN),
    "segmenter": Model(segmenter.train_segmenter, segmenter.SEGMENTER_PLAN),
    "video-encoder": Model(video_encoder.train, video_encoder.PLAN),
    "face-image-encoder": Model(image_encoder.train_image_encoder, image_encoder.PLAN),
    "face-adapter-pictures": Model(
        face_adapter.train_pictures, face_adapter.PICTURES_PLAN, face_adapter.GPU_PICTURES_PLAN
    ),
    "face-adapter": Model(face_adapter.train_videos, face_adapter.VIDEOS_PLAN, face_adapter.GPU_VIDEOS_PLAN),
    "head-recogniser": Model(head.train_head_recogniser, head.HEAD_PLAN),
    "look-reader": Model(head.train_look_reader, head.LOOK_PLAN),
}
"""Those of `python -m workshop train`, in its order."""
