"""Pictures that move: animated WebP, PNG and AVIF, which FFmpeg reads in part or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pvbench.errors import VideoError
from pvbench.video.containers import CUT_SHORT, ends_early
from pvbench.video.pace import INSTEAD, SHORTEST, Pace, pace_of
from pvbench.video.pictures import reason
from pvbench.video.video import Video, refuse_too_large

if TYPE_CHECKING:
    from PIL import Image

ANIMATION_SUFFIXES = (".webp", ".apng", ".png", ".avif")
"""Of files that may move."""

_MILLI = Fraction(1, 1000)
_HEAD_BYTES = 4096


def is_animation(path: Path) -> bool:
    """Whether a file is a WebP, PNG or AVIF whose head says that it moves; False for one that cannot be read."""
    if path.suffix.lower() not in ANIMATION_SUFFIXES:
        return False
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError:
        return False
    webp = head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X" and bool(head[20] & 2)
    return webp or head[4:12] == b"ftypavis" or (head.startswith(b"\x89PNG") and _of_frames(head) > 1)


def _of_frames(head: bytes) -> int:
    """How many frames a PNG says that it has; 0 where it says nothing."""
    _, found, rest = head.partition(b"acTL")
    return int.from_bytes(rest[:4]) if found else 0


def read_animation(path: Path) -> Video:
    """The frames of a moving picture, each put onto what was there before it, without transparency.

    Raises:
        VideoError: it is corrupt, cut short, or too large for the memory.
    """
    with _opened(path) as image:
        size = image.n_frames * image.width * image.height * 3  # type: ignore[attr-defined]
        refuse_too_large(path, size, image.width, image.height)
        frames = np.empty((image.n_frames, image.height, image.width, 3), np.uint8)  # type: ignore[attr-defined]
        durations = []
        for place, duration in enumerate(_frames(image)):
            frames[place] = np.asarray(image.convert("RGB"))
            durations.append(duration)
    pace = _pace(durations)
    return Video(frames, pace.fps, pace.shown)


def probe_animation(path: Path) -> tuple[int, int, int, Pace]:
    """Number of frames, height, width and pace of a moving picture.

    Raises:
        VideoError: it is corrupt or cut short.
    """
    with _opened(path) as image:
        durations = list(_frames(image))
        return len(durations), image.height, image.width, _pace(durations)


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    from PIL import Image

    try:
        if ends_early(path):
            raise VideoError(f"{path} {CUT_SHORT}")
        with Image.open(path) as image:
            yield image
    except (OSError, EOFError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise VideoError(f"{path} is corrupt or no video ({reason(error)}); delete it, or make it again") from error


def _frames(image: Image.Image) -> Iterator[int]:
    """Goes to each frame, and says for how many milliseconds it is shown."""
    for place in range(image.n_frames):  # type: ignore[attr-defined]
        image.seek(place)
        image.load()
        duration = round(image.info.get("duration", 0))
        yield duration if duration * _MILLI > SHORTEST else int(INSTEAD / _MILLI)


def _pace(durations: list[int]) -> Pace:
    stamps = [0, *np.cumsum(durations[:-1], dtype=int).tolist()]
    pace = pace_of(stamps, durations[-1], _MILLI, [Fraction(1000, durations[0])])
    assert pace is not None, "there is a rate"
    return pace
