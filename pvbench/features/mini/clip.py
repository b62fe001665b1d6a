"""The scoring CLIP of the miniature world: frames, face crops and texts in one space."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from pvbench.evaluator import Evaluator, FeatureGroup, Features
from pvbench.features.mini.part import MiniPart, channels_last, folder, size
from pvbench.profile import Profile

if TYPE_CHECKING:
    from pvbench.features.mini.clip_networks import ClipModel

CLIP_GROUPS = (
    FeatureGroup("clip", "video", ("clip/frame",)),
    FeatureGroup("clip_face", "video", ("clip/face",), reads=("face/landmarks",)),
    FeatureGroup("reference_clip", "reference", ("reference/clip",)),
    FeatureGroup("reference_clip_face", "reference", ("reference/clip_face",), reads=("reference/landmarks",)),
    FeatureGroup("text", "text", ("text/clip", "text/tokens")),
)
"""The groups of every CLIP that scores."""


class MiniClip(Evaluator):
    """The scoring CLIP."""

    def __init__(self, network: ClipModel, height: int, width: int) -> None:
        self.network, self.size = network, (height, width)

    def make(self, group: str, given: Any, have: Features) -> Features:
        """Embeddings of unit length; NaN rows where there is no face to crop."""
        from pvbench.pixels import resize_photo, to_tensor

        network = self.network
        if group == "text":
            counts = np.array((network.token_count(given), network.context), np.float32)
            return {"text/clip": text_embedding(network, given), "text/tokens": counts}
        if group in ("clip", "clip_face"):
            frames = to_tensor(given.frames, network.device)
        else:
            frames = to_tensor(np.stack([resize_photo(photo, *self.size) for photo in given]), network.device)
        if group == "clip":
            return {"clip/frame": network.frames(frames)}
        if group == "clip_face":
            return {"clip/face": network.faces(frames, have["face/landmarks"])}
        if group == "reference_clip":
            return {"reference/clip": network.frames(frames)}
        return {"reference/clip_face": network.faces(frames, have["reference/landmarks"])}


def text_embedding(network: ClipModel, text: str) -> np.ndarray:
    """The unit embedding (E,) of a text, cut at the context's length."""
    import torch

    with torch.no_grad():
        found: np.ndarray = network.texts([text])[0].cpu().numpy()
    return found


class MiniClipLoader(MiniPart):
    """Loads the scoring CLIP."""

    name: ClassVar[str] = "mini_clip"
    summary: ClassVar[str] = "the miniature world's scoring CLIP"
    part: ClassVar[str] = "clip"
    groups: ClassVar[tuple[FeatureGroup, ...]] = CLIP_GROUPS
    # Face crops are cut where the detector finds landmarks.
    models: ClassVar[tuple[str, ...]] = ("clip_scoring", "face_detector")

    @classmethod
    def facts(cls, profile: Profile) -> Mapping[str, Any]:
        """How faces are cropped, and the size of photos."""
        return {"face_crop": "64 px, 1.9 times the recogniser's field", "reference_size": list(size(profile))}

    @classmethod
    def load(cls, profile: Profile, device: str) -> MiniClip:
        """The evaluator on a device."""
        from pvbench.features.mini.clip_networks import ClipModel
        from pvbench.machine.devices import torch_device

        network = ClipModel.load(folder(profile), "scoring", torch_device(device))
        network.model = channels_last(network.model)
        return MiniClip(network, *size(profile))
