"""Small copies of videos: what they keep of the picture, of time, and of the bytes."""

import ctypes
import io

import av
import numpy as np
import pytest
from PIL import Image

from pvbench.report.gallery.clips import clip_size, encode_clip, write_thumbnail
from pvbench.video import Video


def moving_square(frames=10, height=64, width=48, fps=8.0):
    """Grey frames with a red square whose place tells the frame's number."""
    pixels = np.full((frames, height, width, 3), 128, np.uint8)
    for index in range(frames):
        pixels[index, 20:40, 2 * index : 2 * index + 16] = (230, 20, 20)
    return Video(pixels, fps)


def decoded(content):
    with av.open(io.BytesIO(content)) as container:
        (stream,) = container.streams
        frames = list(container.decode(stream))
        return (
            stream.codec_context.name,
            [f.to_ndarray(format="rgb24") for f in frames],
            [float(f.time) for f in frames],
        )


@pytest.mark.parametrize(
    ("height", "width", "expected"),
    [
        (64, 64, (192, 192)),
        (720, 1280, (270, 480)),
        (1280, 720, (480, 270)),
        (256, 255, (256, 256)),
        (3, 1000, (2, 480)),
    ],
)
def test_the_size_of_a_copy_is_even_and_neither_tiny_nor_huge(height, width, expected):
    assert clip_size(height, width) == expected


def test_a_copy_has_every_frame_at_its_time():
    codec, frames, times = decoded(encode_clip(moving_square(fps=12.5)))
    assert codec == "h264"
    assert times == pytest.approx([index / 12.5 for index in range(10)])
    for index, frame in enumerate(frames):
        # The square's left edge, in the copy's pixels: three times as many.
        red = (frame[:, :, 0].astype(int) - frame[:, :, 1]) > 100
        assert abs(np.flatnonzero(red.any(axis=0))[0] / 3 - 2 * index) < 1


def test_a_copy_shows_each_frame_when_the_video_does():
    shown = np.array([0, 0.125, 0.25, 4.5, 4.625, 4.75, 4.875, 5.0, 5.125, 5.25, 5.375])
    plain = moving_square()
    _, _, times = decoded(encode_clip(Video(plain.frames, 10 / shown[-1], shown)))
    assert times == pytest.approx(shown[:-1], abs=0.002)


def test_a_copy_keeps_colours_nearly():
    _, frames, _ = decoded(encode_clip(moving_square()))
    assert np.abs(frames[0][10, 100].astype(int) - 128).max() <= 6
    assert np.abs(frames[0][90, 24].astype(int) - (230, 20, 20)).max() <= 20


@pytest.fixture
def fresh_memory():
    """Fills memory that is handed out from now on with a pattern of a byte, as glibc can."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        pytest.skip("this C library cannot fill fresh memory")
    perturb = -6
    yield lambda byte: mallopt(perturb, byte)
    mallopt(perturb, 0)


def test_the_same_video_gives_the_same_bytes_whatever_the_memory_held(fresh_memory):
    found = set()
    for byte in (0, 1, 0x55, 0xFF):
        fresh_memory(byte)
        found.add(encode_clip(moving_square()))
    assert len(found) == 1


def test_a_thumbnail_is_small(tmp_path):
    Image.new("RGB", (1000, 500), (10, 200, 30)).save(tmp_path / "photo.png")
    write_thumbnail(tmp_path / "small.jpg", tmp_path / "photo.png")
    with Image.open(tmp_path / "small.jpg") as image:
        assert (image.format, image.size) == ("JPEG", (128, 64))


def test_a_thumbnail_stands_upright(tmp_path):
    """As a phone writes a photo: lying, with a note on how it was held."""
    photo = Image.new("RGB", (100, 50), (10, 10, 200))
    exif = photo.getexif()
    exif[0x0112] = 6
    photo.save(tmp_path / "photo.jpg", exif=exif)
    write_thumbnail(tmp_path / "small.jpg", tmp_path / "photo.jpg")
    with Image.open(tmp_path / "small.jpg") as image:
        assert image.size == (50, 100)
