"""Files that were cut short are told from whole ones, of whatever encoder."""

import av
import cv2
import numpy as np
import pytest
from PIL import Image

from pvbench.errors import VideoError
from pvbench.video import Video, probe_video, read_video, write_video
from pvbench.video.containers import ends_early

FRAMES = np.random.default_rng(0).integers(0, 256, (12, 48, 64, 3), dtype=np.uint8)


def encoded(path, codec, pixels="yuv420p", options=None, audio=None):
    with av.open(str(path), "w", container_options=options or {}) as container:
        stream = container.add_stream(codec, rate=8)
        stream.width, stream.height, stream.pix_fmt = 64, 48, pixels
        sound = container.add_stream(audio, rate=48000) if audio else None
        for frame in FRAMES:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24").reformat(format=pixels)))
        container.mux(stream.encode(None))
        if sound is not None:
            # Longer than the pictures.
            for start in range(0, 96000, 960):
                piece = av.AudioFrame.from_ndarray(np.zeros((1, 960), np.float32), format="fltp", layout="mono")
                piece.sample_rate, piece.pts = 48000, start
                container.mux(sound.encode(piece))
            container.mux(sound.encode(None))


def by_pillow(path, **options):
    first, *others = [Image.fromarray(frame) for frame in FRAMES]
    first.save(path, save_all=True, append_images=others, duration=125, **options)


def by_opencv(path, code):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*code), 8, (64, 48))
    for frame in FRAMES:
        writer.write(frame)
    writer.release()


def by_pvbench(path):
    write_video(path, Video(FRAMES, 8.0))


def trailed(path):
    by_pillow(path)
    path.write_bytes(path.read_bytes() + b"\0\0some words")


WRITERS = {
    "x264.mkv": lambda path: encoded(path, "libx264"),
    "ffv1.mkv": lambda path: encoded(path, "ffv1", "bgr0"),
    "mjpeg.mkv": lambda path: encoded(path, "mjpeg", "yuvj420p"),
    "live.mkv": lambda path: encoded(path, "libx264", options={"live": "1"}),
    "sound.mkv": lambda path: encoded(path, "libx264", audio="aac"),
    "pvbench.mkv": by_pvbench,
    "opencv.mkv": lambda path: by_opencv(path, "MJPG"),
    "vp8.webm": lambda path: encoded(path, "libvpx"),
    "vp9.webm": lambda path: encoded(path, "libvpx-vp9"),
    "live.webm": lambda path: encoded(path, "libvpx-vp9", options={"live": "1"}),
    "sound.webm": lambda path: encoded(path, "libvpx-vp9", audio="libopus"),
    "ffmpeg.gif": lambda path: encoded(path, "gif", "rgb8"),
    "pillow.gif": by_pillow,
    "pillow-own-tables.gif": lambda path: by_pillow(path, loop=0, disposal=2, optimize=True),
    "trailed.gif": trailed,
    "x264.mp4": lambda path: encoded(path, "libx264"),
    "faststart.mp4": lambda path: encoded(path, "libx264", options={"movflags": "faststart"}),
    "fragments.mp4": lambda path: encoded(path, "libx264", options={"movflags": "frag_keyframe+empty_moov"}),
    "opencv.mp4": lambda path: by_opencv(path, "mp4v"),
    "mjpeg.mov": lambda path: encoded(path, "mjpeg", "yuvj420p"),
    "mpeg4.avi": lambda path: encoded(path, "mpeg4"),
    "opencv.avi": lambda path: by_opencv(path, "MJPG"),
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_whole_file_is_whole(tmp_path, name):
    path = tmp_path / name
    WRITERS[name](path)
    assert not ends_early(path)
    assert probe_video(path).frames == len(read_video(path).frames) == 12


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("kept", [0.3, 0.6, 0.9, 0.97])
def test_a_file_cut_short_is_told(tmp_path, name, kept):
    path = tmp_path / name
    WRITERS[name](path)
    data = path.read_bytes()
    end = len(data) - (12 if name == "trailed.gif" else 0)
    path.write_bytes(data[: int(end * kept)])
    # Of an MP4 whose head is at its end nothing can be read.
    with pytest.raises(VideoError, match=r"cut short|corrupt|no video stream"):
        probe_video(path)


@pytest.mark.parametrize("name", ["x264.mkv", "vp9.webm", "pillow.gif", "ffmpeg.gif", "fragments.mp4"])
def test_the_last_byte_is_missed(tmp_path, name):
    path = tmp_path / name
    WRITERS[name](path)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(VideoError, match="cut short"):
        probe_video(path)
    with pytest.raises(VideoError, match="cut short"):
        read_video(path)


def test_what_is_no_container_known_here_is_not_judged(tmp_path):
    for data in (b"", b"text", b"\x1a\x45\xdf\xa3\0\0\0\0\0\0\0\0\0\0", b"GIF89a" + bytes(20)):
        (tmp_path / "file").write_bytes(data)
        assert not ends_early(tmp_path / "file")
