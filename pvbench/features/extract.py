"""The extractors of the mini profile."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pvbench.devices import torch_device
from pvbench.errors import ProfileError, VideoError
from pvbench.features import FRAMES_MULTIPLE, NO_DINO
from pvbench.features.clip import ClipModel
from pvbench.features.extractor import Features, Frames, SelectiveExtractors, wants
from pvbench.features.face import FaceExtractor, Faces, load_detector, load_recogniser, load_state
from pvbench.features.flow import Flow, flow_fields, optical_flow
from pvbench.features.video_networks import VideoEncoder
from pvbench.pixels import resize_photo, to_tensor
from pvbench.video import Video
from pvbench.weights import verified


class Extractors(SelectiveExtractors):
    """The networks of the mini evaluators."""

    def __init__(self, weights: Path, device: str, signature: Mapping[str, Mapping[str, Any]]) -> None:
        self.weights, self.signature = weights, signature
        self.device = torch_device(device)
        height, width = signature["face"]["reference_size"]
        self.size: tuple[int, int] = (height, width)

    def load_all(self) -> None:
        """Loads every network, so that whatever is wrong with its weights shows."""
        for network in (self.face, self.clip, self.encoder):
            assert network is not None

    @cached_property
    def face(self) -> FaceExtractor:
        """Detector and scoring recogniser."""
        detector = load_detector(self.weights, self.device)
        recogniser = load_recogniser(self.weights, "scoring", self.device)
        return FaceExtractor(detector, recogniser, self.device, self.signature["face"]["threshold"])

    @cached_property
    def clip(self) -> ClipModel:
        """The scoring CLIP."""
        return ClipModel.load(self.weights, "scoring", self.device)

    @cached_property
    def hps(self) -> ClipModel:
        """The CLIP that knows what people prefer: the mini world's in the place of HPSv2."""
        return ClipModel.load(self.weights, "reward", self.device)

    @cached_property
    def encoder(self) -> VideoEncoder:
        """The video encoder."""
        folder = verified(self.weights, "video_encoder")
        encoder = VideoEncoder(**json.loads((folder / "config.json").read_text()))
        return load_state(encoder, folder, self.device)  # type: ignore[return-value]

    def _check(self, video: Video, wanted: Collection[str] | None) -> None:
        frames, height, width = video.frames.shape[:3]
        if (height, width) != self.size or (frames % FRAMES_MULTIPLE and wants(wanted, "video/embedding")):
            raise VideoError(
                f"a video has {frames} frames of {height}x{width} pixels; these extractors see {self.size[0]}x"
                f"{self.size[1]} and a multiple of 4 frames: resize and cut it, or measure with another profile"
            )

    def references(self, images: Sequence[Frames], wanted: Collection[str] | None = None) -> Features:
        """Features of an identity's reference photos, or those `wanted`.

        Raises:
            FaceError: a photo shows no face or more than one.
        """
        small = [resize_photo(image, *self.size) for image in images]
        found: Features = {}
        if wants(wanted, "reference/face", "reference/clip_face"):
            faces = self.face.reference(small)
            found["reference/face"] = faces.embedding
        if wants(wanted, "reference/clip"):
            found["reference/clip"] = self._clip_frames(np.stack(small))
        if wants(wanted, "reference/clip_face"):
            found["reference/clip_face"] = self._clip_faces(np.stack(small), faces.landmarks)
        return found

    def _seen(self, frames: Frames) -> Frames:
        return frames

    def _faces(self, frames: Frames) -> Faces:
        return self.face(frames)

    def _clip_frames(self, frames: Frames) -> NDArray[np.float32]:
        return self.clip.frames(to_tensor(frames, self.device))

    def _clip_faces(self, frames: Frames, landmarks: NDArray[np.float32]) -> NDArray[np.float32]:
        return self.clip.faces(to_tensor(frames, self.device), landmarks)

    @torch.no_grad()
    def _clip_text(self, text: str) -> NDArray[np.float32]:
        found: NDArray[np.float32] = self.clip.texts([text])[0].cpu().numpy()
        return found

    def _clip_tokens(self, text: str) -> tuple[int, int]:
        return self.clip.token_count(text), self.clip.context

    def _hps_frames(self, frames: Frames) -> NDArray[np.float32]:
        return self.hps.frames(to_tensor(frames, self.device))

    @torch.no_grad()
    def _hps_text(self, text: str) -> NDArray[np.float32]:
        found: NDArray[np.float32] = self.hps.texts([text])[0].cpu().numpy()
        return found

    def _dino_frames(self, frames: Frames) -> NDArray[np.float32]:
        raise ProfileError(NO_DINO)

    def _flow(self, frames: Frames) -> Flow:
        return optical_flow(frames)

    def _flow_fields(self, frames: Frames) -> Iterable[NDArray[np.float32]]:
        return flow_fields(frames)

    def _embedding(self, frames: Frames) -> NDArray[np.float32]:
        images = to_tensor(frames, self.device)
        with torch.no_grad():
            found: NDArray[np.float32] = self.encoder.embedding(images.transpose(0, 1)[None])[0].cpu().numpy()
        return found
