"""Moving WebP, PNG and AVIF."""

import numpy as np
import pytest
from PIL import Image

from pvbench.errors import VideoError
from pvbench.video import is_video_file, probe_video, read_video


def moving(path, durations=(125, 125, 125, 125), **options):
    """A square that moves over a grey ground, and its frames."""
    frames = np.full((len(durations), 24, 40, 3), 60, np.uint8)
    for index, frame in enumerate(frames):
        frame[4:12, 4 * index : 4 * index + 8] = (220, 40, 40)
    first, *others = [Image.fromarray(frame) for frame in frames]
    first.save(path, save_all=True, append_images=others, duration=list(durations), **options)
    return frames


@pytest.mark.parametrize(
    ("name", "options", "off"),
    [
        ("a.webp", {"lossless": True}, 0),
        ("a.apng", {}, 0),
        ("a.png", {}, 0),
        ("a.avif", {"quality": 100, "subsampling": "4:4:4"}, 12),
    ],
)
def test_every_frame_is_read_and_looked_at(tmp_path, name, options, off):
    frames = moving(tmp_path / name, **options)
    video, facts = read_video(tmp_path / name), probe_video(tmp_path / name)
    np.testing.assert_allclose(video.frames.astype(int), frames, atol=off)
    assert (facts.frames, facts.height, facts.width, facts.fps, facts.steady) == (4, 24, 40, 8.0, True)
    assert (video.fps, video.shown) == (8.0, None)


def test_held_frames_are_shown_for_their_times(tmp_path):
    moving(tmp_path / "a.webp", (100, 100, 700, 100), lossless=True)
    assert read_video(tmp_path / "a.webp").shown == pytest.approx([0, 0.1, 0.2, 0.9, 1.0])
    assert not probe_video(tmp_path / "a.webp").steady


def test_a_frame_that_is_shown_for_no_time_is_shown_as_browsers_do(tmp_path):
    moving(tmp_path / "a.webp", (0, 0, 0), lossless=True)
    assert read_video(tmp_path / "a.webp").fps == 10


@pytest.mark.parametrize(
    ("durations", "fps"), [((10, 10, 10, 10), 10), ((20, 20, 20, 20), 50), ((125, 125, 125, 125), 8)]
)
def test_a_gif_is_shown_at_the_rate_of_browsers(tmp_path, durations, fps):
    moving(tmp_path / "a.gif", durations)
    assert read_video(tmp_path / "a.gif").fps == pytest.approx(fps, rel=0.05)
    assert probe_video(tmp_path / "a.gif").fps == pytest.approx(fps, rel=0.05)


def test_a_gifs_short_frames_among_others_are_held_as_in_browsers(tmp_path):
    moving(tmp_path / "a.gif", (10, 500, 10, 500))
    assert read_video(tmp_path / "a.gif").shown[:4] == pytest.approx([0, 0.1, 0.6, 0.7])
    assert not probe_video(tmp_path / "a.gif").steady


def test_still_pictures_are_no_videos(tmp_path):
    for name in ("a.webp", "a.png", "a.avif"):
        Image.fromarray(np.zeros((16, 16, 3), np.uint8)).save(tmp_path / name)
        assert not is_video_file(tmp_path / name)
    assert not is_video_file(tmp_path / "nothing.webp")


@pytest.mark.parametrize("kept", [0.3, 0.9])
def test_one_that_is_cut_short_is_refused(tmp_path, kept):
    moving(tmp_path / "a.webp", lossless=True)
    content = (tmp_path / "a.webp").read_bytes()
    (tmp_path / "a.webp").write_bytes(content[: int(kept * len(content))])
    for look in (probe_video, read_video):
        with pytest.raises(VideoError, match=r"a\.webp is cut short"):
            look(tmp_path / "a.webp")


def test_damage_is_told_without_a_traceback(tmp_path):
    moving(tmp_path / "a.webp", lossless=True)
    content = bytearray((tmp_path / "a.webp").read_bytes())
    content[60:90] = b"\xff" * 30
    (tmp_path / "a.webp").write_bytes(content)
    with pytest.raises(VideoError, match="is corrupt or no video"):
        read_video(tmp_path / "a.webp")
