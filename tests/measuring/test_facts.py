"""What videos' heads say is kept as long as the files are the same."""

import json

import numpy as np
import pytest

from pvbench.errors import VideoError
from pvbench.measuring import facts
from pvbench.measuring.facts import KeptFacts
from pvbench.video import Video, probe_video, write_video


@pytest.fixture
def opened(monkeypatch):
    """Which files were opened."""
    found = []
    monkeypatch.setattr(facts, "probe_video", lambda path: found.append(path.name) or probe_video(path))
    return found


@pytest.fixture
def clip(tmp_path):
    frames = np.full((3, 64, 64, 3), 128, np.uint8)
    frames[:, :6] = frames[:, 58:] = 0
    write_video(tmp_path / "a.mkv", Video(frames, 8.0))
    return tmp_path / "a.mkv"


def look(folder, path):
    kept = KeptFacts(folder / "facts.json")
    found = kept.probe(path)
    kept.save()
    return found


def test_a_file_that_is_the_same_is_opened_once(tmp_path, clip, opened):
    assert look(tmp_path, clip) == look(tmp_path, clip) == probe_video(clip)
    assert look(tmp_path, clip).remarks == ("bars",)
    assert opened == ["a.mkv"]


def test_a_file_that_changed_is_opened_again(tmp_path, clip, opened):
    look(tmp_path, clip)
    write_video(clip, Video(np.zeros((5, 32, 32, 3), np.uint8), 8.0))
    assert look(tmp_path, clip).frames == 5
    assert opened == ["a.mkv"] * 2


def test_a_file_that_is_wrong_is_told_each_time(tmp_path):
    (tmp_path / "b.mp4").write_bytes(b"no video")
    for _ in range(2):
        with pytest.raises(VideoError, match="corrupt or no video"):
            look(tmp_path, tmp_path / "b.mp4")


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"version": 0, "files": {}}', '{"version": 1, "files": [1]}'])
def test_a_damaged_file_of_facts_is_made_again(tmp_path, clip, opened, content):
    (tmp_path / "facts.json").write_text(content)
    look(tmp_path, clip)
    assert len(json.loads((tmp_path / "facts.json").read_text())["files"]) == 1
    look(tmp_path, clip)
    assert opened == ["a.mkv"]


def test_a_folder_of_frames_is_looked_at_each_time(tmp_path, opened):
    from PIL import Image

    (tmp_path / "frames").mkdir()
    Image.new("RGB", (64, 64)).save(tmp_path / "frames" / "1.png")
    look(tmp_path, tmp_path / "frames")
    look(tmp_path, tmp_path / "frames")
    assert opened == ["frames"] * 2
