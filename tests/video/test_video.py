"""Videos in memory and in files."""

import re

import av
import numpy as np
import pytest
from example_videos import encode

from pvbench.errors import StoreError, VideoError
from pvbench.video import Video, probe_video, read_video, write_video, written_digest


def noise(shape=(6, 32, 24, 3), fps=8.0, seed=0):
    return Video(np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8), fps)


@pytest.mark.parametrize("shape", [(6, 32, 24, 3), (1, 65, 33, 3), (3, 2, 2, 3)])
@pytest.mark.parametrize("fps", [8.0, 7.5, 23.976, 29.97, 60.0])
def test_a_video_comes_back_as_it_was(tmp_path, shape, fps):
    video = noise(shape, fps)
    write_video(tmp_path / "video.mkv", video)
    back = read_video(tmp_path / "video.mkv")
    np.testing.assert_array_equal(back.frames, video.frames)
    assert back.fps == pytest.approx(fps, rel=1e-6)
    assert back.digest == video.digest


def test_the_same_video_gives_the_same_bytes(tmp_path):
    write_video(tmp_path / "one.mkv", noise())
    write_video(tmp_path / "other.mkv", noise())
    assert (tmp_path / "one.mkv").read_bytes() == (tmp_path / "other.mkv").read_bytes()


def test_frames_that_are_a_view_into_more_are_written_as_seen(tmp_path):
    video = Video(noise().frames[::2, ::-1, :, ::-1], 8.0)
    write_video(tmp_path / "video.mkv", video)
    np.testing.assert_array_equal(read_video(tmp_path / "video.mkv").frames, video.frames)
    assert written_digest(tmp_path / "video.mkv") == video.digest


def test_the_digest_sees_frames_rate_and_shape():
    frames = noise().frames
    changed = frames.copy()
    changed[3, 4, 5, 1] ^= 1
    digests = {
        Video(frames, 8.0).digest,
        Video(changed, 8.0).digest,
        Video(frames, 9.0).digest,
        Video(frames.reshape(6, 24, 32, 3), 8.0).digest,
    }
    assert len(digests) == 4


def test_the_digest_is_read_from_the_head_of_the_file_alone(tmp_path):
    path = tmp_path / "video.mkv"
    write_video(path, noise((6, 64, 64, 3)))
    path.write_bytes(path.read_bytes()[:4096])
    assert written_digest(path) == noise((6, 64, 64, 3)).digest


def test_a_missing_or_foreign_file_has_no_written_digest(tmp_path):
    (tmp_path / "text.mkv").write_text("no video")
    assert written_digest(tmp_path / "text.mkv") is None
    assert written_digest(tmp_path / "nothing.mkv") is None


@pytest.mark.parametrize("where", [0.3, 0.5, 0.7, 0.95])
def test_a_flipped_bit_is_an_error(tmp_path, where):
    path = tmp_path / "video.mkv"
    write_video(path, noise())
    content = bytearray(path.read_bytes())
    content[int(where * len(content))] ^= 0x10
    path.write_bytes(content)
    with pytest.raises(VideoError, match="corrupt"):
        read_video(path)


@pytest.mark.parametrize("kept", [0.0, 0.01, 0.2, 0.6, 0.9])
def test_a_file_cut_short_is_an_error(tmp_path, kept):
    path = tmp_path / "video.mkv"
    write_video(path, noise())
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(VideoError, match=str(path)):
        read_video(path)


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(VideoError, match="no video at"):
        read_video(tmp_path / "nothing.mkv")


def test_a_text_file_is_no_video(tmp_path):
    (tmp_path / "text.mp4").write_text("no video")
    # FFmpeg's reason, without its number and without the path a second time.
    with pytest.raises(VideoError, match=r"text\.mp4 is corrupt or no video \(Invalid data found[^0-9/]*\);"):
        read_video(tmp_path / "text.mp4")


def test_damage_anywhere_is_refused_where_the_decoder_notices_it(tmp_path):
    path = encode(tmp_path / "a.mp4", frames=24, width=320, height=192)
    assert len(read_video(path).frames) == 24
    content = path.read_bytes()
    rubbish = np.random.default_rng(1).integers(0, 256, 60, dtype=np.uint8).tobytes()
    told = []
    for place in range(0, len(content) - 60, 60):
        path.write_bytes(content[:place] + rubbish + content[place + 60 :])
        for look in (probe_video, read_video):
            try:
                look(path)
            except VideoError as error:
                told.append(str(error))
    # H.264 has no checksum: of some damage the decoder knows nothing.
    assert any(
        re.search(r"a\.mp4 is corrupt: frame \d+ does not decode whole; fetch or make it again", one) for one in told
    )


def test_a_video_of_another_program_is_read(tmp_path):
    path = tmp_path / "other.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=12)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for value in (0, 120, 240):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), value, np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    video = read_video(path)
    assert video.frames.shape == (3, 48, 64, 3)
    assert video.fps == 12
    np.testing.assert_allclose(video.frames.mean(axis=(1, 2, 3)), [0, 120, 240], atol=4)


def test_videos_are_written_as_mkv_only(tmp_path):
    with pytest.raises(VideoError, match=r"\.mkv"):
        write_video(tmp_path / "video.mp4", noise())


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(StoreError, match="taken"):
        write_video(tmp_path / "taken" / "video.mkv", noise())


@pytest.mark.parametrize(
    "frames",
    [
        np.zeros((0, 8, 8, 3), np.uint8),
        np.zeros((2, 0, 8, 3), np.uint8),
    ],
)
def test_an_empty_array_is_no_video(frames):
    with pytest.raises(VideoError, match="at least one frame"):
        Video(frames, 8.0)


@pytest.mark.parametrize("fps", [0.0, -1.0, float("nan"), float("inf")])
def test_a_rate_is_positive_and_finite(fps):
    with pytest.raises(VideoError, match="rate"):
        Video(np.zeros((1, 8, 8, 3), np.uint8), fps)
