"""All features of a video from one pass over its frames."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from pvbench.devices import torch_device
from pvbench.errors import VideoError
from pvbench.features import FRAMES_MULTIPLE
from pvbench.features.clip import ClipModel
from pvbench.features.face import FaceExtractor, load_detector, load_recogniser, load_state, to_tensor
from pvbench.features.flow import flow_fields, optical_flow, sampling_interval, warping_errors
from pvbench.features.video_networks import VideoEncoder
from pvbench.video import Video
from pvbench.weights import verified

Features = dict[str, NDArray[np.float32]]


def resize_photo(image: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """The photo's middle square, area-averaged to (height, width): references are seen at the video's resolution."""
    rows, columns = image.shape[:2]
    side = min(rows, columns)
    top, left = (rows - side) // 2, (columns - side) // 2
    square = Image.fromarray(image[top : top + side, left : left + side])
    kernel = Image.Resampling.BOX if side >= 2 * width else Image.Resampling.BICUBIC
    return np.asarray(square.resize((width, height), kernel))


def wants(wanted: Collection[str] | None, *names: str) -> bool:
    """Whether one of the features is wanted; None wants all."""
    return wanted is None or any(name in wanted for name in names)


class Extractors:
    """Every network of the mini evaluators, loaded once, when a feature first needs it.

    Attributes:
        signature: by part (face, clip, flow, video), what identifies the features.
    """

    selective = True
    """`video`, `references` and `text` take the names of the features that are wanted."""

    def __init__(self, weights: Path, device: str, signature: Mapping[str, Mapping[str, Any]]) -> None:
        self.weights, self.signature = weights, signature
        self.device = torch_device(device)
        height, width = signature["face"]["reference_size"]
        self.size: tuple[int, int] = (height, width)

    @classmethod
    def load(cls, weights: Path, device: str, signature: Mapping[str, Mapping[str, Any]]) -> Extractors:
        """The mini extractors out of a folder of weights, every network loaded.

        Raises:
            WeightsError: a file is missing or damaged.
            DeviceError: the device is not there.
        """
        extractors = cls(weights, device, signature)
        for network in (extractors.face, extractors.clip, extractors.encoder):
            assert network is not None
        return extractors

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
    def encoder(self) -> VideoEncoder:
        """The video encoder."""
        folder = verified(self.weights, "video_encoder")
        encoder = VideoEncoder(**json.loads((folder / "config.json").read_text()))
        return load_state(encoder, folder, self.device)  # type: ignore[return-value]

    def video(self, video: Video, wanted: Collection[str] | None = None) -> Features:
        """Features of one video; names and shapes are listed in `docs/features.md`.

        Args:
            wanted: names of features; those made in one go with a wanted one come too, the others are left out and
                their networks not loaded.

        Raises:
            VideoError: the video has another size than the networks were trained on, or a number of frames that the
                video encoder cannot halve twice.
        """
        self._check(video, wanted)
        images = to_tensor(video.frames, self.device)
        found: Features = {}
        if wants(wanted, "face/embedding", "face/detected", "face/box", "face/count", "clip/face"):
            faces = self.face(video.frames)
            found["face/embedding"] = faces.embedding
            found["face/detected"] = (faces.count > 0).astype(np.float32)
            found["face/box"], found["face/count"] = faces.box, faces.count
        if wants(wanted, "clip/frame"):
            found["clip/frame"] = self.clip.frames(images)
        if wants(wanted, "clip/face"):
            found["clip/face"] = self.clip.faces(images, faces.landmarks)
        if wants(wanted, "flow/top5", "flow/mean", "flow/size", "flow/fps"):
            interval = sampling_interval(video.fps)
            flow = optical_flow(video.frames[::interval])
            found["flow/top5"], found["flow/mean"] = flow.top5, flow.mean
            found["flow/size"] = np.array(video.frames.shape[1:3], np.float32)
            found["flow/fps"] = np.array([video.fps / interval], np.float32)
        if wanted is not None and "flow/warp_error" in wanted:
            kept = video.frames[:: sampling_interval(video.fps)]
            back = list(flow_fields(kept[::-1]))[::-1]
            found["flow/warp_error"] = warping_errors(kept, flow_fields(kept), back)
        if wants(wanted, "video/embedding"):
            with torch.no_grad():
                embedding = self.encoder.embedding(images.transpose(0, 1)[None])[0].cpu().numpy()
            found["video/embedding"] = embedding
        return found

    def _check(self, video: Video, wanted: Collection[str] | None) -> None:
        frames, height, width = video.frames.shape[:3]
        if (height, width) != self.size or (frames % FRAMES_MULTIPLE and wants(wanted, "video/embedding")):
            raise VideoError(
                f"a video has {frames} frames of {height}x{width} pixels; these extractors see {self.size[0]}x"
                f"{self.size[1]} and a multiple of 4 frames: resize and cut it, or measure with another profile"
            )

    def references(self, images: Sequence[NDArray[np.uint8]], wanted: Collection[str] | None = None) -> Features:
        """Features of an identity's reference photos, or those `wanted`.

        Raises:
            FaceError: a photo shows no face or more than one.
        """
        small = [resize_photo(image, *self.size) for image in images]
        found: Features = {}
        if wants(wanted, "reference/face", "reference/clip_face"):
            faces = self.face.reference(small)
            found["reference/face"] = faces.embedding
        tensor = to_tensor(np.stack(small), self.device)
        if wants(wanted, "reference/clip"):
            found["reference/clip"] = self.clip.frames(tensor)
        if wants(wanted, "reference/clip_face"):
            found["reference/clip_face"] = self.clip.faces(tensor, faces.landmarks)
        return found

    def text(self, text: str) -> Features:
        """The CLIP embedding of a prompt."""
        with torch.no_grad():
            return {"text/clip": self.clip.texts([text])[0].cpu().numpy()}
