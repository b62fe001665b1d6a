"""Faces by InsightFace's packs: SCRFD and ArcFace."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from pvbench.evaluator import Evaluator, FeatureGroup, Features
from pvbench.features.mini.face import FACE_GROUPS, face_features
from pvbench.features.published.settings import PublishedPart, seen, settings_of
from pvbench.profile import Profile

if TYPE_CHECKING:
    from pvbench.features.published.insightface_faces import InsightFaces


class InsightFace(Evaluator):
    """Detector and recogniser of a pack."""

    def __init__(self, network: InsightFaces, frames: int) -> None:
        self.network, self.frames = network, frames

    def make(self, group: str, given: Any, have: Features) -> Features:
        """The largest face of each frame that is looked at, or the one face of each photo at its own resolution."""
        if group == "face":
            return face_features(self.network(seen(given.frames, self.frames)))
        faces = self.network.reference([np.ascontiguousarray(photo) for photo in given])
        return {"reference/face": faces.embedding, "reference/landmarks": faces.landmarks}


class InsightFaceLoader(PublishedPart):
    """Loads a pack of InsightFace's."""

    name: ClassVar[str] = "insightface"
    summary: ClassVar[str] = "InsightFace's antelopev2 or buffalo_l"
    part: ClassVar[str] = "face"
    groups: ClassVar[tuple[FeatureGroup, ...]] = FACE_GROUPS
    option: ClassVar[str] = "face"
    memory_gib: ClassVar[float] = 1.0

    @classmethod
    def facts(cls, settings: Mapping[str, Any]) -> Mapping[str, Any]:
        """Detection, choice and frames."""
        detection = "640x640, score 0.5; where none, once more in a border of half the side"
        return {"detection": detection, "face": "largest", "frames_seen": settings["frames"] or "all"}

    @classmethod
    def load(cls, profile: Profile, device: str) -> InsightFace:
        """The evaluator on a device."""
        from pvbench.features.published.insightface_faces import load_pack
        from pvbench.machine.devices import torch_device

        return InsightFace(load_pack(cls.weights(profile), torch_device(device)), settings_of(profile)["frames"])
