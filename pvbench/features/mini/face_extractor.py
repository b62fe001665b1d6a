"""The mini profile's faces: its detector and a recogniser over the frames of a video."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import nn

from pvbench.errors import WeightsError
from pvbench.features.face import Faces, crop_faces, embed_faces, one_face_each
from pvbench.features.mini.face_networks import FaceDetector, PlainRecogniser, ResidualRecogniser
from pvbench.pixels import to_tensor
from pvbench.weights import verified

_RECOGNISERS: dict[str, type[nn.Module]] = {
    "ResidualRecogniser": ResidualRecogniser,
    "PlainRecogniser": PlainRecogniser,
}


def load_state(network: nn.Module, folder: Path, device: torch.device) -> nn.Module:
    """Fills a network from `model.safetensors` in the folder, frozen, in full precision.

    Raises:
        WeightsError: names or shapes do not fit.
    """
    file = folder / "model.safetensors"
    try:
        state = {name: value.float() if value.is_floating_point() else value for name, value in load_file(file).items()}
        missing, unexpected = network.load_state_dict(state, strict=False)
    except Exception as error:
        raise WeightsError(f"{file} cannot be loaded into {type(network).__name__}: {error}") from error
    missing = [name for name in missing if not name.endswith("num_batches_tracked")]
    if missing or unexpected:
        raise WeightsError(
            f"{file} does not fit {type(network).__name__}: lacks {missing[:3]}, has {unexpected[:3]} in addition"
        )
    return network.to(device).requires_grad_(False).eval()


def load_detector(weights: Path, device: torch.device) -> FaceDetector:
    """The mini face detector out of a folder of weights."""
    folder = verified(weights, "face_detector")
    config = json.loads((folder / "config.json").read_text())
    return load_state(FaceDetector(**config), folder, device)  # type: ignore[return-value]


def load_recogniser(weights: Path, role: str, device: torch.device) -> nn.Module:
    """The mini face recogniser of a role, `reward` or `scoring`."""
    folder = verified(weights, f"face_recogniser_{role}")
    config = json.loads((folder / "config.json").read_text())
    return load_state(_RECOGNISERS[config["network"]](), folder, device)


class FaceExtractor:
    """Detector and recogniser over the frames of a video."""

    def __init__(
        self, detector: FaceDetector, recogniser: nn.Module, device: torch.device, threshold: float = 0.5
    ) -> None:
        self.detector, self.recogniser, self.device, self.threshold = detector, recogniser, device, threshold

    def __call__(self, frames: NDArray[np.uint8]) -> Faces:
        """Faces of frames (T, H, W, 3)."""
        images = to_tensor(frames, self.device)
        found = [d for part in images.split(64) for d in self.detector.detect(part, self.threshold)]
        total = len(frames)
        landmarks = np.full((total, 5, 2), np.nan, np.float32)
        count = np.array([len(d.scores) for d in found], np.float32)
        for i, detection in enumerate(found):
            if len(detection.scores):
                landmarks[i] = detection.landmarks[0].cpu().numpy()
        have = count > 0
        size = 128
        embedding = np.full((total, size), np.nan, np.float32)
        box = np.full((total, 4), np.nan, np.float32)
        if have.any():
            points = torch.from_numpy(landmarks[have]).to(self.device)
            with torch.no_grad():
                crops = crop_faces(images[torch.from_numpy(have)], points)
                embedding[have] = embed_faces(self.recogniser, crops).cpu().numpy()
            middle = landmarks[have].mean(axis=1)
            half = np.linalg.norm(landmarks[have][:, 1] - landmarks[have][:, 0], axis=1)[:, None] * 1.6
            box[have] = np.concatenate([middle - half, middle + half], axis=1)
        return Faces(landmarks, count, embedding, box)

    def reference(self, images: list[NDArray[np.uint8]]) -> Faces:
        """Faces of reference photos, each resized to (H, W) already.

        Raises:
            FaceError: a photo shows no face, or more than one.
        """
        advice = "seen from the front (up to 40 degrees), as large as a head-and-shoulders portrait: replace the photo"
        return one_face_each(self, images, advice)
