"""Preferences in the miniature world: its reward CLIP in the place of HPSv2."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pvbench.evaluator import Evaluator, FeatureGroup, Features
from pvbench.features.mini.clip import text_embedding
from pvbench.features.mini.part import MiniPart, folder
from pvbench.profile import Profile

if TYPE_CHECKING:
    from pvbench.features.mini.clip_networks import ClipModel

HPS_GROUPS = (
    FeatureGroup("hps", "video", ("hps/frame",), on_demand=True),
    FeatureGroup("text_hps", "text", ("text/hps",), on_demand=True),
)
"""The groups of every network that knows what people prefer."""


class MiniHps(Evaluator):
    """The reward CLIP."""

    def __init__(self, network: ClipModel) -> None:
        self.network = network

    def make(self, group: str, given: Any, have: Features) -> Features:
        """Embeddings of unit length of frames, or of a text."""
        if group == "text_hps":
            return {"text/hps": text_embedding(self.network, given)}
        from pvbench.pixels import to_tensor

        return {"hps/frame": self.network.frames(to_tensor(given.frames, self.network.device))}


class MiniHpsLoader(MiniPart):
    """Loads the reward CLIP."""

    name: ClassVar[str] = "mini_hps"
    summary: ClassVar[str] = "the miniature world's preference-tuned CLIP, which is also its semantic reward"
    part: ClassVar[str] = "hps"
    groups: ClassVar[tuple[FeatureGroup, ...]] = HPS_GROUPS
    models: ClassVar[tuple[str, ...]] = ("clip_reward",)

    @classmethod
    def load(cls, profile: Profile, device: str) -> MiniHps:
        """The evaluator on a device."""
        from pvbench.features.mini.clip_networks import ClipModel
        from pvbench.machine.devices import torch_device

        return MiniHps(ClipModel.load(folder(profile), "reward", torch_device(device)))
