"""DINO, by which VBench measures whether a subject keeps its looks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from pvbench.evaluator import Evaluator, FeatureGroup, Features
from pvbench.features.published.settings import PublishedPart, seen, settings_of
from pvbench.profile import Profile

if TYPE_CHECKING:
    from pvbench.features.published.dino_network import Dino


class DinoFrames(Evaluator):
    """DINO on whole frames."""

    def __init__(self, network: Dino, frames: int) -> None:
        self.network, self.frames = network, frames

    def make(self, group: str, given: Any, have: Features) -> Features:
        """Embeddings of unit length of the frames that are looked at."""
        return {"dino/frame": self.network(seen(given.frames, self.frames))}


class DinoLoader(PublishedPart):
    """Loads DINO."""

    name: ClassVar[str] = "dino"
    summary: ClassVar[str] = "DINO ViT-B/16"
    part: ClassVar[str] = "dino"
    groups: ClassVar[tuple[FeatureGroup, ...]] = (
        FeatureGroup("dino", "video", ("dino/frame",), on_demand=True),
    )  # fmt: skip
    option: ClassVar[str] = "dino"
    memory_gib: ClassVar[float] = 1.0

    @classmethod
    def facts(cls, settings: Mapping[str, Any]) -> Mapping[str, Any]:
        """Preparation and frames."""
        seen_in = settings["frames"] or "all"
        return {"resize": "short side 224, bilinear, nothing cut off", "frames_seen": seen_in}

    @classmethod
    def load(cls, profile: Profile, device: str) -> DinoFrames:
        """The evaluator on a device."""
        from pvbench.features.published.dino_network import load_dino
        from pvbench.machine.devices import torch_device

        return DinoFrames(load_dino(cls.weights(profile), torch_device(device)), settings_of(profile)["frames"])
