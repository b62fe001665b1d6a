"""Methods that show a photo to an adapter of the IP-Adapter type, which was trained once; nothing is tuned."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pvbench.backbone import IMAGE_PROMPT, LATENTS, LORA
from pvbench.errors import SettingError
from pvbench.identity import Identity
from pvbench.keyword import at_least
from pvbench.method import Adapter, Method, Request
from pvbench.reward import PhotoPrompt, Role, load_photo_prompt
from pvbench.video import Video

if TYPE_CHECKING:
    from pvbench.latent_backbone import LatentBackbone

NAME = "photo prompt"
"""Of the LoRA that was trained beside the adapter; that of a person's LoRA is another one."""


@dataclass(frozen=True)
class PhotoSettings:
    """How strongly which photos are seen.

    Attributes:
        scale: of the photo's part beside the text's; 0 is the untuned model, LoRA and all.
        references: so many first photos of the identity, whose tokens are averaged; 0 for all.

    Raises:
        SettingError: a value is out of its range.
    """

    scale: float = 1.0
    references: int = 1

    def __post_init__(self) -> None:
        at_least("cannot be negative", self, ("scale", "references"), 0)
        if self.scale > 2:
            raise SettingError(f"scale is {self.scale}; expected 0 to 2: beyond, pictures fall apart")


class PhotoMethod(Method):
    """A method whose settings are `PhotoSettings`.

    Attributes:
        prompt_role: which line of a profile's `[rewards]` names its adapter.
    """

    tunes: ClassVar[bool] = False
    prompt_role: ClassVar[Role]

    settings: PhotoSettings
    backbone: LatentBackbone
    _prompt: PhotoPrompt | None = None

    @classmethod
    def asks(cls, settings: Any) -> frozenset[str]:
        """A backbone that takes an image prompt and a LoRA, and an adapter that was trained for it."""
        return frozenset({LATENTS, LORA, IMAGE_PROMPT, f"reward.{cls.prompt_role}"})

    def generate(self, identity: Identity, adapter: Adapter | None, requests: Sequence[Request]) -> Iterator[Video]:
        """One video for each request.

        Raises:
            FaceError: a reference photo shows no face, or more than one.
            MethodError: the adapter does not fit the backbone.
        """
        import torch

        self.backbone.reset()
        if self.settings.scale == 0:
            for request in requests:
                yield self.backbone.sample(request.prompt.render(identity.class_noun), request.noise_seed)
            return
        if self._prompt is None:
            self._prompt = load_photo_prompt(self.profile, str(self.backbone.device), self.prompt_role)
        self.backbone.load_image_prompt(self._prompt.tensors, self.settings.scale)
        if self._prompt.lora:
            self.backbone.load_lora(self._prompt.lora, NAME)
        sampling = self.profile.sampling
        photos = identity.references()[: self.settings.references or None]
        states, empty = self._prompt.states(photos, sampling.height, sampling.width), self._prompt.empty()
        for request in requests:
            words = self.backbone.encode(request.prompt.render(identity.class_noun))
            with torch.no_grad():
                seen = self.backbone.with_image(words, states, empty)
                latent = self.backbone.denoise(self.backbone.noise(request.noise_seed), seen)
            yield self.backbone.video(latent)
