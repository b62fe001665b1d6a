"""Videos in memory, and in files that lose nothing."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from hashlib import sha256
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from pvbench.atomic import write_bytes
from pvbench.errors import VideoError

# Rates such as 23.976 are fractions over 1001.
_LARGEST_DENOMINATOR = 1001


@dataclass(frozen=True, eq=False)
class Video:
    """Frames in RGB, and how many of them are shown a second.

    Raises:
        VideoError: for an array that is no video, an empty one, or a rate that is not positive and finite.
    """

    frames: UInt8[np.ndarray, "T H W 3"]
    fps: float

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
        """Sha256, in hex, of the frames, their shape and their rate."""
        rate = _rate(self.fps)
        head = f"{self.frames.shape} {rate.numerator}/{rate.denominator}".encode()
        return sha256(head + np.ascontiguousarray(self.frames).tobytes()).hexdigest()


def write_video(path: Path, video: Video) -> None:
    """`path` holds the video without loss (FFV1 in Matroska): the same video gives the same bytes.

    Raises:
        VideoError: for a name that does not end in .mkv.
        StoreError: for a folder that cannot be written or a full disk.
    """
    if path.suffix != ".mkv":
        raise VideoError(f"videos are written as .mkv, without loss; got {path.name!r}")
    write_bytes(path, _encode(video))


def read_video(path: Path) -> Video:
    """The frames and rate of a video file, of any format that FFmpeg reads.

    Raises:
        VideoError: for a file that is missing, corrupt, cut short or without frames.
    """
    import av
    from av.error import FFmpegError

    if not path.is_file():
        raise VideoError(f"no video at {path}; check the path")
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise VideoError(f"{path} holds no video stream; expected a video file")
            stream = container.streams.video[0]
            # One thread decodes small frames fastest.
            stream.codec_context.thread_count = 1
            reformatter = av.video.reformatter.VideoReformatter()
            frames = [
                reformatter.reformat(frame, format="rgb24").to_ndarray()
                for frame in container.decode(stream)
            ]
            rate = stream.average_rate or stream.guessed_rate
            promised = container.metadata.get(_DIGEST_TAG)
    except (FFmpegError, OSError, ValueError) as error:
        raise VideoError(f"{path} is corrupt or no video ({error}); delete it, or make it again") from error
    if not frames:
        raise VideoError(f"{path} is corrupt: it holds no frames; delete it, or make it again")
    if not rate:
        raise VideoError(f"{path} does not say how many frames it shows a second; encode it again with a frame rate")
    video = Video(np.stack(frames), float(_rate(float(rate))))
    if promised is not None and promised != video.digest:
        raise VideoError(f"{path} is corrupt: its frames are not the ones that were written; delete it, or make it "
                         f"again")
    return video


def written_digest(path: Path) -> str | None:
    """The `Video.digest` that `write_video` put into the file's head; None for a file that has none or is missing.

    Nothing is decoded: a file whose frames are damaged still has its digest, and `read_video` refuses it.
    """
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError:
        return None
    found = re.search(_DIGEST_TAG.encode() + rb".{1,8}?([0-9a-f]{64})", head, re.DOTALL)
    return found[1].decode() if found else None


# FFmpeg decodes damaged and cut-short files without complaint; the frames' own digest gives them away.
_DIGEST_TAG = "PVBENCH_DIGEST"
_HEAD_BYTES = 4096


def _encode(video: Video) -> bytes:
    import av

    _, height, width, _ = video.frames.shape
    file = io.BytesIO()
    with av.open(file, "w", format="matroska", container_options={"fflags": "+bitexact"}) as container:
        container.metadata[_DIGEST_TAG] = video.digest
        stream = container.add_stream("ffv1", rate=_rate(video.fps))
        stream.width, stream.height, stream.pix_fmt = width, height, "bgr0"
        context = stream.codec_context
        context.thread_count = 1
        context.flags |= av.codec.context.Flags.bitexact
        context.options = {"level": "3", "slicecrc": "0"}
        for index, frame in enumerate(video.frames):
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24").reformat(format="bgr0")
            picture.pts = index
            for packet in stream.encode(picture):
                container.mux(packet)
        for packet in stream.encode(None):
            container.mux(packet)
    return file.getvalue()


def _rate(fps: float) -> Fraction:
    return Fraction(fps).limit_denominator(_LARGEST_DENOMINATOR)
