"""Videos out of files of any format, whole or refused."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from pvbench.errors import VideoError
from pvbench.video.animation import is_animation, read_animation
from pvbench.video.containers import CUT_SHORT, ends_early
from pvbench.video.lossless import DIGEST_TAG
from pvbench.video.pace import stream_pace
from pvbench.video.pictures import frame_files, read_frames, reason
from pvbench.video.shown import orient, square_width
from pvbench.video.video import Video, refuse_too_large


def read_video(path: Path) -> Video:
    """The frames and rate of a video file, of any format that FFmpeg reads, or of a folder of frames.

    Frames come as a player shows them: turned and mirrored as the file says, with square pixels, without transparency.
    A folder's pictures are taken in the order of their names and numbers, eight a second.

    Raises:
        VideoError: for a file that is missing, corrupt, cut short, without frames, or too large for the memory.
    """
    import av
    from av.error import FFmpegError

    if path.is_dir():
        return read_frames(path)
    if is_animation(path):
        return read_animation(path)
    if not path.is_file():
        raise VideoError(f"no video at {path}; check the path")
    # Grows without ever being twice in memory, as a list and its stack would be.
    pixels = bytearray()
    shapes: list[tuple[int, ...]] = []
    stamps: list[int | None] = []
    last = 0
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise VideoError(f"{path} holds no video stream; expected a video file")
            stream = container.streams.video[0]
            refuse_unknown(stream, path)
            # One thread decodes and converts small frames fastest.
            stream.codec_context.thread_count = 1
            reformatter = av.video.reformatter.VideoReformatter()
            for frame in container.decode(stream):
                if frame.is_corrupt:
                    raise VideoError(
                        f"{path} is corrupt: frame {len(shapes) + 1} does not decode whole; fetch or make it again"
                    )
                width = square_width(stream, frame)
                picture = reformatter.reformat(frame, width, format="rgb24", threads=1).to_ndarray()
                turned = np.ascontiguousarray(orient(frame)(picture))
                shapes.append(turned.shape)
                stamps.append(frame.pts)
                last = frame.duration
                pixels += turned.data
                refuse_too_large(path, len(pixels), frame.width, frame.height)
            pace = stream_pace(stream, stamps, last or 0)
            promised = container.metadata.get(DIGEST_TAG)
    except (FFmpegError, OSError, ValueError) as error:
        raise VideoError(f"{path} is corrupt or no video ({reason(error)}); delete it, or make it again") from error
    if not shapes:
        raise VideoError(f"{path} is corrupt: it holds no frames; delete it, or make it again")
    if pace is None:
        raise VideoError(f"{path} does not say how many frames it shows a second; encode it again with a frame rate")
    if len(set(shapes)) > 1:
        raise VideoError(f"{path} changes its size on the way; encode it again at one size")
    if ends_early(path):
        raise VideoError(f"{path} {CUT_SHORT}")
    frames = np.frombuffer(pixels, np.uint8).reshape(len(shapes), *shapes[0])
    video = Video(frames, pace.fps, pace.shown)
    if promised is not None and promised != video.digest:
        raise VideoError(
            f"{path} is corrupt: its frames are not the ones that were written; delete it, or make it again"
        )
    return video


def refuse_unknown(stream: Any, path: Path) -> None:
    """Refuses what PyAV cannot decode: it gives no decoder for a stream whose codec the file's head does not name."""
    if stream.codec_context is None:
        raise VideoError(f"{path} is corrupt or of a codec that is not known here; make it again, as H.264 in mp4")


def content_digest(path: Path) -> str:
    """Sha256, in hex, of a video file's bytes, or of a folder's pictures and their order."""
    total = sha256()
    # Raised where other frames are made of the same pictures than before.
    files = frame_files(path) if path.is_dir() else [path]
    if path.is_dir():
        total.update(b"frames, version 2")
    for file in files:
        one = sha256()
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                one.update(block)
        total.update(one.digest())
    return total.hexdigest()
