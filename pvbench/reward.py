"""The interface of rewards: frozen networks that methods tune with, found by the names in a profile's `[rewards]`.

Rewards are not evaluators: what a method was tuned with may not score it, so a profile whose reward is a network of its
evaluators is refused.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from pvbench.errors import ProfileError
from pvbench.loader import Loader
from pvbench.profile import Profile
from pvbench.registry import Registry

if TYPE_CHECKING:
    import torch
    from jaxtyping import Float
    from torch import Tensor

Role = Literal["identity", "semantic", "segmenter", "image_prompt", "ip_adapter", "face_control"]
ROLES: tuple[Role, ...] = ("identity", "semantic", "segmenter", "image_prompt", "ip_adapter", "face_control")
"""What there is to tune or to prompt with: whose face a frame shows, how well it fits the prompt, which pixels show the
person, two adapters that were trained to take photos as prompts, and one that was trained to hold a model to a face."""

IDENTITY_REWARD = "reward.identity"
SEMANTIC_REWARD = "reward.semantic"
SEGMENTER = "reward.segmenter"
FACE_CONTROL = "reward.face_control"
"""What a method asks for that works with one of them; see `Method.asks`."""


@dataclass(frozen=True)
class Jitter:
    """Sizes of the random changes before faces are compared; 0 is none.

    Attributes:
        reference: of the gain and offset of each colour of the references, which the paper has.
        image: the same of the generated crops: a colour cast then earns nothing.
        crop: of the shift and scale of the generated crops, which are also blurred where it is not 0: a likeness that
            lives in single pixels earns less.
    """

    reference: float = 0.0
    image: float = 0.0
    crop: float = 0.0


class IdentityReward(ABC):
    """How like a person's references a generated face is, differentiably.

    Source: PersonalVideo, eq. 2, read as 1 - cos, as printed it would minimise the similarity.
    """

    @abstractmethod
    def reference(self, photos: Sequence[NDArray[np.uint8]], height: int, width: int) -> Any:
        """A person as the reward knows them; methods hand it on and do not look into it.

        Args:
            photos: (H, W, 3) each, of any size.
            height, width: of the generated frames, in pixels, to whose size photos are brought.

        Raises:
            FaceError: a photo shows no face, or more than one.
        """

    @abstractmethod
    def __call__(
        self, images: Float[Tensor, "n 3 H W"], reference: Any, jitter: Jitter, generator: torch.Generator
    ) -> Float[Tensor, " m"] | None:
        """1 - cosine (m,), in [0, 2], of the images that show a face; None where none does.

        Args:
            images: (n, 3, H, W) in about [-1, 1], with gradient.
            jitter: sizes of the random changes of references and images.
            generator: draws them, on the CPU.
        """

    @abstractmethod
    def landmarks(self, images: Float[Tensor, "n 3 H W"]) -> Float[Tensor, "n 5 2"]:
        """Eyes, tip of the nose and corners of the mouth of each image's best face; NaN where there is no face.

        Args:
            images: (n, 3, H, W) in about [-1, 1].

        Returns:
            (n, 5, 2), x and y in pixels, the eye on the left of the picture first.
        """

    @abstractmethod
    def face_mask(self, images: Float[Tensor, "n 3 H W"]) -> Float[Tensor, "n 1 H W"]:
        """How near each pixel is to the best face (n, 1, H, W), from 0 to 1; all 0 where there is no face.

        Args:
            images: (n, 3, H, W) in about [-1, 1].
        """


class SemanticReward(ABC):
    """How well images match a text, by a preference-tuned network, differentiably."""

    @abstractmethod
    def scores(self, images: Float[Tensor, "n 3 H W"], text: str) -> Float[Tensor, " n"]:
        """Cosine (n,) of each image (n, 3, H, W), in about [-1, 1], to the text."""


class PersonSegmenter(ABC):
    """Which pixels of a picture show the person, and which the person's head."""

    @abstractmethod
    def person(self, images: Float[Tensor, "n 3 H W"]) -> Float[Tensor, "n 1 H W"]:
        """How likely each pixel shows the person, head and clothes included: (n, 1, H, W) in [0, 1].

        Args:
            images: (n, 3, H, W) in about [-1, 1].
        """

    @abstractmethod
    def head(self, images: Float[Tensor, "n 3 H W"]) -> Float[Tensor, "n 1 H W"]:
        """The same for the head, with hair, ears and what is worn there, without the neck: (n, 1, H, W) in [0, 1]."""


class PhotoPrompt(ABC):
    """An adapter that was trained once, on many people, so that a backbone takes photos of a face as a prompt.

    Attributes:
        tensors: for `LatentBackbone.load_image_prompt`, under the keys that diffusers' `load_ip_adapter` reads.
        lora: for `LatentBackbone.load_lora`, what was trained beside it; empty for none.
    """

    tensors: Mapping[str, Tensor]
    lora: Mapping[str, Tensor]

    @abstractmethod
    def states(
        self, photos: Sequence[NDArray[np.uint8]], height: int, width: int
    ) -> Float[Tensor, "photos length width"]:
        """What the adapter's own image encoder makes of each photo's face: (photos, length, width).

        Args:
            photos: (H, W, 3) each, of any size.
            height, width: of the generated frames, in pixels, to whose size photos are brought.

        Raises:
            FaceError: a photo shows no face, or more than one.
        """

    @abstractmethod
    def empty(self) -> Float[Tensor, "1 length width"]:
        """What it makes of a black picture (1, length, width), for guidance without a prompt."""


@dataclass(frozen=True, eq=False)
class FaceSeen:
    """A photo as a face control reads it.

    Attributes:
        picture: the head by itself (1, 3, H, W) in [-1, 1], of the size of the generated frames.
        identity: the face's vector (1, d).
        states: an image encoder's hidden states (1, length, width), one for each depth that is read.
    """

    picture: Tensor
    identity: Tensor
    states: tuple[Tensor, ...]


class FaceControl(ABC):
    """What was trained once, on many people, so that a backbone holds itself to the face of a photo.

    Attributes:
        tensors: for `LatentBackbone.load_face_control`.
        lora: for `LatentBackbone.load_lora`, what was trained beside it; empty for none.
    """

    tensors: Mapping[str, Tensor]
    lora: Mapping[str, Tensor]

    @abstractmethod
    def see(self, photo: NDArray[np.uint8], height: int, width: int) -> FaceSeen:
        """What the control reads of a photo.

        Args:
            photo: (H, W, 3), of any size.
            height, width: of the generated frames, in pixels.

        Raises:
            FaceError: the photo shows no face or head, or more than one face.
        """


def divergence(tuned: Float[Tensor, " m"], frozen: Float[Tensor, " m"], temperature: float) -> Float[Tensor, ""]:
    """KL(softmax(tuned) || softmax(frozen)) over the frames (M,), in nats; 0 where the scores differ by a constant."""
    target = (temperature * tuned).log_softmax(dim=-1)
    source = (temperature * frozen.detach()).log_softmax(dim=-1)
    return (target.exp() * (target - source)).sum()


def shortfall(tuned: Float[Tensor, " m"], frozen: Float[Tensor, " m"], temperature: float) -> Float[Tensor, ""]:
    """Mean loss of match per frame, in logits, zero where the tuned frames match as well or better.

    The divergence cannot see a match that falls in all frames alike; this can.
    """
    return (temperature * (frozen.detach() - tuned)).clamp(min=0).mean()


class RewardLoader(Loader):
    """Loads a reward.

    The entry point group is `pvbench.rewards`; a profile's lines are `[rewards] identity`, `semantic`, `segmenter`,
    `image_prompt`, `ip_adapter` and `face_control`.

    Attributes:
        role: which of them it is.
        weights: lines of `[rewards]` that hold paths of its weights, which `--weights rewards.LINE=PATH` of a run
            replaces.
    """

    role: ClassVar[Role]
    weights: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def located(cls, profile: Profile) -> str:
        """Where its weights lie, as `pvbench doctor` says it; empty for pvbench's own, and where that is not known.

        Raises:
            ProfileError: the profile's values cannot be used.
            WeightsError: files are missing; the message names all of them.
        """
        return ""

    @classmethod
    @abstractmethod
    def load(cls, profile: Profile, device: str) -> Any:
        """An `IdentityReward`, `SemanticReward`, `PersonSegmenter`, `PhotoPrompt` or `FaceControl`, as `role` says.

        Raises:
            WeightsError: weights are missing, damaged, or not the ones that their card names.
            DeviceError: the device is not there.
        """

    @classmethod
    def judges(cls, profile: Profile) -> frozenset[str]:
        """Digests of the networks whose judgement is the reward; evaluators may not have one of them.

        What merely finds a face is not one.
        """
        return frozenset()


REWARDS: Registry[RewardLoader] = Registry(
    "reward", RewardLoader, ProfileError, ("summary", "role")  # type: ignore[type-abstract]
)  # fmt: skip


def roles_asked(asked: Iterable[str]) -> tuple[Role, ...]:
    """The rewards among what a method asks for."""
    asked = set(asked)
    return tuple(role for role in ROLES if f"reward.{role}" in asked)


def reward_loader(profile: Profile, role: Role) -> type[RewardLoader]:
    """The loader that a profile names for a role.

    Raises:
        ProfileError: the profile names none, no installed package has one of that name, or it is one of another role.
    """
    where = f"profile {profile.name!r} [rewards]"
    if role not in profile.rewards:
        raise ProfileError(
            f"{where}: no {role} reward, and a method asks for one; add {role} = NAME, one of "
            f"{', '.join(name for name in REWARDS.names())}"
        )
    name = profile.rewards[role]
    if not isinstance(name, str):
        raise ProfileError(f"{where}: {role} is {name!r}; expected the name of a reward")
    loader = REWARDS.get(name, where)
    if loader.role != role:
        raise ProfileError(f"{where}: {role} is {name!r}, which is a reward of the role {loader.role!r}")
    return loader


def reward_signature(profile: Profile, role: Role) -> Mapping[str, Any]:
    """What identifies the profile's reward of a role, its weights included."""
    return {"reward": reward_loader(profile, role).name, **reward_loader(profile, role).signature(profile)}


def load_identity_reward(profile: Profile, device: str) -> IdentityReward:
    """The profile's identity reward on a device."""
    found: IdentityReward = reward_loader(profile, "identity").load(profile, device)
    return found


def load_semantic_reward(profile: Profile, device: str) -> SemanticReward:
    """The profile's semantic reward on a device."""
    found: SemanticReward = reward_loader(profile, "semantic").load(profile, device)
    return found


def load_segmenter(profile: Profile, device: str) -> PersonSegmenter:
    """The profile's segmenter on a device."""
    found: PersonSegmenter = reward_loader(profile, "segmenter").load(profile, device)
    return found


def load_photo_prompt(profile: Profile, device: str, role: Role = "image_prompt") -> PhotoPrompt:
    """The profile's adapter for photos as prompts, by one of the two roles, on a device."""
    found: PhotoPrompt = reward_loader(profile, role).load(profile, device)
    return found


def load_face_control(profile: Profile, device: str) -> FaceControl:
    """The profile's face control on a device."""
    found: FaceControl = reward_loader(profile, "face_control").load(profile, device)
    return found


_DIGITS = 16


def check_apart(profile: Profile, role: Role, scoring: Mapping[str, Any]) -> None:
    """Refuses a reward that would score what was tuned with it.

    Args:
        scoring: the signatures of the evaluators by part, as a run has them.

    Raises:
        ProfileError: a network of the reward is one of the evaluators'.
    """
    # Some signatures have the first digits of a digest alone.
    judges = {judge[:_DIGITS] for judge in reward_loader(profile, role).judges(profile)}
    for part, signature in scoring.items():
        if judges & {text[:_DIGITS] for text in _texts(signature) if len(text) >= _DIGITS}:
            raise ProfileError(
                f"profile {profile.name!r}: the {role} reward and the evaluator {part!r} are the same network; a "
                f"method would be scored by what it was tuned with: choose another reward or another evaluator"
            )


def _texts(value: Any) -> Iterable[str]:
    """Every text in a signature, however deep."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list | tuple):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(item)
