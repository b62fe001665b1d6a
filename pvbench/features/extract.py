"""All features of a video from one pass over its frames."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from pvbench.devices import torch_device
from pvbench.errors import VideoError
from pvbench.features.clip import ClipModel
from pvbench.features.face import FaceExtractor, load_detector, load_recogniser, load_state, to_tensor
from pvbench.features.flow import optical_flow, sampling_interval
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


@dataclass
class Extractors:
    """Every network of the evaluators, loaded once.

    Attributes:
        signature: by part (face, clip, flow, video), what identifies the features.
    """

    face: FaceExtractor
    clip: ClipModel
    encoder: VideoEncoder
    signature: Mapping[str, Mapping[str, Any]]
    size: tuple[int, int]
    device: torch.device

    @classmethod
    def load(cls, weights: Path, device: str, signature: Mapping[str, Mapping[str, Any]]) -> Extractors:
        """The mini extractors out of a folder of weights.

        Raises:
            WeightsError: a file is missing or damaged.
            DeviceError: the device is not there.
        """
        place = torch_device(device)
        detector = load_detector(weights, place)
        recogniser = load_recogniser(weights, "scoring", place)
        folder = verified(weights, "video_encoder")
        encoder = VideoEncoder(**json.loads((folder / "config.json").read_text()))
        height, width = signature["face"]["reference_size"]
        return cls(
            FaceExtractor(detector, recogniser, place, signature["face"]["threshold"]),
            ClipModel.load(weights, "scoring", place),
            load_state(encoder, folder, place),  # type: ignore[arg-type]
            signature,
            (height, width),
            place,
        )

    def video(self, video: Video) -> Features:
        """Features of one video; names and shapes are listed in `docs/features.md`.

        Raises:
            VideoError: the video has another size than the networks were trained on, or a number of frames that the
                video encoder cannot halve twice.
        """
        self._check(video)
        images = to_tensor(video.frames, self.device)
        faces = self.face(video.frames)
        interval = sampling_interval(video.fps)
        flow = optical_flow(video.frames[::interval])
        with torch.no_grad():
            embedding = self.encoder.embedding(images.transpose(0, 1)[None])[0].cpu().numpy()
        height, width = video.frames.shape[1:3]
        return {
            "face/embedding": faces.embedding,
            "face/detected": (faces.count > 0).astype(np.float32),
            "face/box": faces.box,
            "face/count": faces.count,
            "clip/frame": self.clip.frames(images),
            "clip/face": self.clip.faces(images, faces.landmarks),
            "flow/top5": flow.top5,
            "flow/mean": flow.mean,
            "flow/size": np.array([height, width], np.float32),
            "flow/fps": np.array([video.fps / interval], np.float32),
            "video/embedding": embedding,
        }

    def _check(self, video: Video) -> None:
        frames, height, width = video.frames.shape[:3]
        if (height, width) != self.size or frames % 4:
            raise VideoError(
                f"a video has {frames} frames of {height}x{width} pixels; these extractors see {self.size[0]}x"
                f"{self.size[1]} and a multiple of 4 frames: resize and cut it, or measure with another profile"
            )

    def references(self, images: Sequence[NDArray[np.uint8]]) -> Features:
        """Features of an identity's reference photos.

        Raises:
            FaceError: a photo shows no face or more than one.
        """
        small = [resize_photo(image, *self.size) for image in images]
        faces = self.face.reference(small)
        tensor = to_tensor(np.stack(small), self.device)
        return {
            "reference/face": faces.embedding,
            "reference/clip": self.clip.frames(tensor),
            "reference/clip_face": self.clip.faces(tensor, faces.landmarks),
        }

    def text(self, text: str) -> Features:
        """The CLIP embedding of a prompt."""
        with torch.no_grad():
            return {"text/clip": self.clip.texts([text])[0].cpu().numpy()}
