"""ConsisID: a model that was trained to hold itself to the face of a photo; nothing is tuned on a person."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pvbench.backbone import FACE_CONTROLLED, LATENTS
from pvbench.errors import SettingError
from pvbench.identity import Identity
from pvbench.keyword import at_least
from pvbench.method import Adapter, Method, Request
from pvbench.reward import FACE_CONTROL, FaceControl, load_face_control
from pvbench.video import Video

if TYPE_CHECKING:
    from pvbench.latent_backbone import LatentBackbone

NAME = "face control"
"""Of the LoRA that was trained beside the control; that of a person's LoRA is another one."""


@dataclass(frozen=True)
class ConsisIdSettings:
    """Which branches see the photo.

    Attributes:
        global_branch: the head's picture stands beside the latents.
        local_face_scale: of the layers' attention to the face; 1 as published. Without either branch the video is the
            backbone's own.

    Raises:
        SettingError: a value is out of its range.
    """

    global_branch: bool = True
    local_face_scale: float = 1.0

    def __post_init__(self) -> None:
        at_least("cannot be negative", self, ("local_face_scale",), 0)
        if self.local_face_scale > 2:
            raise SettingError(f"local_face_scale is {self.local_face_scale}; expected 0 to 2: trained with 1")


class ConsisId(Method):
    """The first photo's head beside the latents and its face beside the layers, by a control that ships; no tuning.

    The face stands in both branches of guidance, as published, so that guidance does not scale it.

    Source: Yuan et al., "ConsisID", 2024; ConsisID@60429e4.
    """

    name: ClassVar[str] = "consisid"
    version: ClassVar[int] = 1
    summary: ClassVar[str] = "a photo's head beside the latents and its face beside the layers, trained once"
    tunes: ClassVar[bool] = False
    Settings: ClassVar[type] = ConsisIdSettings

    settings: ConsisIdSettings
    backbone: LatentBackbone
    _control: FaceControl | None = None

    @classmethod
    def asks(cls, settings: Any) -> frozenset[str]:
        """A backbone that takes a face control, and a control that was trained for it."""
        return frozenset({LATENTS, FACE_CONTROLLED, FACE_CONTROL})

    def generate(self, identity: Identity, adapter: Adapter | None, requests: Sequence[Request]) -> Iterator[Video]:
        """One video for each request.

        Raises:
            FaceError: the reference photo shows no face or head, or more than one face.
            MethodError: the control does not fit the backbone.
        """
        import torch

        self.backbone.reset()
        if not self.settings.global_branch and self.settings.local_face_scale == 0:
            for request in requests:
                yield self.backbone.sample(request.prompt.render(identity.class_noun), request.noise_seed)
            return
        if self._control is None:
            self._control = load_face_control(self.profile, str(self.backbone.device))
        self.backbone.load_face_control(self._control.tensors, self.settings.local_face_scale)
        if self._control.lora:
            self.backbone.load_lora(self._control.lora, NAME)
        sampling = self.profile.sampling
        face = self._control.see(identity.references()[0], sampling.height, sampling.width)
        picture = face.picture if self.settings.global_branch else None
        for request in requests:
            words = self.backbone.encode(request.prompt.render(identity.class_noun))
            with torch.no_grad():
                seen = self.backbone.with_face(words, picture, face.identity, face.states)
                latent = self.backbone.denoise(self.backbone.noise(request.noise_seed), seen)
            yield self.backbone.video(latent)
