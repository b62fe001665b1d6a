"""Videos written without loss, with the digest of their frames in the head of the file."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np

from pvbench.atomic import write_bytes
from pvbench.errors import VideoError
from pvbench.video.video import Video, rate_of

# FFmpeg decodes damaged and cut-short files without complaint; the frames' own digest gives them away.
DIGEST_TAG = "PVBENCH_DIGEST"
_HEAD_BYTES = 4096


def write_video(path: Path, video: Video) -> None:
    """`path` holds the video without loss (FFV1 in Matroska): the same video gives the same bytes.

    Raises:
        VideoError: for a name that does not end in .mkv, or frames that are not all shown equally long.
        StoreError: for a folder that cannot be written or a full disk.
    """
    if path.suffix != ".mkv":
        raise VideoError(f"videos are written as .mkv, without loss; got {path.name!r}")
    if video.shown is not None:
        raise VideoError(
            f"{path.name}: its frames are shown for unequal times, and videos are written at an even rate; make it at "
            f"the profile's frames a second"
        )
    write_bytes(path, _encode(video))


def written_digest(path: Path) -> str | None:
    """The `Video.digest` that `write_video` put into the file's head; None for a file that has none or is missing.

    Nothing is decoded: a file whose frames are damaged still has its digest, and `read_video` refuses it.
    """
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError:
        return None
    found = re.search(DIGEST_TAG.encode() + rb".{1,8}?([0-9a-f]{64})", head, re.DOTALL)
    return found[1].decode() if found else None


def _encode(video: Video) -> bytes:
    import av

    _, height, width, _ = video.frames.shape
    file = io.BytesIO()
    with av.open(file, "w", format="matroska", container_options={"fflags": "+bitexact"}) as container:
        container.metadata[DIGEST_TAG] = video.digest
        stream = container.add_stream("ffv1", rate=rate_of(video.fps))
        stream.width, stream.height, stream.pix_fmt = width, height, "bgr0"
        context = stream.codec_context
        context.thread_count = 1
        context.flags |= av.codec.context.Flags.bitexact
        context.options = {"level": "3", "slicecrc": "0"}
        reformatter = av.video.reformatter.VideoReformatter()
        for index, frame in enumerate(video.frames):
            shown = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
            picture = reformatter.reformat(shown, format="bgr0", threads=1)
            picture.pts = index
            for packet in stream.encode(picture):
                container.mux(packet)
        for packet in stream.encode(None):
            container.mux(packet)
    return file.getvalue()
