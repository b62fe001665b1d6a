"""Whether a video file is all there, by the sizes that its container states: FFmpeg reads a part without a word."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

CUT_SHORT = "is cut short: its container says that more belongs to it; fetch or make it again"

_EBML, _SEGMENT, _CLUSTER = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67", b"\x1f\x43\xb6\x75"
_GIF_EXTENSION, _GIF_IMAGE = 0x21, 0x2C


def ends_early(path: Path) -> bool:
    """Whether a Matroska, WebM, MP4, MOV, GIF or WebP file was cut short; False for other kinds.

    It is False, too, where nothing says so. What follows the end of a whole file does not matter.

    Source: RFC 8794 and 9559 (Matroska), ISO 14496-12 (MP4), GIF89a, RFC 9649 (WebP).
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(8)
        if head.startswith(_EBML):
            return _matroska_ends_early(file, size)
        if head.startswith(b"RIFF") and file.read(4) == b"WEBP":
            return 8 + int.from_bytes(head[4:], "little") > size
        if head.startswith((b"GIF87a", b"GIF89a")):
            return _gif_ends_early(path.read_bytes())
        if head[4:] in (b"ftyp", b"moov", b"mdat", b"free", b"wide", b"skip"):
            return _mp4_ends_early(file, size)
    return False


def _matroska_ends_early(file: BinaryIO, size: int) -> bool:
    """By the segment's size, or, where a stream's writer did not know it, by that of the last element."""
    at = 0
    while at < size:
        file.seek(at)
        head = file.read(12)
        # Both numbers say in the leading zeros of their first byte how long they are.
        long_id = 9 - head[0].bit_length()
        long_size = 9 - head[long_id].bit_length() if long_id < len(head) else 1
        if long_id > 4 or long_size > 8:
            return False
        if len(head) < long_id + long_size:
            return True
        bits = 7 * long_size
        length = int.from_bytes(head[long_id : long_id + long_size]) & ((1 << bits) - 1)
        at += long_id + long_size
        if length == (1 << bits) - 1:
            if head[:long_id] not in (_SEGMENT, _CLUSTER):
                return False
            continue
        at += length
        if head[:long_id] == _SEGMENT:
            break
    return at > size


def _mp4_ends_early(file: BinaryIO, size: int) -> bool:
    """By the sizes of the boxes."""
    at = 0
    while at + 8 <= size:
        file.seek(at)
        head = file.read(16)
        length = int.from_bytes(head[:4])
        if length == 1:
            length = int.from_bytes(head[8:])
        if length < 8 or not head[4:8].isalnum():
            return False
        at += length
    return at > size


def _gif_ends_early(data: bytes) -> bool:
    """Where no trailer, the one block of another kind, comes after the last one."""
    at = 13 + _colours(data[10:11])
    while at < len(data):
        kind = data[at]
        if kind == _GIF_EXTENSION:
            at += 2
        elif kind == _GIF_IMAGE:
            at += 11 + _colours(data[at + 9 : at + 10])
        else:
            return False
        while at < len(data) and data[at]:
            at += 1 + data[at]
        at += 1
    return True


def _colours(flags: bytes) -> int:
    """Bytes of a table of colours."""
    return 6 << (flags[0] & 7) if flags and flags[0] & 0x80 else 0
