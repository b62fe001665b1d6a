"""The video encoder of the miniature world, whose embeddings FVD compares."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar

from pvbench.evaluator import Demands, Evaluator, FeatureGroup, Features
from pvbench.features.mini.part import MiniPart, folder, size
from pvbench.profile import Profile

if TYPE_CHECKING:
    import torch

    from pvbench.features.mini.video_networks import VideoEncoder

VIDEO_GROUPS = (FeatureGroup("video", "video", ("video/embedding",)),)
"""The groups of every encoder of videos."""

FRAMES_MULTIPLE = 4
"""The encoder halves a video's length twice."""


class MiniVideo(Evaluator):
    """The video encoder."""

    def __init__(self, network: VideoEncoder, device: torch.device) -> None:
        self.network, self.device = network, device

    def make(self, group: str, given: Any, have: Features) -> Features:
        """The embedding (V,) of a video, not normalised."""
        import torch

        from pvbench.pixels import to_tensor

        images = to_tensor(given.frames, self.device)
        with torch.no_grad():
            found = self.network.embedding(images.transpose(0, 1)[None])[0].cpu().numpy()
        return {"video/embedding": found}


class MiniVideoLoader(MiniPart):
    """Loads the video encoder."""

    name: ClassVar[str] = "mini_video"
    summary: ClassVar[str] = "the miniature world's video encoder"
    part: ClassVar[str] = "video"
    groups: ClassVar[tuple[FeatureGroup, ...]] = VIDEO_GROUPS
    models: ClassVar[tuple[str, ...]] = ("video_encoder",)

    @classmethod
    def demands(cls, profile: Profile) -> Demands:
        """Frames of the profile's size, a multiple of four."""
        return Demands(size=size(profile), multiple=FRAMES_MULTIPLE)

    @classmethod
    def load(cls, profile: Profile, device: str) -> MiniVideo:
        """The evaluator on a device."""
        from pvbench.features.mini.face_extractor import load_state
        from pvbench.features.mini.video_networks import VideoEncoder
        from pvbench.machine.devices import torch_device
        from pvbench.weights import verified

        place = torch_device(device)
        of_encoder = verified(folder(profile), "video_encoder")
        encoder = VideoEncoder(**json.loads((of_encoder / "config.json").read_text()))
        return MiniVideo(load_state(encoder, of_encoder, place), place)  # type: ignore[arg-type]
