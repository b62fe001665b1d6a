"""Optical flow by RAFT, as VBench measures motion."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from pvbench.evaluator import Demands, Evaluator, FeatureGroup, Features
from pvbench.features.mini.flow import FLOW_GROUPS, SAMPLING, flow_features
from pvbench.features.published.settings import PublishedPart, flow_bytes
from pvbench.profile import Profile

if TYPE_CHECKING:
    from pvbench.features.published.raft import Raft


class RaftFlow(Evaluator):
    """RAFT."""

    def __init__(self, network: Raft) -> None:
        self.network = network

    def make(self, group: str, given: Any, have: Features) -> Features:
        """Magnitudes of the flow, or what it leaves unexplained."""
        return flow_features(group, given, self.network, self.fields)

    def fields(self, frames: np.ndarray) -> Iterator[np.ndarray]:
        """The flow of each pair (H, W, 2), without the padding, at the frames' own size."""
        import cv2

        from pvbench.features.published.raft import working_size

        height, width = frames.shape[1:3]
        rows, columns = working_size(height, width)
        for some in self.network.fields(frames):
            top, left = (some.shape[2] - rows) // 2, (some.shape[3] - columns) // 2
            inner = some[:, :, top : top + rows, left : left + columns].permute(0, 2, 3, 1).cpu().numpy()
            for field in inner:
                same = (rows, columns) == (height, width)
                yield np.asarray(field if same else cv2.resize(field, (width, height)), np.float32)


class RaftLoader(PublishedPart):
    """Loads RAFT, the large or the small network."""

    name: ClassVar[str] = "raft"
    summary: ClassVar[str] = "RAFT, trained on FlyingThings"
    part: ClassVar[str] = "flow"
    groups: ClassVar[tuple[FeatureGroup, ...]] = FLOW_GROUPS
    option: ClassVar[str] = "raft"
    memory_gib: ClassVar[float] = 4.0

    @classmethod
    def facts(cls, settings: Mapping[str, Any]) -> Mapping[str, Any]:
        """Iterations and sizes."""
        return {"updates": 20, "rate": SAMPLING, "below_128_px": "scaled up"}

    @classmethod
    def demands(cls, profile: Profile) -> Demands:
        """Memory that grows with the square of the frame's area."""
        return Demands(bytes_of=flow_bytes)

    @classmethod
    def load(cls, profile: Profile, device: str) -> RaftFlow:
        """The evaluator on a device."""
        from pvbench.features.published.raft import load_raft
        from pvbench.machine.devices import torch_device

        return RaftFlow(load_raft(cls.weights(profile), torch_device(device)))
