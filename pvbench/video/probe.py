"""What a video file says of itself, without its frames decoded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pvbench.errors import VideoError
from pvbench.video.containers import ends_early
from pvbench.video.pictures import FOLDER_FPS, frame_files, one_size, reason
from pvbench.video.read import CUT_SHORT, refuse_unknown
from pvbench.video.video import rate_of


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
            refuse_unknown(stream, path)
            # FFmpeg marks as corrupt what it read in part.
            packets = [(packet.pts, packet.is_corrupt) for packet in container.demux(stream) if packet.size]
            times = sorted(pts for pts, _ in packets if pts is not None)
            rate = stream.average_rate or stream.guessed_rate
            promised = stream.frames
        with av.open(str(path)) as container:
            first = next(container.decode(video=0), None)
    except (FFmpegError, OSError, ValueError) as error:
        raise VideoError(f"{path} is corrupt or no video ({reason(error)}); delete it, or make it again") from error
    if first is None or not times:
        raise VideoError(f"{path} is corrupt: it holds no frames; delete it, or make it again")
    if not rate:
        raise VideoError(f"{path} does not say how many frames it shows a second; encode it again with a frame rate")
    if len(times) < promised:
        raise VideoError(f"{path} is cut short: it holds {len(times)} of {promised} frames; fetch or make it again")
    if any(broken for _, broken in packets) or ends_early(path):
        raise VideoError(f"{path} {CUT_SHORT}")
    turned = round(first.rotation / 90) % 2
    height, width = (first.width, first.height) if turned else (first.height, first.width)
    gaps = np.diff(times)
    # Containers count in ticks: a steady rate that is no whole number of them differs by one.
    steady = gaps.size == 0 or int(gaps.max() - gaps.min()) <= 1
    return VideoFacts(len(times), height, width, float(rate_of(float(rate))), steady)


def _probe_frames(folder: Path) -> VideoFacts:
    files = frame_files(folder)
    height, width = one_size(files)
    return VideoFacts(len(files), height, width, FOLDER_FPS, steady=True)
