"""I3D, whose embeddings FVD compares."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from pvbench.evaluator import Demands, Evaluator, FeatureGroup, Features
from pvbench.features.mini.video import VIDEO_GROUPS
from pvbench.features.published.settings import FEWEST_FRAMES, PublishedPart, settings_of
from pvbench.profile import Profile

if TYPE_CHECKING:
    from pvbench.features.published.i3d import I3D
    from pvbench.features.published.i3d_cpu import I3DOnCpu


class I3dVideo(Evaluator):
    """I3D on the first frames of a video."""

    def __init__(self, network: I3D | I3DOnCpu, frames: int, preprocessing: str) -> None:
        self.network, self.frames, self.preprocessing = network, frames, preprocessing

    def make(self, group: str, given: Any, have: Features) -> Features:
        """The embedding (V,) of a video."""
        from pvbench.features.published.i3d import embed

        return {"video/embedding": embed(self.network, given.frames[: self.frames], self.preprocessing)}


class I3dLoader(PublishedPart):
    """Loads I3D."""

    name: ClassVar[str] = "i3d"
    summary: ClassVar[str] = "I3D, trained on Kinetics-400"
    part: ClassVar[str] = "video"
    groups: ClassVar[tuple[FeatureGroup, ...]] = VIDEO_GROUPS
    option: ClassVar[str] = "i3d"
    memory_gib: ClassVar[float] = 1.0

    @classmethod
    def facts(cls, settings: Mapping[str, Any]) -> Mapping[str, Any]:
        """Preparation and frames."""
        return {"preprocessing": settings["preprocessing"], "frames_seen": f"first {settings['video_frames']}"}

    @classmethod
    def demands(cls, profile: Profile) -> Demands:
        """Ten frames at least."""
        return Demands(frames=FEWEST_FRAMES)

    @classmethod
    def load(cls, profile: Profile, device: str) -> I3dVideo:
        """The evaluator on a device."""
        from pvbench.features.published.i3d import load_i3d
        from pvbench.features.published.i3d_cpu import I3DOnCpu
        from pvbench.machine.devices import torch_device

        settings, place = settings_of(profile), torch_device(device)
        network = load_i3d(cls.weights(profile), place)
        fast = I3DOnCpu(network) if place.type == "cpu" else network
        return I3dVideo(fast, settings["video_frames"], settings["preprocessing"])
