"""Folders of pictures: the frames of a video, in the order of their names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import UInt8

from pvbench.errors import VideoError
from pvbench.video.video import Video

if TYPE_CHECKING:
    from PIL import Image

_ORIENTATION, _SIDES_KEPT = 0x0112, 4
FOLDER_FPS = 8.0
"""The rate of a folder of frames, at which VBench, too, looks at every picture."""
PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".tif", ".tiff", ".webp", ".avif")
"""Of the frames in a folder."""


def frame_files(folder: Path) -> list[Path]:
    """The pictures of a folder of frames, in the order of their names, numbers by their value: 2 before 10.

    Raises:
        VideoError: it cannot be read, or holds no pictures.
    """
    try:
        files = [
            path
            for path in folder.iterdir()
            if path.suffix.lower() in PICTURE_SUFFIXES and not path.name.startswith(".")
        ]
    except OSError as error:
        raise VideoError(f"{folder} cannot be read ({error.strerror}); change its permissions") from error
    if not files:
        raise VideoError(f"{folder} holds no pictures; expected the frames of a video ({', '.join(PICTURE_SUFFIXES)})")
    return sorted(files, key=_natural)


def _natural(path: Path) -> tuple[list[str | int], str]:
    # Every other piece is a number; of equal ones, such as 1 and 01, the names decide.
    pieces = re.split(r"([0-9]+)", path.name)
    return [int(piece) if index % 2 else piece for index, piece in enumerate(pieces)], path.name


def read_frames(folder: Path) -> Video:
    """The video that a folder of pictures shows, at eight frames a second.

    Raises:
        VideoError: a picture is corrupt, or of another size than the first.
    """
    files = frame_files(folder)
    size = one_size(files)
    frames = np.empty((len(files), *size, 3), np.uint8)
    for place, path in enumerate(files):
        frames[place] = read_picture(path)
    return Video(frames, FOLDER_FPS)


def read_picture(path: Path) -> UInt8[np.ndarray, "height width 3"]:
    """A picture in RGB, turned as its file says; of 16 bits a colour the upper eight, as Pillow itself takes of RGB.

    Raises:
        VideoError: it is not a picture or corrupt, or has colours of 32 bits, whose range is not known.
    """
    from PIL import ImageOps

    with _opened(path) as image:
        if _turned(image) > 1:
            image = ImageOps.exif_transpose(image)
        if image.mode.startswith("I;16"):
            grey = (np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8)
            return np.repeat(grey[:, :, np.newaxis], 3, axis=2)
        return np.asarray(image.convert("RGB"))


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """A picture, its head read."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            if image.mode in ("I", "F"):
                raise VideoError(f"{path} has colours of 32 bits; save it with 8 or 16")
            yield image
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise VideoError(f"{path} is corrupt or no picture ({reason(error)}); make it again") from error


def _turned(image: Image.Image) -> int:
    """How EXIF says that a picture is turned: 1 for not at all, above 4 with its sides exchanged; 0 for no word."""
    # Pillow would decode all of a PNG to look for what comes before its pixels.
    if image.format == "PNG" and "exif" not in image.info:
        return 0
    return int(image.getexif().get(_ORIENTATION, 0))


def one_size(files: Sequence[Path]) -> tuple[int, int]:
    """Height and width of pictures as shown, by their heads.

    Raises:
        VideoError: one is corrupt, or of another size than the first.
    """
    first: tuple[int, int] | None = None
    for path in files:
        with _opened(path) as image:
            width, height = image.size if _turned(image) <= _SIDES_KEPT else image.size[::-1]
        first = first or (height, width)
        if (height, width) != first:
            raise VideoError(
                f"{path} has {width}x{height} pixels, the frames before it {first[1]}x{first[0]}; a "
                f"video's frames have one size"
            )
    assert first is not None
    return first


def reason(error: Exception) -> str:
    """What an error says, without number and path, which FFmpeg and the system put around it."""
    return getattr(error, "strerror", None) or str(error)
