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
from pvbench.containers import ends_early
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
    """The frames and rate of a video file, of any format that FFmpeg reads, or of a folder of frames.

    Frames come as a player shows them: turned as the file says, without transparency. A folder's pictures are taken in
    the order of their names, eight a second.

    Raises:
        VideoError: for a file that is missing, corrupt, cut short, without frames, or too large for the memory.
    """
    import av
    from av.error import FFmpegError

    if path.is_dir():
        return _read_frames(path)
    if not path.is_file():
        raise VideoError(f"no video at {path}; check the path")
    frames: list[np.ndarray] = []
    decoded = 0
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise VideoError(f"{path} holds no video stream; expected a video file")
            stream = container.streams.video[0]
            # One thread decodes small frames fastest.
            stream.codec_context.thread_count = 1
            reformatter = av.video.reformatter.VideoReformatter()
            for frame in container.decode(stream):
                picture = reformatter.reformat(frame, format="rgb24").to_ndarray()
                # The angle is counted against the clock, as numpy's is.
                turns = round(frame.rotation / 90) % 4
                frames.append(np.rot90(picture, turns) if turns else picture)
                decoded += picture.nbytes
                if decoded > LARGEST_BYTES:
                    raise VideoError(f"{path} has more than {LARGEST_BYTES >> 30} GiB of frames of {frame.width}x"
                                     f"{frame.height} pixels; cut it, or scale it down")
            rate = stream.average_rate or stream.guessed_rate
            promised = container.metadata.get(_DIGEST_TAG)
    except (FFmpegError, OSError, ValueError) as error:
        raise VideoError(f"{path} is corrupt or no video ({error}); delete it, or make it again") from error
    if not frames:
        raise VideoError(f"{path} is corrupt: it holds no frames; delete it, or make it again")
    if not rate:
        raise VideoError(f"{path} does not say how many frames it shows a second; encode it again with a frame rate")
    if len({frame.shape for frame in frames}) > 1:
        raise VideoError(f"{path} changes its size on the way; encode it again at one size")
    if ends_early(path):
        raise VideoError(f"{path} {_CUT_SHORT}")
    video = Video(np.stack(frames), float(_rate(float(rate))))
    if promised is not None and promised != video.digest:
        raise VideoError(f"{path} is corrupt: its frames are not the ones that were written; delete it, or make it "
                         f"again")
    return video


_CUT_SHORT = "is cut short: its container says that more belongs to it; fetch or make it again"
LARGEST_BYTES = 6 << 30
"""Of decoded frames in memory at a time: 4k for half a minute."""
FOLDER_FPS = 8.0
"""The rate of a folder of frames, at which VBench, too, looks at every picture."""
PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
"""Of the frames in a folder."""


def frame_files(folder: Path) -> list[Path]:
    """The pictures of a folder of frames, in the order of their names."""
    return sorted(path for path in folder.iterdir()
                  if path.suffix.lower() in PICTURE_SUFFIXES and not path.name.startswith("."))


def _read_frames(folder: Path) -> Video:
    from PIL import Image

    frames = []
    for path in frame_files(folder):
        try:
            with Image.open(path) as image:
                frames.append(np.asarray(image.convert("RGB")))
        except (OSError, ValueError, Image.DecompressionBombError) as error:
            raise VideoError(f"{path} is corrupt or no picture ({error}); make it again") from error
        if frames[-1].shape != frames[0].shape:
            raise VideoError(f"{path} has {frames[-1].shape[1]}x{frames[-1].shape[0]} pixels, the frames before it "
                             f"{frames[0].shape[1]}x{frames[0].shape[0]}; a video's frames have one size")
    if not frames:
        raise VideoError(f"{folder} holds no pictures; expected the frames of a video ({', '.join(PICTURE_SUFFIXES)})")
    return Video(np.stack(frames), FOLDER_FPS)


@dataclass(frozen=True)
class VideoFacts:
    """What a video's container says of it, without any frame decoded.

    Attributes:
        height, width: as shown, after turning.
        steady: whether all frames are shown for the same time.
    """

    frames: int
    height: int
    width: int
    fps: float
    steady: bool


def probe_video(path: Path) -> VideoFacts:
    """The facts of a video file or a folder of frames; its first frame alone is decoded.

    Raises:
        VideoError: it is missing, empty, cut short, no video, or its first frame does not decode.
    """
    import av
    from av.error import FFmpegError

    if path.is_dir():
        return _probe_frames(path)
    if path.is_symlink() and not path.exists():
        raise VideoError(f"{path} is a link to {path.readlink()}, which is not there; mend the link, or remove it")
    if path.exists() and not path.is_file():
        raise VideoError(f"{path} is no regular file; put a video in its place")
    if not path.is_file():
        raise VideoError(f"no video at {path}; check the path")
    if not path.stat().st_size:
        raise VideoError(f"{path} is empty (0 bytes); make it again")
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise VideoError(f"{path} holds no video stream; expected a video file")
            stream = container.streams.video[0]
            # FFmpeg marks as corrupt what it read in part.
            packets = [(packet.pts, packet.is_corrupt) for packet in container.demux(stream) if packet.size]
            times = sorted(pts for pts, _ in packets if pts is not None)
            rate = stream.average_rate or stream.guessed_rate
            promised = stream.frames
        with av.open(str(path)) as container:
            first = next(container.decode(video=0), None)
    except (FFmpegError, OSError, ValueError) as error:
        raise VideoError(f"{path} is corrupt or no video ({error}); delete it, or make it again") from error
    if first is None or not times:
        raise VideoError(f"{path} is corrupt: it holds no frames; delete it, or make it again")
    if not rate:
        raise VideoError(f"{path} does not say how many frames it shows a second; encode it again with a frame rate")
    if len(times) < promised:
        raise VideoError(f"{path} is cut short: it holds {len(times)} of {promised} frames; fetch or make it again")
    if any(broken for _, broken in packets) or ends_early(path):
        raise VideoError(f"{path} {_CUT_SHORT}")
    turned = round(first.rotation / 90) % 2
    height, width = (first.width, first.height) if turned else (first.height, first.width)
    gaps = np.diff(times)
    # Containers count in ticks: a steady rate that is no whole number of them differs by one.
    steady = gaps.size == 0 or int(gaps.max() - gaps.min()) <= 1
    return VideoFacts(len(times), height, width, float(_rate(float(rate))), steady)


def _probe_frames(folder: Path) -> VideoFacts:
    from PIL import Image

    try:
        files = frame_files(folder)
    except OSError as error:
        raise VideoError(f"{folder} cannot be read ({error.strerror}); change its permissions") from error
    if not files:
        raise VideoError(f"{folder} holds no pictures; expected the frames of a video ({', '.join(PICTURE_SUFFIXES)})")
    try:
        with Image.open(files[0]) as image:
            width, height = image.size
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise VideoError(f"{files[0]} is corrupt or no picture ({error}); make it again") from error
    return VideoFacts(len(files), height, width, FOLDER_FPS, steady=True)


def content_digest(path: Path) -> str:
    """Sha256, in hex, of a video file's bytes, or of a folder's pictures and their order."""
    total = sha256()
    files = frame_files(path) if path.is_dir() else [path]
    for file in files:
        one = sha256()
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                one.update(block)
        total.update(one.digest())
    return total.hexdigest()


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
