"""CLIP as ConsisID's evaluation calls it: its frames, their red and blue exchanged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from pvbench.evaluator import Evaluator, FeatureGroup, Features
from pvbench.features.published.settings import PublishedPart, settings_of
from pvbench.profile import Profile

if TYPE_CHECKING:
    from pvbench.features.published.open_clip_model import OpenClip

FRAMES = 16


def starts(total: int) -> NDArray[np.intp]:
    """The places of the frames: where each sixteenth of the video begins, so that the last frame is not among them."""
    return np.arange(FRAMES) * total // FRAMES


class ProtocolClip(Evaluator):
    """CLIP on ConsisID's frames.

    Source: PKU-YuanGroup/ConsisID@b6132de eval/get_clipscore.py, which hands OpenCV's frames, blue first, to a network
    that expects red first.
    """

    def __init__(self, network: OpenClip) -> None:
        self.network = network

    def make(self, group: str, given: Any, have: Features) -> Features:
        """Embeddings of unit length: (16, E) of a video's frames, (E,) of a text, cut off beyond 77 tokens."""
        if group == "text_consisid_clip":
            return {"text/consisid_clip": self.network.texts([given])[0]}
        frames = given.frames[starts(len(given.frames))]
        return {"consisid/clip": self.network.frames(np.ascontiguousarray(frames[..., ::-1]))}


class ProtocolClipLoader(PublishedPart):
    """Loads the CLIP that ConsisID's evaluation takes, whichever one the profile scores with otherwise."""

    name: ClassVar[str] = "protocol_clip"
    summary: ClassVar[str] = "OpenAI's CLIP ViT-B/32 as ConsisID calls it"
    part: ClassVar[str] = "protocol_clip"
    groups: ClassVar[tuple[FeatureGroup, ...]] = (
        FeatureGroup("consisid_clip", "video", ("consisid/clip",), on_demand=True),
        FeatureGroup("text_consisid_clip", "text", ("text/consisid_clip",), on_demand=True),
    )
    option: ClassVar[str] = "protocol_clip"
    memory_gib: ClassVar[float] = 1.0

    @classmethod
    def facts(cls, settings: Mapping[str, Any]) -> Mapping[str, Any]:
        """Network, preparation, frames and colours."""
        return {
            "model": f"{settings[cls.part]}-quickgelu",
            "resize": "short side, bicubic, centre crop",
            "frames_seen": f"the first of each of {FRAMES} pieces",
            "colours": "red and blue exchanged",
        }

    @classmethod
    def load(cls, profile: Profile, device: str) -> ProtocolClip:
        """The evaluator on a device."""
        from pvbench.features.published.open_clip_model import load_open_clip
        from pvbench.machine.devices import torch_device

        model = str(cls.facts(settings_of(profile))["model"])
        return ProtocolClip(load_open_clip(model, cls.weights(profile), torch_device(device)).pack())
