"""Networks that say how like a person a picture is: the scoring side's two, and the one that methods tune with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from pvbench.features.face import embed_faces
from pvbench.features.mini.face_extractor import FaceExtractor, load_detector, load_recogniser, load_state
from pvbench.features.mini.head_networks import HeadRecogniser, seen_heads
from pvbench.weights import verified

Image = NDArray[np.uint8]


class FaceJudge:
    """A recogniser of faces: embeddings (n, 128) of pictures, NaN rows where there is no face."""

    def __init__(self, extractor: FaceExtractor) -> None:
        self.extractor = extractor

    def __call__(self, images: Sequence[Image]) -> NDArray[np.float32]:
        """Embeddings of pictures of one size."""
        return self.extractor(np.stack(images)).embedding


class HeadJudge(FaceJudge):
    """The recogniser of heads, on the landmarks of the scoring side's detector."""

    def __init__(self, extractor: FaceExtractor, recogniser: HeadRecogniser) -> None:
        super().__init__(extractor)
        self.recogniser = recogniser

    def __call__(self, images: Sequence[Image]) -> NDArray[np.float32]:
        """Embeddings of the heads in pictures of one size."""
        frames = np.stack(images)
        landmarks = self.extractor(frames).landmarks
        found = np.full((len(frames), 128), np.nan, np.float32)
        if np.isfinite(landmarks).all(axis=(1, 2)).any():
            seen, heads = seen_heads(frames, landmarks, self.extractor.device)
            with torch.no_grad():
                found[seen] = embed_faces(self.recogniser, heads).cpu().numpy()
        return found


def load_judges(weights: Path, device: str = "cpu") -> dict[str, FaceJudge]:
    """The judges of faces and heads, and `coach`, the reward's recogniser, which is none."""
    face = load_face_extractor(weights, device)
    place = face.device
    coach = FaceExtractor(load_detector(weights, place), load_recogniser(weights, "reward", place), place)
    heads = load_state(HeadRecogniser(), verified(weights, "head_recogniser"), place)
    return {"face": FaceJudge(face), "head": HeadJudge(face, heads), "coach": FaceJudge(coach)}  # type: ignore[arg-type]


def load_face_extractor(weights: Path, device: str = "cpu") -> FaceExtractor:
    """The scoring side's detector and recogniser alone."""
    from pvbench.machine.devices import torch_device

    place = torch_device(device)
    return FaceExtractor(load_detector(weights, place), load_recogniser(weights, "scoring", place), place)
