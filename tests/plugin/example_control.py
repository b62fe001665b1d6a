"""A face control for the tiny ConsisID: a photo is known by its mean colour."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pvbench.profile import Profile
from pvbench.reward import FaceControl, FaceSeen, RewardLoader


class MeanColour(FaceControl):
    """No networks and no tensors: the model has its control already."""

    def __init__(self) -> None:
        self.tensors, self.lora = {}, {}

    def see(self, photo: Any, height: int, width: int) -> FaceSeen:
        import torch

        mean = torch.tensor(photo.mean(axis=(0, 1)) / 127.5 - 1, dtype=torch.float32)
        states = tuple(torch.cat([mean, mean, mean])[None, None, :8].expand(-1, 5, -1) * depth for depth in (1, 2))
        return FaceSeen(mean.view(1, 3, 1, 1).expand(-1, -1, height, width), torch.cat([mean, -mean])[None], states)


class MeanColourLoader(RewardLoader):
    name = "example_control"
    summary = "the mean colour of a photo"
    role = "face_control"

    @classmethod
    def signature(cls, profile: Profile) -> Mapping[str, Any]:
        return {"version": 1}

    @classmethod
    def load(cls, profile: Profile, device: str) -> MeanColour:
        return MeanColour()
