"""Videos in memory, and in files that lose nothing."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import UInt8

from pvbench.atomic import write_bytes
from pvbench.containers import ends_early
from pvbench.errors import VideoError

if TYPE_CHECKING:
    from PIL import Image

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
        total = sha256(head)
        total.update(np.ascontiguousarray(self.frames).data)
        return total.hexdigest()


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
    the order of their names and numbers, eight a second.

    Raises:
        VideoError: for a file that is missing, corrupt, cut short, without frames, or too large for the memory.
    """
    import av
    from av.error import FFmpegError

    if path.is_dir():
        return _read_frames(path)
    if not path.is_file():
        raise VideoError(f"no video at {path}; check the path")
    # Grows without ever being twice in memory, as a list and its stack would be.
    pixels = bytearray()
    shapes: list[tuple[int, ...]] = []
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise VideoError(f"{path} holds no video stream; expected a video file")
            stream = container.streams.video[0]
            _refuse_unknown(stream, path)
            # One thread decodes small frames fastest.
            stream.codec_context.thread_count = 1
            reformatter = av.video.reformatter.VideoReformatter()
            for frame in container.decode(stream):
                if frame.is_corrupt:
                    raise VideoError(
                        f"{path} is corrupt: frame {len(shapes) + 1} does not decode whole; fetch or make it again"
                    )
                picture = reformatter.reformat(frame, format="rgb24").to_ndarray()
                # The angle is counted against the clock, as numpy's is.
                turns = round(frame.rotation / 90) % 4
                turned = np.ascontiguousarray(np.rot90(picture, turns) if turns else picture)
                shapes.append(turned.shape)
                pixels += turned.data
                if len(pixels) > LARGEST_BYTES:
                    raise VideoError(
                        f"{path} has more than {LARGEST_BYTES >> 30} GiB of frames of {frame.width}x"
                        f"{frame.height} pixels; cut it, or scale it down"
                    )
            rate = stream.average_rate or stream.guessed_rate
            promised = container.metadata.get(_DIGEST_TAG)
    except (FFmpegError, OSError, ValueError) as error:
        raise VideoError(f"{path} is corrupt or no video ({_reason(error)}); delete it, or make it again") from error
    if not shapes:
        raise VideoError(f"{path} is corrupt: it holds no frames; delete it, or make it again")
    if not rate:
        raise VideoError(f"{path} does not say how many frames it shows a second; encode it again with a frame rate")
    if len(set(shapes)) > 1:
        raise VideoError(f"{path} changes its size on the way; encode it again at one size")
    if ends_early(path):
        raise VideoError(f"{path} {_CUT_SHORT}")
    frames = np.frombuffer(pixels, np.uint8).reshape(len(shapes), *shapes[0])
    video = Video(frames, float(_rate(float(rate))))
    if promised is not None and promised != video.digest:
        raise VideoError(
            f"{path} is corrupt: its frames are not the ones that were written; delete it, or make it again"
        )
    return video


_CUT_SHORT = "is cut short: its container says that more belongs to it; fetch or make it again"
LARGEST_BYTES = 6 << 30
"""Of decoded frames in memory at a time: 4k for half a minute."""
_ORIENTATION, _SIDES_KEPT = 0x0112, 4
FOLDER_FPS = 8.0
"""The rate of a folder of frames, at which VBench, too, looks at every picture."""
PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
"""Of the frames in a folder."""


def _refuse_unknown(stream: Any, path: Path) -> None:
    """PyAV gives no decoder for a stream whose codec the file's head does not name."""
    if stream.codec_context is None:
        raise VideoError(f"{path} is corrupt or of a codec that is not known here; make it again, as H.264 in mp4")


def _reason(error: Exception) -> str:
    """Without number and path, which FFmpeg and the system put around it."""
    return getattr(error, "strerror", None) or str(error)


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


def _read_frames(folder: Path) -> Video:
    files = frame_files(folder)
    size = _one_size(files)
    frames = np.empty((len(files), *size, 3), np.uint8)
    for place, path in enumerate(files):
        frames[place] = read_picture(path)
    return Video(frames, FOLDER_FPS)


def read_picture(path: Path) -> UInt8[np.ndarray, "height width 3"]:
    """A picture in RGB, turned as its file says; of 16 bits a colour the upper eight, as Pillow itself takes of RGB.

    Raises:
        VideoError: it is no picture or corrupt, or has colours of 32 bits, whose range nobody knows.
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
        raise VideoError(f"{path} is corrupt or no picture ({_reason(error)}); make it again") from error


def _turned(image: Image.Image) -> int:
    """How EXIF says that a picture is turned: 1 for not at all, above 4 with its sides exchanged; 0 for no word."""
    # Pillow would decode all of a PNG to look for what comes before its pixels.
    if image.format == "PNG" and "exif" not in image.info:
        return 0
    return int(image.getexif().get(_ORIENTATION, 0))


def _one_size(files: Sequence[Path]) -> tuple[int, int]:
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
            _refuse_unknown(stream, path)
            # FFmpeg marks as corrupt what it read in part.
            packets = [(packet.pts, packet.is_corrupt) for packet in container.demux(stream) if packet.size]
            times = sorted(pts for pts, _ in packets if pts is not None)
            rate = stream.average_rate or stream.guessed_rate
            promised = stream.frames
        with av.open(str(path)) as container:
            first = next(container.decode(video=0), None)
    except (FFmpegError, OSError, ValueError) as error:
        raise VideoError(f"{path} is corrupt or no video ({_reason(error)}); delete it, or make it again") from error
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
    files = frame_files(folder)
    height, width = _one_size(files)
    return VideoFacts(len(files), height, width, FOLDER_FPS, steady=True)


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
