"""Videos in memory."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from hashlib import sha256
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from numpy.typing import NDArray

from pvbench.errors import VideoError

# Rates such as 23.976 are fractions over 1001.
_LARGEST_DENOMINATOR = 1001

LARGEST_BYTES = 6 << 30
"""Of decoded frames in memory at a time: 4k for half a minute."""


@dataclass(frozen=True, eq=False)
class Video:
    """Frames in RGB, and how many of them are shown a second.

    Attributes:
        fps: frames a second; their average where they are shown for unequal times.
        shown: seconds from the first frame at which each is shown, and at which the last ends; None for equal times.

    Raises:
        VideoError: for an array that is not a video, an empty one, or a rate that is not positive and finite.
    """

    frames: UInt8[np.ndarray, "T H W 3"]
    fps: float
    shown: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        frames = self.frames
        if not isinstance(frames, np.ndarray) or frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[3] != 3:
            got = f"{frames.dtype} {frames.shape}" if isinstance(frames, np.ndarray) else type(frames).__name__
            raise VideoError(f"a video is a uint8 array (frames, height, width, 3); got {got}")
        if 0 in frames.shape:
            raise VideoError(f"a video needs at least one frame and one pixel; got the shape {frames.shape}")
        if not (np.isfinite(self.fps) and self.fps > 0):
            raise VideoError(f"a video's rate is a positive number of frames a second; got {self.fps!r}")

    @cached_property
    def digest(self) -> str:
        """Sha256, in hex, of the frames, their shape, their rate and, where these are unequal, their times."""
        rate = rate_of(self.fps)
        head = f"{self.frames.shape} {rate.numerator}/{rate.denominator}".encode()
        total = sha256(head)
        total.update(np.ascontiguousarray(self.frames).data)
        if self.shown is not None:
            total.update(self.shown.tobytes())
        return total.hexdigest()


def rate_of(fps: float) -> Fraction:
    """Frames a second as containers write them: a fraction over at most 1001."""
    return Fraction(fps).limit_denominator(_LARGEST_DENOMINATOR)


def refuse_too_large(path: Path, size: int, width: int, height: int) -> None:
    """Refuses a video whose frames, of so many bytes in all, do not fit into memory."""
    if size > LARGEST_BYTES:
        raise VideoError(
            f"{path} has more than {LARGEST_BYTES >> 30} GiB of frames of {width}x{height} pixels; cut it, or scale it "
            f"down"
        )
