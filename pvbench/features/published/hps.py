"""HPSv2: would people prefer these pictures for this prompt?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from pvbench.evaluator import Evaluator, FeatureGroup, Features
from pvbench.features.mini.hps import HPS_GROUPS
from pvbench.features.published.settings import PublishedPart, seen, settings_of
from pvbench.profile import Profile

if TYPE_CHECKING:
    from pvbench.features.published.open_clip_model import OpenClip


class Hpsv2(Evaluator):
    """A CLIP that was tuned on people's choices."""

    def __init__(self, network: OpenClip, frames: int) -> None:
        self.network, self.frames = network, frames

    def make(self, group: str, given: Any, have: Features) -> Features:
        """Embeddings of unit length of the frames that are looked at, or of a text."""
        if group == "text_hps":
            return {"text/hps": self.network.texts([given])[0]}
        return {"hps/frame": self.network.hps_frames(seen(given.frames, self.frames))}


class Hpsv2Loader(PublishedPart):
    """Loads HPSv2, 2.0 or 2.1."""

    name: ClassVar[str] = "hpsv2"
    summary: ClassVar[str] = "HPSv2 on CLIP ViT-H/14"
    part: ClassVar[str] = "hps"
    groups: ClassVar[tuple[FeatureGroup, ...]] = HPS_GROUPS
    option: ClassVar[str] = "hps"
    memory_gib: ClassVar[float] = 5.0

    @classmethod
    def facts(cls, settings: Mapping[str, Any]) -> Mapping[str, Any]:
        """Network, preparation and frames."""
        return {
            "model": settings["hps_model"],
            "resize": "long side, bicubic, black borders",
            "frames_seen": settings["frames"] or "all",
        }

    @classmethod
    def load(cls, profile: Profile, device: str) -> Hpsv2:
        """The evaluator on a device."""
        from pvbench.features.published.open_clip_model import load_open_clip
        from pvbench.machine.devices import torch_device

        settings = settings_of(profile)
        network = load_open_clip(settings["hps_model"], cls.weights(profile), torch_device(device)).pack()
        return Hpsv2(network, settings["frames"])
