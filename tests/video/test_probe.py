"""What is told of a video from its container and its first frame alone."""

import os

import av
import numpy as np
import pytest
from example_videos import encode
from PIL import Image

from pvbench.errors import VideoError
from pvbench.video import Video, VideoFacts, probe_video, read_video, write_video

FACTS = VideoFacts(frames=12, height=32, width=48, fps=8.0, steady=True)


@pytest.mark.parametrize(("name", "codec"), [("a.mp4", "libx264"), ("a.webm", "libvpx-vp9"), ("a.avi", "mpeg4")])
def test_the_facts_are_the_same_whatever_the_container(tmp_path, name, codec):
    assert probe_video(encode(tmp_path / name, codec=codec)) == FACTS


def test_damage_behind_the_first_frame_is_left_to_the_reader(tmp_path):
    path = tmp_path / "a.mkv"
    frames = np.random.default_rng(0).integers(0, 256, (12, 32, 48, 3), dtype=np.uint8)
    write_video(path, Video(frames, 8.0))
    content = bytearray(path.read_bytes())
    content[int(0.9 * len(content))] ^= 0x10
    path.write_bytes(content)
    assert probe_video(path) == FACTS
    with pytest.raises(VideoError, match="is corrupt"):
        read_video(path)


def test_a_link_stands_for_what_it_leads_to(tmp_path):
    encode(tmp_path / "a.mp4")
    (tmp_path / "link.mp4").symlink_to("a.mp4")
    assert probe_video(tmp_path / "link.mp4") == FACTS
    (tmp_path / "a.mp4").unlink()
    with pytest.raises(VideoError, match=r"link\.mp4 is a link to a\.mp4, which is not there; fix the link"):
        probe_video(tmp_path / "link.mp4")


def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.mp4")
    with pytest.raises(VideoError, match=r"a\.mp4 is not a regular file; put a video in its place"):
        probe_video(tmp_path / "a.mp4")


def test_sound_without_pictures_is_refused(tmp_path):
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        sound = container.add_stream("aac", rate=48000)
        piece = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        piece.sample_rate, piece.pts = 48000, 0
        container.mux(sound.encode(piece))
        container.mux(sound.encode(None))
    with pytest.raises(VideoError, match=r"a\.mp4 holds no video stream; expected a video file"):
        probe_video(path)


def test_a_single_frame_has_the_rate_that_its_file_declares(tmp_path):
    facts = probe_video(encode(tmp_path / "a.mp4", frames=1, rate=12))
    assert (facts.frames, facts.fps, facts.steady) == (1, 12, True)


@pytest.mark.parametrize(("rows", "remarks"), [(0, ()), (6, ("bars",))])
def test_black_bars_are_remarked_on(tmp_path, rows, remarks):
    frames = np.full((3, 64, 64, 3), 128, np.uint8)
    frames[:, :rows] = frames[:, 64 - rows :] = 0
    write_video(tmp_path / "a.mkv", Video(frames, 8.0))
    assert probe_video(tmp_path / "a.mkv").remarks == remarks


def test_black_bars_are_seen_where_a_video_fades_in(tmp_path):
    frames = np.full((6, 64, 64, 3), 128, np.uint8)
    frames[:, :6] = frames[:, 58:] = 0
    frames[:3] = 0
    write_video(tmp_path / "a.mkv", Video(frames, 8.0))
    assert probe_video(tmp_path / "a.mkv").remarks == ("bars",)
    write_video(tmp_path / "b.mkv", Video(np.zeros_like(frames), 8.0))
    assert probe_video(tmp_path / "b.mkv").remarks == ()


def test_a_folder_of_frames_is_told_by_the_heads_of_its_pictures(tmp_path):
    for name in ("1.png", "2.png", "3.JPG", ".4.png"):
        Image.fromarray(np.zeros((20, 30, 3), np.uint8)).save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no frame")
    assert probe_video(tmp_path) == VideoFacts(frames=3, height=20, width=30, fps=8.0, steady=True)


def test_a_folder_without_pictures_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("no frame")
    with pytest.raises(VideoError, match="holds no pictures; expected the frames of a video"):
        probe_video(tmp_path)
