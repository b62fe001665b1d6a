"""Styles of the miniature world, read from frames: is a video a photograph's, a cartoon's or a sketch's?"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from pvbench.evaluator import Evaluator, FeatureGroup, Features
from pvbench.features.mini.part import MiniPart, folder
from pvbench.profile import Profile
from pvbench.world.vocabulary import STYLES

if TYPE_CHECKING:
    import torch

    from pvbench.features.mini.style_network import StyleReader


KINDS = ("photo", *STYLES)
"""What a picture can be, by its place among the probabilities; a frame of a video is a photo."""


class MiniStyle(Evaluator):
    """The reader of styles."""

    def __init__(self, reader: StyleReader, device: torch.device) -> None:
        self.reader, self.device = reader, device

    def make(self, group: str, given: Any, have: Features) -> Features:
        """`style/probability` (T, 3): of a photo, a cartoon and a sketch, for each frame by itself."""
        import torch

        from pvbench.pixels import to_tensor

        with torch.no_grad():
            found = self.reader(to_tensor(given.frames, self.device)).softmax(dim=-1)
        return {"style/probability": found.cpu().numpy().astype(np.float32)}


class MiniStyleLoader(MiniPart):
    """Loads the reader of styles."""

    name: ClassVar[str] = "mini_style"
    summary: ClassVar[str] = "the miniature world's reader of styles: photo, cartoon or sketch"
    part: ClassVar[str] = "style"
    groups: ClassVar[tuple[FeatureGroup, ...]] = (
        FeatureGroup("style", "video", ("style/probability",), on_demand=True),
    )
    models: ClassVar[tuple[str, ...]] = ("style_reader",)

    @classmethod
    def facts(cls, profile: Profile) -> Mapping[str, Any]:
        """The order of the probabilities."""
        return {"kinds": list(KINDS)}

    @classmethod
    def load(cls, profile: Profile, device: str) -> MiniStyle:
        """The evaluator on a device."""
        from pvbench.features.mini.face_extractor import load_state
        from pvbench.features.mini.style_network import StyleReader
        from pvbench.machine.devices import torch_device
        from pvbench.weights import verified

        place, of_reader = torch_device(device), verified(folder(profile), "style_reader")
        reader = StyleReader(**json.loads((of_reader / "config.json").read_text()))
        load_state(reader, of_reader, place)
        return MiniStyle(reader, place)
