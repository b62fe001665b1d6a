"""IP-Adapter's own adapter for faces, beside which ID-Animator was made; nothing is tuned on a person."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pvbench.photo_method import PhotoMethod, PhotoSettings
from pvbench.reward import Role


@dataclass(frozen=True)
class IpAdapterFaceSettings(PhotoSettings):
    """How strongly which photos are seen; see `PhotoSettings`. 1 as the published demonstration has it.

    Raises:
        SettingError: a value is out of its range.
    """

    scale: float = 1.0


class IpAdapterFace(PhotoMethod):
    """The published adapter "plus face" for Stable Diffusion 1.5, with motion modules beside it that never saw it.

    Source: Ye et al., "IP-Adapter", 2023; h94/IP-Adapter's ip-adapter-plus-face_sd15.
    """

    name: ClassVar[str] = "ip_adapter_face"
    version: ClassVar[int] = 1
    summary: ClassVar[str] = "a photo of the face as a prompt, by IP-Adapter's own adapter for faces"
    Settings: ClassVar[type] = IpAdapterFaceSettings
    prompt_role: ClassVar[Role] = "ip_adapter"
