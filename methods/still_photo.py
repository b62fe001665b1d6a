"""A control: the first reference photo, held still. It shows what numbers reward a copy without motion."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from pvbench.identity import Identity
from pvbench.method import Adapter, Method, Request, Role
from pvbench.pixels import resize_photo
from pvbench.video import Video


@dataclass(frozen=True)
class StillPhotoSettings:
    """The still photo has no settings."""


class StillPhoto(Method):
    """The middle of the first reference photo in every frame, whatever the prompt says."""

    name: ClassVar[str] = "still_photo"
    version: ClassVar[int] = 1
    summary: ClassVar[str] = "control: the first reference photo, held still"
    tunes: ClassVar[bool] = False
    Settings: ClassVar[type] = StillPhotoSettings
    uses_backbone: ClassVar[bool] = False
    role: ClassVar[Role] = "control"

    def generate(self, identity: Identity, adapter: Adapter | None, requests: Sequence[Request]) -> Iterator[Video]:
        """One video for each request, all of them the same."""
        sampling = self.profile.sampling
        photo = resize_photo(identity.references()[0], sampling.height, sampling.width)
        for _ in requests:
            yield Video(np.repeat(photo[None], sampling.frames, axis=0), sampling.fps)
