"""Small copies of videos and photos that browsers show: H.264 in MP4, and JPEG."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from pvbench.atomic import write_bytes
from pvbench.video import Video
from pvbench.video.video import rate_of

LONGEST_SIDE = 480
"""Pixels of a copy's longer side; larger videos are made smaller."""
SMALL_SIDE = 192
"""Smaller videos are enlarged to about this, so that H.264's halved colours do not blur a face."""
QUALITY = "20"
"""Constant rate factor of x264, where 18 is taken for visually lossless."""
_KEY_FRAMES = 8
_REPEATABLE = {"x264-params": "mbtree=0"}
"""x264's macroblock-tree rate control reads memory that nobody has written: one clip in 140 came out otherwise."""
_TICK = Fraction(1, 1000)
"""Seconds: what times are rounded to where frames are shown for unequal ones."""
_PHOTO_SIDE = 128


def clip_size(height: int, width: int) -> tuple[int, int]:
    """Height and width of a copy, even numbers as H.264 asks."""
    longest = max(height, width)
    factor = max(1, SMALL_SIDE // longest) if longest <= LONGEST_SIDE else LONGEST_SIDE / longest
    return max(2, 2 * round(height * factor / 2)), max(2, 2 * round(width * factor / 2))


def encode_clip(video: Video) -> bytes:
    """The video as an MP4 that every browser plays; the same video gives the same bytes on one machine."""
    import av

    height, width = clip_size(*video.frames.shape[1:3])
    file = io.BytesIO()
    with av.open(file, "w", format="mp4", container_options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("libx264", rate=rate_of(video.fps))
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        context = stream.codec_context
        context.thread_count = 1
        context.flags |= av.codec.context.Flags.bitexact
        # Key frames often enough to step through frame by frame; no B-frames, whose delay shifts the first frame.
        context.options = {"crf": QUALITY, "preset": "fast", "g": str(_KEY_FRAMES), "bf": "0", **_REPEATABLE}
        if video.shown is not None:
            context.time_base = _TICK
        reformatter = av.video.reformatter.VideoReformatter()
        for index, frame in enumerate(video.frames):
            shown = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
            picture = reformatter.reformat(
                shown, width, height, "yuv420p", dst_colorspace="ITU709", interpolation="BICUBIC", threads=1
            )
            picture.pts = index
            if video.shown is not None:
                picture.pts, picture.time_base = round(video.shown[index] / _TICK), _TICK
            for packet in stream.encode(picture):
                container.mux(packet)
        for packet in stream.encode(None):
            container.mux(packet)
    return file.getvalue()


def can_encode() -> bool:
    """Whether this installation of PyAV has an encoder for H.264."""
    import av

    return "libx264" in av.codecs_available


def write_thumbnail(target: Path, photo: Path) -> None:
    """A small JPEG of a photo.

    Raises:
        OSError: the photo cannot be read.
        StoreError: the target cannot be written.
    """
    content = io.BytesIO()
    with Image.open(photo) as image:
        small = ImageOps.exif_transpose(image).convert("RGB")
        small.thumbnail((_PHOTO_SIDE, _PHOTO_SIDE), Image.Resampling.LANCZOS)
        small.save(content, format="JPEG", quality=85, optimize=True)
    write_bytes(target, content.getvalue())
