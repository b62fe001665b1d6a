"""Files that are written without loss, and the digest in their heads."""

import dataclasses

import av
import numpy as np
import pytest
from example_videos import encode

from pvbench.errors import VideoError
from pvbench.video import Video, read_video, write_video, written_digest
from pvbench.video.lossless import DIGEST_TAG


@pytest.fixture
def video():
    return Video(np.random.default_rng(0).integers(0, 256, (6, 32, 24, 3), dtype=np.uint8), 8.0)


def test_the_file_is_ffv1_in_matroska_and_its_digest_a_tag_that_any_program_reads(tmp_path, video):
    write_video(tmp_path / "a.mkv", video)
    with av.open(str(tmp_path / "a.mkv")) as container:
        (stream,) = container.streams
        assert (container.format.name, stream.codec_context.name) == ("matroska,webm", "ffv1")
        assert container.metadata[DIGEST_TAG] == video.digest
        assert stream.average_rate == 8


def test_every_level_of_every_colour_survives(tmp_path):
    levels = np.zeros((3, 16, 16, 3), np.uint8)
    for channel in range(3):
        levels[channel, :, :, channel] = np.arange(256).reshape(16, 16)
    write_video(tmp_path / "a.mkv", Video(levels, 8.0))
    np.testing.assert_array_equal(read_video(tmp_path / "a.mkv").frames, levels)


def test_the_digest_is_told_of_a_file_whose_frames_are_damaged(tmp_path, video):
    path = tmp_path / "a.mkv"
    write_video(path, video)
    content = bytearray(path.read_bytes())
    content[-len(content) // 10] ^= 0x10
    path.write_bytes(content)
    assert written_digest(path) == video.digest
    with pytest.raises(VideoError, match="corrupt"):
        read_video(path)


def test_frames_of_another_video_are_not_taken_for_those_of_the_digest(tmp_path, video):
    path = tmp_path / "a.mkv"
    write_video(path, video)
    other = Video(255 - video.frames, 8.0)
    path.write_bytes(path.read_bytes().replace(video.digest.encode(), other.digest.encode()))
    assert written_digest(path) == other.digest
    with pytest.raises(VideoError, match=r"a\.mkv is corrupt: its frames are not the ones that were written"):
        read_video(path)


def test_another_rate_is_another_file(tmp_path, video):
    write_video(tmp_path / "a.mkv", video)
    write_video(tmp_path / "b.mkv", Video(video.frames, 12.0))
    assert written_digest(tmp_path / "a.mkv") != written_digest(tmp_path / "b.mkv")


def test_a_video_takes_the_place_of_the_one_before_it(tmp_path, video):
    write_video(tmp_path / "a.mkv", Video(video.frames[:2], 8.0))
    write_video(tmp_path / "a.mkv", video)
    assert written_digest(tmp_path / "a.mkv") == video.digest
    assert [path.name for path in tmp_path.iterdir()] == ["a.mkv"]


@pytest.mark.parametrize("name", ["a.MKV", "a", "a.mkv.mp4"])
def test_a_name_of_another_format_is_refused_and_nothing_is_written(tmp_path, video, name):
    with pytest.raises(VideoError, match=f"written as .mkv, without loss; got {name!r}"):
        write_video(tmp_path / name, video)
    assert not list(tmp_path.iterdir())


def test_what_another_program_wrote_has_no_digest(tmp_path):
    assert written_digest(encode(tmp_path / "a.mkv", codec="ffv1", pixels="bgr0")) is None
    assert written_digest(tmp_path) is None


def test_a_digest_behind_the_head_is_none(tmp_path, video):
    tagged = f"{DIGEST_TAG}\0\0{video.digest}".encode()
    (tmp_path / "head.mkv").write_bytes(tagged)
    (tmp_path / "behind.mkv").write_bytes(bytes(5000) + tagged)
    assert written_digest(tmp_path / "head.mkv") == video.digest
    assert written_digest(tmp_path / "behind.mkv") is None


def test_frames_that_are_shown_for_unequal_times_are_not_written(tmp_path, video):
    """The file would have an even rate, and be taken for damaged when it is read."""
    uneven = dataclasses.replace(video, shown=np.array([1, 1, 2, 1, 1, 3]) / 16)
    with pytest.raises(VideoError, match=r"a\.mkv: its frames are shown for unequal times"):
        write_video(tmp_path / "a.mkv", uneven)
    assert not list(tmp_path.iterdir())
