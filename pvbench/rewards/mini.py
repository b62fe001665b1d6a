"""The rewards of the miniature world: a face recogniser and a CLIP that were trained apart from the scoring ones."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from pvbench.errors import ProfileError
from pvbench.machine.devices import torch_device
from pvbench.profile import Profile
from pvbench.reward import RewardLoader, Role
from pvbench.weights import signature as weights_signature
from pvbench.weights import weights_folder

if TYPE_CHECKING:
    from pvbench.rewards.face_adapter import FaceAdapter
    from pvbench.rewards.face_control import NetworkFaceControl
    from pvbench.rewards.identity import FaceReward
    from pvbench.rewards.segmenter import NetworkSegmenter
    from pvbench.rewards.semantic import PreferenceReward

_VERSION = 5


class _MiniLoader(RewardLoader):
    """A reward out of the folder that a profile's `[rewards] weights` names."""

    weights: ClassVar[tuple[str, ...]] = ("weights",)
    models: ClassVar[tuple[str, ...]]
    judge: ClassVar[str]

    @classmethod
    def signature(cls, profile: Profile) -> Mapping[str, Any]:
        """Digests of the weights."""
        return {"version": _VERSION, "weights": weights_signature(_folder(profile), *cls.models)}

    @classmethod
    def judges(cls, profile: Profile) -> frozenset[str]:
        """The network that compares; a detector that both sides share says nothing of a likeness."""
        return frozenset(weights_signature(_folder(profile), cls.judge).values())


class MiniIdentityLoader(_MiniLoader):
    """Cosine of the reward recogniser."""

    name: ClassVar[str] = "mini_identity"
    summary: ClassVar[str] = "the miniature world's reward recogniser"
    role: ClassVar[Role] = "identity"
    models: ClassVar[tuple[str, ...]] = ("face_detector", "face_recogniser_reward")
    judge: ClassVar[str] = "face_recogniser_reward"

    @classmethod
    def load(cls, profile: Profile, device: str) -> FaceReward:
        """The reward on a device."""
        from pvbench.features.mini.face_extractor import load_detector, load_recogniser
        from pvbench.rewards.identity import FaceReward

        folder, place = _folder(profile), torch_device(device)
        return FaceReward(load_detector(folder, place), load_recogniser(folder, "reward", place), place)


class MiniSemanticLoader(_MiniLoader):
    """Match of images and texts by the reward CLIP."""

    name: ClassVar[str] = "mini_semantic"
    summary: ClassVar[str] = "the miniature world's preference-tuned CLIP"
    role: ClassVar[Role] = "semantic"
    models: ClassVar[tuple[str, ...]] = ("clip_reward",)
    judge: ClassVar[str] = "clip_reward"

    @classmethod
    def load(cls, profile: Profile, device: str) -> PreferenceReward:
        """The reward on a device."""
        from pvbench.features.mini.clip_networks import ClipModel
        from pvbench.rewards.semantic import PreferenceReward

        return PreferenceReward(ClipModel.load(_folder(profile), "reward", torch_device(device)))


class MiniSegmenterLoader(_MiniLoader):
    """Person and head by a U-Net that was trained on the people of the backbone."""

    name: ClassVar[str] = "mini_segmenter"
    summary: ClassVar[str] = "the miniature world's segmenter of person and head"
    role: ClassVar[Role] = "segmenter"
    models: ClassVar[tuple[str, ...]] = ("segmenter",)
    judge: ClassVar[str] = "segmenter"

    @classmethod
    def load(cls, profile: Profile, device: str) -> NetworkSegmenter:
        """The segmenter on a device."""
        from pvbench.features.mini.face_extractor import load_state
        from pvbench.features.mini.segmenter_network import Segmenter
        from pvbench.rewards.segmenter import NetworkSegmenter
        from pvbench.weights import verified

        place = torch_device(device)
        folder = verified(_folder(profile), "segmenter")
        network = Segmenter(**json.loads((folder / "config.json").read_text()))
        return NetworkSegmenter(load_state(network, folder, place), place)  # type: ignore[arg-type]


class MiniFaceAdapterLoader(_MiniLoader):
    """ID-Animator in miniature: an IP-Adapter Plus for faces, and its LoRA."""

    name: ClassVar[str] = "mini_face_adapter"
    summary: ClassVar[str] = "the miniature world's adapter that takes a photo of a face as a prompt"
    role: ClassVar[Role] = "image_prompt"
    models: ClassVar[tuple[str, ...]] = ("face_detector", "face_image_encoder", "face_adapter")
    judge: ClassVar[str] = "face_image_encoder"

    @classmethod
    def load(cls, profile: Profile, device: str) -> FaceAdapter:
        """The adapter on a device."""
        from pvbench.features.mini.face_extractor import load_detector
        from pvbench.rewards.face_adapter import load_face_adapter
        from pvbench.weights import verified

        folder, place = _folder(profile), torch_device(device)
        encoder, adapter = (verified(folder, name) for name in cls.models[1:])
        return load_face_adapter(load_detector(folder, place), encoder, adapter, place)


class MiniFaceControlLoader(_MiniLoader):
    """ConsisID in miniature: a picture of the head beside the latents, a face beside the layers, and a LoRA."""

    name: ClassVar[str] = "mini_face_control"
    summary: ClassVar[str] = "the miniature world's control that holds a model to the face of a photo"
    role: ClassVar[Role] = "face_control"
    models: ClassVar[tuple[str, ...]] = (
        "face_detector", "segmenter", "face_recogniser_reward", "face_image_encoder", "face_control",
    )  # fmt: skip
    judge: ClassVar[str] = "face_recogniser_reward"

    @classmethod
    def load(cls, profile: Profile, device: str) -> NetworkFaceControl:
        """The control on a device."""
        from pvbench.features.mini.face_extractor import load_detector, load_recogniser
        from pvbench.rewards.face_control import load_face_control
        from pvbench.weights import verified

        folder, place = _folder(profile), torch_device(device)
        encoder, control = (verified(folder, name) for name in cls.models[3:])
        segmenter, recogniser = MiniSegmenterLoader.load(profile, device), load_recogniser(folder, "reward", place)
        return load_face_control(load_detector(folder, place), segmenter, recogniser, encoder, control, place)


def _folder(profile: Profile) -> Any:
    weights = profile.rewards.get("weights")
    if not isinstance(weights, str):
        raise ProfileError(
            f'profile {profile.name!r} [rewards]: weights is {weights!r}; expected a folder, or "mini" for the '
            f"weights that ship with pvbench"
        )
    return weights_folder(weights)
