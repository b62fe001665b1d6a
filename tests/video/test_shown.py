"""Frames as a player shows them."""

import struct
from fractions import Fraction

import av
import numpy as np
import pytest
from example_videos import encode

from pvbench.video import VIDEO_SUFFIXES, probe_video, read_video
from pvbench.video.shown import has_bars


def displayed(path, a, b, c, d):
    """The same mp4 with a display matrix: a pixel at (x, y) is shown at (a x + c y, b x + d y)."""
    data = bytearray(path.read_bytes())
    at = data.find(b"tkhd") + 44
    for index, value in enumerate((a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30)):
        data[at + 4 * index : at + 4 * index + 4] = struct.pack(">i", value)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("matrix", "operation"),
    [
        ((1, 0, 0, 1), lambda frame: frame),
        ((-1, 0, 0, 1), lambda frame: frame[:, ::-1]),
        ((1, 0, 0, -1), lambda frame: frame[::-1]),
        ((-1, 0, 0, -1), lambda frame: np.rot90(frame, 2)),
        ((0, 1, -1, 0), lambda frame: np.rot90(frame, -1)),
        ((0, -1, 1, 0), lambda frame: np.rot90(frame)),
        ((0, 1, 1, 0), lambda frame: np.swapaxes(frame, 0, 1)),
        ((0, -1, -1, 0), lambda frame: np.rot90(np.swapaxes(frame, 0, 1), 2)),
    ],
)
def test_all_eight_ways_of_showing_a_frame(tmp_path, matrix, operation):
    plain = read_video(encode(tmp_path / "plain.mp4", frames=2))
    path = displayed(encode(tmp_path / "a.mp4", frames=2), *matrix)
    video, facts = read_video(path), probe_video(path)
    np.testing.assert_array_equal(video.frames[0], operation(plain.frames[0]))
    assert video.frames.shape[1:3] == (facts.height, facts.width)


@pytest.mark.parametrize(("ratio", "width"), [("4/3", 64), ("8/9", 43), ("1/1", 48)])
def test_pixels_that_are_not_square_are_made_so(tmp_path, ratio, width):
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=8)
        stream.width, stream.height, stream.pix_fmt = 48, 32, "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(ratio)
        for _ in range(2):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.full((32, 48, 3), 99, np.uint8), format="rgb24")))
        container.mux(stream.encode(None))
    assert read_video(path).frames.shape == (2, 32, width, 3)
    assert (probe_video(path).height, probe_video(path).width) == (32, width)


def test_black_bars_are_seen_at_two_opposite_sides():
    picture = np.full((90, 160, 3), 120, np.uint8)
    assert not has_bars(picture)
    picture[:10] = 3
    assert not has_bars(picture)
    picture[-11:] = 3
    assert has_bars(picture)
    assert has_bars(np.swapaxes(picture, 0, 1))
    assert not has_bars(np.zeros((90, 160, 3), np.uint8))


def test_interlaced_and_hdr_videos_are_told(tmp_path):
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=8)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        stream.codec_context.options = {"x264-params": "transfer=smpte2084:interlaced=1:tff=1"}
        picture = np.full((64, 64, 3), 120, np.uint8)
        container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    assert set(probe_video(path).remarks) == {"hdr", "interlaced"}


@pytest.mark.parametrize(
    ("suffix", "codec"),
    [
        *[(".m4v", "libx264"), (".mpg", "mpeg2video"), (".ts", "libx264"), (".wmv", "wmv2"), (".flv", "flv")],
        *[(".3gp", "libx264"), (".mov", "libx264"), (".mts", "mpeg2video"), (".ogv", "libtheora"), (".nut", "ffv1")],
    ],
)
def test_what_the_decoder_reads_is_a_video(tmp_path, suffix, codec):
    assert suffix in VIDEO_SUFFIXES
    if codec not in av.codecs_available:
        pytest.skip(f"this FFmpeg has no {codec}")
    pixels = "bgr0" if codec == "ffv1" else "yuv420p"
    rate = 25
    path = encode(tmp_path / f"a{suffix}", codec=codec, pixels=pixels, rate=rate)
    video, facts = read_video(path), probe_video(path)
    assert video.frames.shape == (12, 32, 48, 3)
    assert (facts.frames, facts.height, facts.width, facts.fps) == (12, 32, 48, video.fps)
    assert video.fps == rate
