"""ID-Animator: a photo of the face as a prompt, by an adapter that was trained once; nothing is tuned on a person."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pvbench.photo_method import PhotoMethod, PhotoSettings
from pvbench.reward import Role


@dataclass(frozen=True)
class IdAnimatorSettings(PhotoSettings):
    """How strongly which photos are seen, 0.8 and one photo as published; see `PhotoSettings`.

    Raises:
        SettingError: a value is out of its range.
    """

    scale: float = 0.8


class IdAnimator(PhotoMethod):
    """A face adapter in the cross-attention, with a LoRA of the same layers, both shipped; no tuning.

    Source: He et al., "ID-Animator", 2024; ID-Animator@0170eed.
    """

    name: ClassVar[str] = "id_animator"
    version: ClassVar[int] = 1
    summary: ClassVar[str] = "a photo of the face as a prompt, by an adapter that was trained once on many people"
    Settings: ClassVar[type] = IdAnimatorSettings
    prompt_role: ClassVar[Role] = "image_prompt"
