"""Whole heads of the miniature world: embedded with hair and skin, and read for hair, beard and glasses."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from pvbench.evaluator import Demands, Evaluator, FeatureGroup, Features
from pvbench.features.mini.part import HEAD_SIDE, HEAD_SPREAD, MiniPart, channels_last, folder, size
from pvbench.profile import Profile
from pvbench.world.vocabulary import LABELS

if TYPE_CHECKING:
    import torch

    from pvbench.features.mini.head_networks import HeadRecogniser, LookReader

LOOKS = ("hair", "hair_colour", "beard", "glasses")
"""The labels that a look has."""


class MiniHead(Evaluator):
    """The recogniser of heads and the reader of looks."""

    def __init__(
        self, recogniser: HeadRecogniser, reader: LookReader, height: int, width: int, device: torch.device
    ) -> None:
        self.recogniser, self.reader, self.size, self.device = recogniser, reader, (height, width), device

    def make(self, group: str, given: Any, have: Features) -> Features:
        """Of each frame or photo with a face, its head.

        `head/embedding` (T, 128) is L2-normalised, `look/...` (T, values) are probabilities; rows of frames without a
        face are NaN. Those of an identity's photos are `reference/head` and `reference/look_...`.
        """
        if group == "head":
            found = self.read(given.frames, have["face/landmarks"])
            return {"head/embedding": found.pop("embedding"), **{f"look/{name}": found[name] for name in LOOKS}}
        from pvbench.pixels import resize_photo

        found = self.read(np.stack([resize_photo(photo, *self.size) for photo in given]), have["reference/landmarks"])
        return {"reference/head": found.pop("embedding"), **{f"reference/look_{name}": found[name] for name in LOOKS}}

    def read(self, frames: np.ndarray, landmarks: np.ndarray) -> dict[str, np.ndarray]:
        """`embedding` (T, 128) and the probabilities of every look, of frames (T, H, W, 3) with landmarks (T, 5, 2)."""
        import torch

        from pvbench.features.face import embed_faces
        from pvbench.features.mini.head_networks import seen_heads

        seen = np.isfinite(landmarks).all(axis=(1, 2))
        wide = {"embedding": 128, **self.reader.values}
        found = {name: np.full((len(frames), width), np.nan, np.float32) for name, width in wide.items()}
        if not seen.any():
            return found
        _, heads = seen_heads(frames, landmarks, self.device)
        with torch.no_grad():
            found["embedding"][seen] = embed_faces(self.recogniser, heads).cpu().numpy()
            for name, logits in self.reader(heads).items():
                found[name][seen] = logits.float().softmax(dim=-1).cpu().numpy()
        return found


class MiniHeadLoader(MiniPart):
    """Loads the recogniser of heads and the reader of looks."""

    name: ClassVar[str] = "mini_head"
    summary: ClassVar[str] = "the miniature world's recogniser of whole heads and reader of looks"
    part: ClassVar[str] = "head"
    groups: ClassVar[tuple[FeatureGroup, ...]] = (
        FeatureGroup(
            "head",
            "video",
            ("head/embedding", *(f"look/{name}" for name in LOOKS)),
            reads=("face/landmarks",),
            on_demand=True,
        ),
        FeatureGroup(
            "reference_head",
            "reference",
            ("reference/head", *(f"reference/look_{name}" for name in LOOKS)),
            reads=("reference/landmarks",),
            on_demand=True,
        ),
    )
    models: ClassVar[tuple[str, ...]] = ("head_recogniser", "look_reader")

    @classmethod
    def facts(cls, profile: Profile) -> Mapping[str, Any]:
        """Sizes, and the order of a look's values."""
        values: Mapping[str, Sequence[str]] = {name: list(LABELS[name]) for name in LOOKS}
        return {"crop": HEAD_SIDE, "spread": HEAD_SPREAD, "reference_size": list(size(profile)), "values": values}

    @classmethod
    def demands(cls, profile: Profile) -> Demands:
        """Nothing that the evaluator of faces does not demand."""
        return Demands()

    @classmethod
    def load(cls, profile: Profile, device: str) -> MiniHead:
        """The evaluator on a device."""
        from pvbench.features.mini.face_extractor import load_state
        from pvbench.features.mini.head_networks import HeadRecogniser, LookReader
        from pvbench.machine.devices import torch_device
        from pvbench.weights import verified

        place = torch_device(device)
        of_heads, of_looks = (verified(folder(profile), name) for name in cls.models)
        reader = LookReader(**json.loads((of_looks / "config.json").read_text()))
        recogniser = channels_last(load_state(HeadRecogniser(), of_heads, place))
        looks = channels_last(load_state(reader, of_looks, place))
        return MiniHead(recogniser, looks, *size(profile), place)  # type: ignore[arg-type]
