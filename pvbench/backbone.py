"""The interface of backbones: text-to-video models that methods adapt, found by the name in a profile."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pvbench.errors import MethodError, ProfileError
from pvbench.loader import Loader
from pvbench.profile import Profile, Sampling
from pvbench.registry import Registry
from pvbench.style import Style
from pvbench.video import Video
from pvbench.weights.digests import digest_of
from pvbench.weights.lora_file import lora_file

if TYPE_CHECKING:
    import torch

LATENTS = "latents"
"""It is a `LatentBackbone`: noise, words, denoising steps and frames one by one, with gradients."""
IMAGES = "images"
"""It has a side that draws single pictures, photos become latents, and both can be tuned to reconstruct."""
LORA = "lora"
"""Its layers take LoRA adapters."""
TOKENS = "tokens"
"""Words can be learned and stand in its texts."""
IMAGE_PROMPT = "image_prompt"
"""Photos can stand beside its texts: it takes adapters of the IP-Adapter type."""
FACE_CONTROLLED = "face_control"
"""A head's picture can stand beside its latents, and a face beside its layers, as ConsisID has them."""
SUBJECT = "subject"
"""It was trained to show the subject of photos that are given beside a text: nothing is added to it."""
STYLES = "styles"
"""It can be drawn in a style: a LoRA acts in all steps, beside whatever a method puts in."""
WORLD = "world"
"""It was trained in the miniature world, where the true video of every person and prompt can be drawn."""


class Backbone(ABC):
    """A loaded text-to-video model.

    This much is asked of every backbone; what methods that tune also need is `pvbench.latent_backbone`.

    Attributes:
        sampling: steps, guidance, size and frame rate of a video, as the profile has them.
        device: where the model computes.
        signature: what identifies it, as its loader says.
    """

    sampling: Sampling
    device: torch.device
    signature: Mapping[str, Any]

    @abstractmethod
    def sample(self, text: str, noise_seed: int) -> Video:
        """One video of a text, of the profile's size; the same arguments give the same bytes.

        Args:
            text: what the video should show.
            noise_seed: of the initial noise, drawn on the CPU, which all methods start from.
        """

    def reset(self) -> None:  # noqa: B027 - nothing can be put into the simplest backbone
        """Takes out what a method has put in, so that the next one finds the model as it was loaded; a style stays."""

    def wear(self, style: Style | None) -> None:
        """Draws all videos in a style from now on, whatever methods put in and take out; None ends it.

        A style that is a whole checkpoint is another backbone, and changes nothing here.

        Raises:
            WeightsError: its LoRA was made for another model.
            MethodError: the backbone takes none: its loader does not offer `STYLES`.
        """
        if style is not None and style.lora is not None:
            raise MethodError(f"{type(self).__name__} cannot be drawn in the style {style.name!r}: it takes no LoRA")


@dataclass(frozen=True)
class TextReader:
    """How much of a text a backbone's text encoder reads.

    Attributes:
        name: of the text encoder, as in "CLIP of Stable Diffusion".
        most: how many tokens it reads, those at the begin and the end included; the rest of a text plays no part.
        count: how many tokens a text has, counted alike.
    """

    name: str
    most: int
    count: Callable[[str], int]


class BackboneLoader(Loader):
    """Loads a backbone; the entry point group is `pvbench.backbones`, a profile's line `[backbone] kind`.

    Attributes:
        offers: what methods can ask of it: `LATENTS`, `IMAGES`, `LORA`, `TOKENS`, `IMAGE_PROMPT`,
            `FACE_CONTROLLED`, `SUBJECT`, `STYLES` or `WORLD` of this module, or names of its own, for methods of its
            own.
        weights: lines of `[backbone]` that hold paths of weights, which `--weights LINE=PATH` of a run replaces; the
            first is that of the base model, which the checkpoint of a style replaces.
        within_base: those of these lines that replace a part of the base model, and so do not outlast it.
    """

    offers: ClassVar[frozenset[str]] = frozenset()
    weights: ClassVar[tuple[str, ...]] = ()
    within_base: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def located(cls, profile: Profile) -> str:
        """Where its weights lie, if that can be said without loading them: for large ones, `pvbench doctor` asks.

        Raises:
            ProfileError: the profile's values cannot be used.
            WeightsError: a file is missing.
        """
        return ""

    @classmethod
    def licence(cls, profile: Profile) -> str:
        """What the publisher of the weights allows; empty for pvbench's own."""
        return ""

    @classmethod
    def work(cls, profile: Profile) -> float:
        """How much one pass of its network over a video of the profile's size takes, to be compared with another size.

        By default the number of pixels; a transformer over whole videos takes more than that for long ones.
        """
        sampling = profile.sampling
        return float(sampling.frames * sampling.height * sampling.width)

    @classmethod
    def memory_gib(cls, profile: Profile, *, gradient: bool) -> float:
        """About how much memory of a GPU it takes at the profile's size; 0 where that is little, or not known.

        Args:
            gradient: whether gradients are carried through the last steps of a sampled video, and its decoding.

        Raises:
            WeightsError: a file is missing.
        """
        return 0.0

    @classmethod
    def host_gib(cls, profile: Profile) -> float:
        """About how much of the host's memory it takes to tune with gradients through the last steps of a video.

        That is beside what any process takes, and for each worker; 0 where it is little, or not known.

        Raises:
            WeightsError: a file is missing.
        """
        return 0.0

    @classmethod
    def text_reader(cls, profile: Profile) -> TextReader | None:
        """How much of a text is read, without loading the text encoder; None where that is not known.

        Raises:
            ProfileError: the profile's values cannot be used.
            WeightsError: the tokenizer is missing, or damaged.
        """
        return None

    @classmethod
    def style_lora(cls, profile: Profile, style: str, lora: str) -> tuple[Path, str]:
        """The file of a style's LoRA, and the digest of its content; no network is loaded.

        Args:
            style: its name in the profile.
            lora: what the profile says: a path of a file or a folder, or either below the weights folder.

        Raises:
            WeightsError: it is nowhere, damaged, or of a kind that is not read.
        """
        path = lora_file(lora, f"profile {profile.name!r} [styles.{style}]: lora")
        return path, digest_of(path)

    @classmethod
    @abstractmethod
    def load(cls, profile: Profile, device: str) -> Backbone:
        """The backbone on a device.

        Raises:
            WeightsError: weights are missing, damaged, or not the ones that their card names.
            DeviceError: the device is not there.
        """


BACKBONES: Registry[BackboneLoader] = Registry(
    "backbone", BackboneLoader, ProfileError, ("summary", "offers")  # type: ignore[type-abstract]
)  # fmt: skip


def backbone_loader(profile: Profile) -> type[BackboneLoader]:
    """The loader that a profile names.

    Raises:
        ProfileError: no installed package has a backbone of that kind, or it does not import.
    """
    return BACKBONES.get(profile.backbone["kind"], f"profile {profile.name!r} [backbone]")


def with_checkpoint(profile: Profile, style: Style | None) -> Profile:
    """The profile with a style's checkpoint in the place of its base model; the profile itself without one.

    Raises:
        ProfileError: the profile's backbone has no line for a base model.
    """
    if style is None or not style.checkpoint:
        return profile
    loader = backbone_loader(profile)
    lines = loader.weights
    if not lines:
        raise ProfileError(
            f"profile {profile.name!r} [styles.{style.name}]: backbone {profile.backbone['kind']!r} reads no weights, "
            f"so that a checkpoint has no place; leave the line out"
        )
    kept = {line: value for line, value in profile.backbone.items() if line not in loader.within_base}
    return dataclasses.replace(profile, backbone={**kept, lines[0]: style.checkpoint})


def load_backbone(profile: Profile, device: str) -> Backbone:
    """The profile's backbone on a device.

    Raises:
        ProfileError: the profile's backbone is not known or cannot be used as the profile asks.
        WeightsError: weights are missing, damaged, or not the ones that their card names.
        DeviceError: the device is not there.
    """
    return backbone_loader(profile).load(profile, device)
