"""What a video file says of itself, without its frames decoded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pvbench.errors import VideoError
from pvbench.video.animation import is_animation, probe_animation
from pvbench.video.containers import CUT_SHORT, ends_early
from pvbench.video.pace import Pace, stream_pace
from pvbench.video.pictures import FOLDER_FPS, frame_files, one_size, reason
from pvbench.video.read import refuse_unknown
from pvbench.video.shown import is_black, remarks_on, shown_size

_FADES_IN = 120
"""Frames in which a video may fade in from black."""


@dataclass(frozen=True)
class VideoFacts:
    """What a video's container says of it, without any frame decoded.

    Attributes:
        height, width: as shown, after turning and with square pixels.
        steady: whether all frames are shown for the same time.
        remarks: what a network sees otherwise than a person: `hdr`, `interlaced`, `bars` (black, at two sides).
    """

    frames: int
    height: int
    width: int
    fps: float
    steady: bool
    remarks: tuple[str, ...] = ()


def probe_video(path: Path) -> VideoFacts:
    """The facts of a video file or a folder of frames; its first frame alone is decoded.

    Raises:
        VideoError: it is missing, empty, cut short, no video, or its first frame does not decode.
    """
    if path.is_dir():
        return _probe_frames(path)
    _check_file(path)
    if is_animation(path):
        frames, height, width, pace = probe_animation(path)
        return VideoFacts(frames, height, width, pace.fps, pace.shown is None)
    return _probe_file(path)


def _check_file(path: Path) -> None:
    """Refuses what is not a file with something in it."""
    if path.is_symlink() and not path.exists():
        raise VideoError(f"{path} is a link to {path.readlink()}, which is not there; fix the link, or remove it")
    if path.exists() and not path.is_file():
        raise VideoError(f"{path} is not a regular file; put a video in its place")
    if not path.is_file():
        raise VideoError(f"no video at {path}; check the path")
    if not path.stat().st_size:
        raise VideoError(f"{path} is empty (0 bytes); make it again")


def _probe_file(path: Path) -> VideoFacts:
    import av
    from av.error import FFmpegError

    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise VideoError(f"{path} holds no video stream; expected a video file")
            stream = container.streams.video[0]
            refuse_unknown(stream, path)
            # FFmpeg marks as corrupt what it read in part.
            packets = [_Packet.of(packet) for packet in container.demux(stream) if packet.size]
            pace = _pace(packets, stream)
            promised = stream.frames
        with av.open(str(path)) as container:
            first, picture = _telling(container)
            size = shown_size(container.streams.video[0], first) if first is not None else (0, 0)
    except (FFmpegError, OSError, ValueError) as error:
        raise VideoError(f"{path} is corrupt or no video ({reason(error)}); delete it, or make it again") from error
    if first is None or picture is None or not packets:
        raise VideoError(f"{path} is corrupt: it holds no frames; delete it, or make it again")
    if pace is None:
        raise VideoError(f"{path} does not say how many frames it shows a second; encode it again with a frame rate")
    if len(packets) < promised:
        raise VideoError(f"{path} is cut short: it holds {len(packets)} of {promised} frames; fetch or make it again")
    if any(packet.broken for packet in packets) or ends_early(path):
        raise VideoError(f"{path} {CUT_SHORT}")
    shown = sum(packet.shown for packet in packets)
    return VideoFacts(shown, *size, pace.fps, pace.shown is None, remarks_on(first, picture))


def _telling(container: Any) -> tuple[Any, np.ndarray | None]:
    """The first frame that is not black, of those with which a video may fade in, and the same in RGB."""
    import av

    stream = container.streams.video[0]
    # One thread decodes and converts a few small frames fastest.
    stream.codec_context.thread_count = 1
    reformatter, frame, picture = av.video.reformatter.VideoReformatter(), None, None
    for frame in islice(container.decode(stream), _FADES_IN):
        picture = reformatter.reformat(frame, format="rgb24", threads=1).to_ndarray()
        if not is_black(picture):
            break
    return frame, picture


class _Packet(NamedTuple):
    """What is kept of a packet: its time in ticks, how long it is shown, whether it is, and whether it is damaged."""

    stamp: int | None
    duration: int
    shown: bool
    broken: bool

    @classmethod
    def of(cls, packet: Any) -> _Packet:
        return cls(packet.pts, packet.duration or 0, not packet.is_discard, packet.is_corrupt)


def _pace(packets: Sequence[_Packet], stream: Any) -> Pace | None:
    """The pace of the frames in packets, which come in the order of decoding."""
    shown = sorted((packet for packet in packets if packet.shown), key=lambda packet: packet.stamp or 0)
    stamps = [packet.stamp for packet in shown]
    last = shown[-1].duration if shown else 0
    return stream_pace(stream, stamps, last)


def _probe_frames(folder: Path) -> VideoFacts:
    files = frame_files(folder)
    height, width = one_size(files)
    return VideoFacts(len(files), height, width, FOLDER_FPS, steady=True)
