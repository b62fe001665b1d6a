"""Faces of the miniature world: found, aligned and embedded by small networks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from pvbench.evaluator import Evaluator, FeatureGroup, Features
from pvbench.features.mini.part import MiniPart, channels_last, folder, size
from pvbench.profile import Profile

if TYPE_CHECKING:
    from pvbench.features.face import Faces
    from pvbench.features.mini.face_extractor import FaceExtractor

FACE_GROUPS = (
    FeatureGroup(
        "face", "video", ("face/embedding", "face/detected", "face/box", "face/count", "face/landmarks")
    ),
    FeatureGroup("reference_face", "reference", ("reference/face", "reference/landmarks")),
)  # fmt: skip
"""The groups of every evaluator of faces."""

THRESHOLD = 0.5


def face_features(faces: Faces) -> Features:
    """The group `face` of the faces of a video's frames."""
    return {
        "face/embedding": faces.embedding,
        "face/detected": (faces.count > 0).astype(np.float32),
        "face/box": faces.box,
        "face/count": faces.count,
        "face/landmarks": faces.landmarks,
    }


class MiniFace(Evaluator):
    """Detector and scoring recogniser."""

    def __init__(self, network: FaceExtractor, height: int, width: int) -> None:
        self.network, self.size = network, (height, width)

    def make(self, group: str, given: Any, have: Features) -> Features:
        """The best face of each frame, or the one face of each photo."""
        if group == "face":
            return face_features(self.network(given.frames))
        from pvbench.pixels import resize_photo

        faces = self.network.reference([resize_photo(photo, *self.size) for photo in given])
        return {"reference/face": faces.embedding, "reference/landmarks": faces.landmarks}


class MiniFaceLoader(MiniPart):
    """Loads detector and scoring recogniser."""

    name: ClassVar[str] = "mini_face"
    summary: ClassVar[str] = "the miniature world's face detector and scoring recogniser"
    part: ClassVar[str] = "face"
    groups: ClassVar[tuple[FeatureGroup, ...]] = FACE_GROUPS
    models: ClassVar[tuple[str, ...]] = ("face_detector", "face_recogniser_scoring")

    @classmethod
    def facts(cls, profile: Profile) -> Mapping[str, Any]:
        """Threshold and sizes."""
        return {"threshold": THRESHOLD, "crop": 32, "reference_size": list(size(profile)), "face": "best score"}

    @classmethod
    def load(cls, profile: Profile, device: str) -> MiniFace:
        """The evaluator on a device."""
        from pvbench.features.mini.face_extractor import FaceExtractor, load_detector, load_recogniser
        from pvbench.machine.devices import torch_device

        weights, place = folder(profile), torch_device(device)
        detector, recogniser = load_detector(weights, place), load_recogniser(weights, "scoring", place)
        return MiniFace(FaceExtractor(detector, channels_last(recogniser), place, THRESHOLD), *size(profile))
