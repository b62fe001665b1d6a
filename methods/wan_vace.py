"""Wan VACE: photos of the person beside the prompt, by a model that was trained for it; nothing is tuned."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pvbench.backbone import LATENTS, SUBJECT
from pvbench.errors import SettingError
from pvbench.identity import Identity
from pvbench.keyword import at_least
from pvbench.method import Adapter, Method, Request
from pvbench.video import Video

if TYPE_CHECKING:
    from pvbench.latent_backbone import LatentBackbone


@dataclass(frozen=True)
class WanVaceSettings:
    """How strongly which photos are seen.

    Attributes:
        references: so many first photos of the identity; 0 for all.
        scale: of the stream that reads the photos, 1 as published.

    Raises:
        SettingError: a value is out of its range.
    """

    references: int = 1
    scale: float = 1.0

    def __post_init__(self) -> None:
        at_least("cannot be negative", self, ("references", "scale"), 0)
        if self.scale > 2:
            raise SettingError(f"scale is {self.scale}; expected 0 to 2: the model was trained with 1")


class WanVace(Method):
    """VACE's reference-to-video, as published: each photo, on white where its shape is another, before the video.

    Source: Jiang et al., "VACE", 2025; diffusers' `WanVACEPipeline`.
    """

    name: ClassVar[str] = "wan_vace"
    version: ClassVar[int] = 1
    summary: ClassVar[str] = "VACE of Wan 2.1: photos beside the prompt, by a model that was trained for it"
    tunes: ClassVar[bool] = False
    Settings: ClassVar[type] = WanVaceSettings

    settings: WanVaceSettings
    backbone: LatentBackbone

    @classmethod
    def asks(cls, settings: Any) -> frozenset[str]:
        """A backbone that was trained to show the subject of photos."""
        return frozenset({LATENTS, SUBJECT})

    def generate(self, identity: Identity, adapter: Adapter | None, requests: Sequence[Request]) -> Iterator[Video]:
        """One video for each request."""
        import torch

        self.backbone.reset()
        photos = identity.references()[: self.settings.references or None]
        for request in requests:
            seed = request.noise_seed
            words = self.backbone.encode(request.prompt.render(identity.class_noun))
            with torch.no_grad():
                shown = self.backbone.with_subject(words, photos, seed, self.settings.scale)
                latent = self.backbone.denoise(self.backbone.noise(seed), shown)
            yield self.backbone.video(latent)
