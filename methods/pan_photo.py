"""A control: the first reference photo under a camera that pans. It shows what numbers reward motion without life."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pvbench.errors import SettingError
from pvbench.identity import Identity
from pvbench.method import Adapter, Method, Request, Role
from pvbench.pixels import resize_photo
from pvbench.video import Video


@dataclass(frozen=True)
class PanPhotoSettings:
    """How the camera moves.

    Attributes:
        zoom: how many times the photo is larger than the frame, above 1; the camera moves over what lies outside.
        sweeps: how often the camera goes there and back in a video, above 0.

    Raises:
        SettingError: a value is out of its range.
    """

    zoom: float = 1.4
    sweeps: float = 1.0

    def __post_init__(self) -> None:
        if self.zoom <= 1:
            raise SettingError(f"zoom is {self.zoom}; expected a number above 1")
        if self.sweeps <= 0:
            raise SettingError(f"sweeps is {self.sweeps}; expected a number above 0")


class PanPhoto(Method):
    """The first reference photo, enlarged, seen by a camera that sweeps over it; the person in it does not move."""

    name: ClassVar[str] = "pan_photo"
    version: ClassVar[int] = 1
    summary: ClassVar[str] = "control: the first reference photo under a panning camera"
    tunes: ClassVar[bool] = False
    Settings: ClassVar[type] = PanPhotoSettings
    uses_backbone: ClassVar[bool] = False
    role: ClassVar[Role] = "control"

    settings: PanPhotoSettings

    def generate(self, identity: Identity, adapter: Adapter | None, requests: Sequence[Request]) -> Iterator[Video]:
        """One video for each request; the noise's seed says where the sweep begins, the prompt nothing."""
        sampling = self.profile.sampling
        photo = identity.references()[0]
        for request in requests:
            begin = np.random.default_rng(request.noise_seed).random()
            times = begin + self.settings.sweeps * np.arange(sampling.frames) / sampling.frames
            frames = [self._seen(photo, sampling.height, sampling.width, time) for time in times]
            yield Video(np.stack(frames), sampling.fps)

    def _seen(self, photo: NDArray[np.uint8], height: int, width: int, time: float) -> NDArray[np.uint8]:
        """What the camera shows; a sweep, from the left end to the right and back, takes a time of 1."""
        scale = self.settings.zoom
        large = resize_photo(photo, math.ceil(scale * height), math.ceil(scale * width))
        room_down, room_across = large.shape[0] - height, large.shape[1] - width
        left = room_across * (0.5 - 0.5 * math.cos(2 * math.pi * time))
        box = (left, room_down / 2, left + width, room_down / 2 + height)
        return np.asarray(Image.fromarray(large).resize((width, height), Image.Resampling.BICUBIC, box=box))
