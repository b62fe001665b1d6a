"""OpenAI's CLIP by open_clip."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from pvbench.evaluator import Evaluator, FeatureGroup, Features
from pvbench.features.mini.clip import CLIP_GROUPS
from pvbench.features.published.settings import PublishedPart, clip_model, seen, settings_of
from pvbench.profile import Profile

if TYPE_CHECKING:
    from pvbench.features.published.open_clip_model import OpenClip


class OpenAiClip(Evaluator):
    """A CLIP; `frames` are looked at, evenly spread, all for 0."""

    def __init__(self, network: OpenClip, frames: int) -> None:
        self.network, self.frames = network, frames

    def make(self, group: str, given: Any, have: Features) -> Features:
        """Embeddings of unit length; NaN rows where there is no face to crop."""
        network = self.network
        if group == "text":
            counts = np.array((network.token_count(given), network.context), np.float32)
            return {"text/clip": network.texts([given])[0], "text/tokens": counts}
        if group == "clip":
            return {"clip/frame": network.frames(seen(given.frames, self.frames))}
        if group == "clip_face":
            return {"clip/face": network.faces(seen(given.frames, self.frames), have["face/landmarks"])}
        photos = [np.ascontiguousarray(photo) for photo in given]
        if group == "reference_clip":
            return {"reference/clip": network.frames(photos)}
        return {"reference/clip_face": network.faces(photos, have["reference/landmarks"])}


class OpenAiClipLoader(PublishedPart):
    """Loads OpenAI's CLIP, or another that open_clip knows."""

    name: ClassVar[str] = "openai_clip"
    summary: ClassVar[str] = "OpenAI's CLIP ViT-B/32 or ViT-L/14"
    part: ClassVar[str] = "clip"
    groups: ClassVar[tuple[FeatureGroup, ...]] = CLIP_GROUPS
    option: ClassVar[str] = "clip"
    memory_gib: ClassVar[float] = 1.0

    @classmethod
    def facts(cls, settings: Mapping[str, Any]) -> Mapping[str, Any]:
        """Network, preparation and frames."""
        return {
            "model": clip_model(settings),
            "resize": "short side, bicubic, centre crop",
            "frames_seen": settings["frames"] or "all",
            "face_crop": "1.9 times the recogniser's field",
        }

    @classmethod
    def load(cls, profile: Profile, device: str) -> OpenAiClip:
        """The evaluator on a device."""
        from pvbench.features.published.open_clip_model import load_open_clip
        from pvbench.machine.devices import torch_device

        settings = settings_of(profile)
        network = load_open_clip(clip_model(settings), cls.weights(profile), torch_device(device)).pack()
        return OpenAiClip(network, settings["frames"])
