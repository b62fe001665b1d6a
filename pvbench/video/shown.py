"""A frame as a player shows it: turned and mirrored as the file says, with square pixels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import UInt8

_HDR = {16: "PQ", 18: "HLG"}
"""Transfer functions of HDR, by their numbers in ISO 23091-2."""
_BLACK, _THINNEST_BAR = 24, 0.03


def shown_size(stream: Any, frame: Any) -> tuple[int, int]:
    """Height and width of a decoded frame as shown."""
    height, width = frame.height, square_width(stream, frame)
    return (width, height) if _exchanges_sides(frame) else (height, width)


def square_width(stream: Any, frame: Any) -> int:
    """The width at which a frame of its height has square pixels."""
    ratio = stream.sample_aspect_ratio
    return max(1, round(frame.width * float(ratio))) if ratio and ratio > 0 else int(frame.width)


def orient(frame: Any) -> Callable[[UInt8[np.ndarray, "_ _ 3"]], UInt8[np.ndarray, "_ _ 3"]]:
    """Turns and mirrors the pixels of a frame as its display matrix says, by quarters."""
    matrix = _matrix(frame)
    if matrix is None:
        return lambda picture: picture
    # A pixel at (x, y) is shown at (a x + c y, b x + d y).
    (a, b), (c, d) = matrix
    if _exchanges_sides(frame):
        rows, columns = (-1 if b < 0 else 1), (-1 if c < 0 else 1)
        return lambda picture: np.swapaxes(picture, 0, 1)[::rows, ::columns]
    rows, columns = (-1 if d < 0 else 1), (-1 if a < 0 else 1)
    return lambda picture: picture[::rows, ::columns]


def _exchanges_sides(frame: Any) -> bool:
    matrix = _matrix(frame)
    return matrix is not None and bool(abs(matrix[0, 1]) + abs(matrix[1, 0]) > abs(matrix[0, 0]) + abs(matrix[1, 1]))


def _matrix(frame: Any) -> np.ndarray | None:
    """The upper left of a frame's display matrix; None where it has none."""
    data = frame.side_data.get("DISPLAYMATRIX")
    return None if data is None else np.frombuffer(bytes(data), np.int32).astype(np.float64).reshape(3, 3)[:2, :2]


def remarks_on(frame: Any, picture: UInt8[np.ndarray, "_ _ 3"]) -> tuple[str, ...]:
    """What makes a decoded frame another picture to a network than to a person, of `REMARKS`.

    Args:
        picture: the same frame in RGB.
    """
    found = []
    if frame.color_trc in _HDR:
        found.append("hdr")
    if frame.interlaced_frame:
        found.append("interlaced")
    if has_bars(picture):
        found.append("bars")
    return tuple(found)


def has_bars(picture: UInt8[np.ndarray, "_ _ 3"]) -> bool:
    """Whether a picture has black bars, equally wide, at two opposite sides."""
    bright = picture.max(axis=-1) > _BLACK
    return not is_black(picture) and any(_bars(bright.any(axis=axis)) for axis in (0, 1))


def is_black(picture: UInt8[np.ndarray, "_ _ 3"]) -> bool:
    """Whether all of a picture is black, or nearly."""
    return int(picture.max()) <= _BLACK


def _bars(line: np.ndarray) -> bool:
    inside = np.flatnonzero(line)
    before, after = int(inside[0]), len(line) - 1 - int(inside[-1])
    return min(before, after) >= max(2, _THINNEST_BAR * len(line)) and abs(before - after) <= 2
