"""ConsisID's evaluation: a table of prompts above folders of videos, each named by picture and prompt."""

import pytest
from example_inputs import EXAMPLE_PROFILE
from measured_folder import clip
from PIL import Image

from pvbench.errors import VideoError
from pvbench.measuring.imported import People
from pvbench.measuring.layouts import find_videos
from pvbench.measuring.measure import measure
from pvbench.measuring.request import MeasureRequest
from pvbench.profile import load_profile
from pvbench.prompt import Prompt

PROMPTS = (Prompt("surf", "A <V> surfs"),)
TABLE = (
    "index,Class,Original_Prompt,Refined_man,Refined_woman\n"
    '1,person,A <V> surfs,"A {class_token} surfs, his hair wet.","A {class_token} surfs, her hair wet."\n'
    '7,musician,A <V> plays,"A {class_token} plays his lute.","A {class_token} plays her lute."\n'
)


@pytest.fixture
def data(tmp_path):
    """Two pictures and a table of two prompts."""
    for number, name in enumerate(("1_man.png", "2_woman.jpg")):
        (tmp_path / "data/eval/face_images").mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (80, 72), (90 + number, 120, 100)).save(tmp_path / "data/eval/face_images" / name)
    (tmp_path / "data/video_caption_eval_old.csv").write_text(TABLE)
    return tmp_path / "data"


def found_in(data):
    return find_videos(data / "video_caption_eval_old.csv", People(shipped=False), PROMPTS)


def shown(found):
    return [(video.method, video.identity.name, video.text, video.seed) for video in found.videos]


def test_picture_and_prompt_are_those_of_the_folders_name(data):
    for cell in ("1_man.png--1", "1_man.png--7", "2_woman.jpg--7"):
        clip(data / cell / "0_42.mkv")
    assert shown(found_in(data)) == [
        ("video_caption_eval_old", "1_man", "A person surfs, his hair wet.", 0),
        ("video_caption_eval_old", "1_man", "A musician plays his lute.", 0),
        ("video_caption_eval_old", "2_woman", "A musician plays her lute.", 0),
    ]


def test_a_folder_between_names_the_method_and_several_videos_are_seeds(data):
    for method in ("mine", "theirs"):
        clip(data / method / "2_woman.jpg--1" / "0_42.mkv")
    clip(data / "theirs" / "2_woman.jpg--1" / "1_42.mkv", 1)
    (data / "theirs" / "2_woman.jpg--1" / "0_42.mkv_clipscore.txt").write_text("31.2")
    assert [(method, seed) for method, _, _, seed in shown(found_in(data))] == [
        ("mine", 0),
        ("theirs", 0),
        ("theirs", 1),
    ]


def test_a_prompt_that_the_table_lacks_is_not_guessed(data):
    clip(data / "1_man.png--9" / "0_42.mkv")
    (video,) = found_in(data).videos
    assert video.text == ""


def test_a_picture_that_is_missing_is_listed(data):
    clip(data / "3_man.png--1" / "0_42.mkv")
    found = found_in(data)
    assert not found.videos
    (problem,) = found.problems
    assert "3_man.png" in problem.what
    assert problem.where.endswith("video_caption_eval_old.csv line 2")


def test_a_table_without_videos_says_where_they_are_expected(data):
    with pytest.raises(VideoError, match="expected it above folders PICTURE--INDEX with the videos"):
        found_in(data)


def test_they_are_measured(data, inline, tmp_path):
    clip(data / "mine" / "1_man.png--1" / "0_42.mkv")
    clip(data / "mine" / "2_woman.jpg--1" / "0_42.mkv", 1)
    order = MeasureRequest((data / "video_caption_eval_old.csv",), load_profile(EXAMPLE_PROFILE), tmp_path / "out",
                           ("clip_t",), device="cpu", workers=1)  # fmt: skip
    measured = measure(order)
    assert measured.failed == 0
    assert (tmp_path / "out" / "report" / "scores.csv").read_text().count("her hair wet") == 1
