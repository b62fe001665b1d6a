"""Which models can be trained: the name on the command line, the function and how long it trains."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from workshop.train import (
    autoencoder,
    clip,
    face_adapter,
    face_control,
    face_detector,
    face_recogniser,
    head,
    image_encoder,
    motion,
    segmenter,
    style,
    style_reader,
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


MODELS: Mapping[str, Model] = {
    "vae": Model(lambda *given: autoencoder.train(*given), autoencoder.PLAN),
    "text-to-image": Model(lambda *given: text_to_image.train(*given), text_to_image.PLAN, text_to_image.GPU_PLAN),
    "motion": Model(lambda *given: motion.train(*given), motion.PLAN, motion.GPU_PLAN),
    "face-detector": Model(lambda *given: face_detector.train_detector(*given), face_detector.DETECTOR_PLAN),
    "face-recogniser-reward": Model(
        lambda place, plan: face_recogniser.train_recogniser(place, "reward", plan), face_recogniser.RECOGNISER_PLAN
    ),
    "face-recogniser-scoring": Model(
        lambda place, plan: face_recogniser.train_recogniser(place, "scoring", plan), face_recogniser.RECOGNISER_PLAN
    ),
    "clip-reward": Model(lambda place, plan: clip.train(place, "reward", plan), clip.PLAN),
    "clip-scoring": Model(lambda place, plan: clip.train(place, "scoring", plan), clip.PLAN),
    "segmenter": Model(lambda *given: segmenter.train_segmenter(*given), segmenter.SEGMENTER_PLAN),
    "video-encoder": Model(lambda *given: video_encoder.train(*given), video_encoder.PLAN),
    "face-image-encoder": Model(lambda *given: image_encoder.train_image_encoder(*given), image_encoder.PLAN),
    "face-adapter-pictures": Model(
        lambda *given: face_adapter.train_pictures(*given), face_adapter.PICTURES_PLAN, face_adapter.GPU_PICTURES_PLAN
    ),
    "face-adapter": Model(
        lambda *given: face_adapter.train_videos(*given), face_adapter.VIDEOS_PLAN, face_adapter.GPU_VIDEOS_PLAN
    ),
    "face-control-pictures": Model(
        lambda *given: face_control.train_pictures(*given), face_control.PICTURES_PLAN, face_control.GPU_PICTURES_PLAN
    ),
    "face-control": Model(
        lambda *given: face_control.train_videos(*given), face_control.VIDEOS_PLAN, face_control.GPU_VIDEOS_PLAN
    ),
    "head-recogniser": Model(lambda *given: head.train_head_recogniser(*given), head.HEAD_PLAN),
    "look-reader": Model(lambda *given: head.train_look_reader(*given), head.LOOK_PLAN),
    "style-reader": Model(lambda *given: style_reader.train_style_reader(*given), style_reader.PLAN),
    "style-cartoon": Model(lambda *given: style.train("cartoon", *given), style.PLAN, style.GPU_PLAN),
    "style-sketch": Model(lambda *given: style.train("sketch", *given), style.PLAN, style.GPU_PLAN),
}
"""Those of `python -m workshop train`, in its order. Each looks its function up when it is called."""
