"""The test set and the submissions of the IPVG challenge: prompts that lie beside the person's photo."""

import csv
import re

import numpy as np
import pytest
from example_inputs import EXAMPLE_PROFILE
from PIL import Image

from pvbench.measuring.imported import Given, People
from pvbench.measuring.layouts import find_videos
from pvbench.measuring.measure import measure
from pvbench.measuring.request import MeasureRequest
from pvbench.profile import load_profile
from pvbench.prompt import Prompt
from pvbench.video import Video, write_video

PROMPTS = (Prompt("surf", "A <V> surfs"),)
SURFS, WAVES = "A woman surfs on a wave.", "A man waves his hand, and laughs."


@pytest.fixture
def testset(tmp_path):
    """Two people: the second with a photo in WebP, and a text with a mark and a line break."""
    for name, photo in (("id001", "image.png"), ("id002", "image.webp")):
        (tmp_path / "testset" / name).mkdir(parents=True)
        Image.new("RGB", (80, 72), (90 + int(name[-1]), 120, 100)).save(tmp_path / "testset" / name / photo)
    write(tmp_path / "testset/id001/prompt1.txt", f"{SURFS}\n")
    write(tmp_path / "testset/id001/prompt2.txt", WAVES)
    write(tmp_path / "testset/id002/prompt1.txt", "\ufeffA man waves his hand,\n and laughs.\r\n")
    return tmp_path / "testset"


def write(path, text):
    path.write_bytes(text.encode())


@pytest.fixture
def submission(tmp_path):
    for name in ("id001/prompt1.mp4", "id001/prompt2.mp4", "id002/prompt1.mp4"):
        touch(tmp_path / "submission" / name)
    return tmp_path / "submission"


def touch(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")


def shown(found):
    return [(video.method, video.identity.name, video.text, video.seed) for video in found.videos]


def test_a_submission_has_its_people_and_prompts_from_the_test_set(testset, submission):
    found = find_videos(submission, People(testset), PROMPTS)
    assert shown(found) == [
        ("submission", "id001", SURFS, 0),
        ("submission", "id001", WAVES, 0),
        ("submission", "id002", WAVES, 0),
    ]
    assert not found.problems
    assert [video.identity.images[0].name for video in found.videos] == ["image.png", "image.png", "image.webp"]


def test_one_number_is_another_prompt_for_another_person_and_one_text_one_prompt(testset, submission):
    first, second, third = find_videos(submission, People(testset), PROMPTS).videos
    assert first.prompt_id != third.prompt_id
    assert second.prompt_id == third.prompt_id


def test_several_submissions_and_seeds_are_told_apart(testset, tmp_path):
    for name in ("ours/id001/prompt1-3.mp4", "ours/id001/prompt1_seed4.mp4", "theirs/id001/prompt1.mp4"):
        touch(tmp_path / "runs" / name)
    found = find_videos(tmp_path / "runs", People(testset), PROMPTS)
    assert shown(found) == [
        ("ours", "id001", SURFS, 3),
        ("ours", "id001", SURFS, 4),
        ("theirs", "id001", SURFS, 0),
    ]


def test_a_prompt_that_is_given_goes_before_the_texts(testset, submission):
    found = find_videos(submission, People(testset), PROMPTS, Given(prompt="surf"))
    assert {video.prompt_id for video in found.videos} == {"surf"}


def test_captions_of_photos_are_no_prompts(testset, tmp_path):
    write(testset / "id001" / "image.txt", "a portrait")
    write(testset / "id001" / "1.txt", "a portrait")
    touch(tmp_path / "v" / "id001" / "image.mp4")
    touch(tmp_path / "v" / "id001" / "1.mp4")
    assert {video.text for video in find_videos(tmp_path / "v", People(testset), PROMPTS).videos} == {""}


def test_without_texts_such_a_name_says_nothing(testset, submission):
    for path in testset.glob("*/prompt*.txt"):
        path.unlink()
    found = find_videos(submission, People(testset), PROMPTS)
    assert {video.text for video in found.videos} == {""}
    assert not found.problems


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "its prompt .*id001/prompt2.txt is not there; that folder has prompt1.txt: rename the video or add"),
        (b" \n", "its prompt .*id001/prompt2.txt is empty; write the text into it"),
        (b"un caf\xe9", "its prompt .*id001/prompt2.txt cannot be read .*; save it as text in UTF-8"),
    ],
)
def test_a_text_that_cannot_be_used_is_told_with_its_video(testset, submission, content, message):
    path = testset / "id001" / "prompt2.txt"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    found = find_videos(submission, People(testset), PROMPTS)
    assert len(found.videos) == 2
    (problem,) = found.problems
    assert problem.where.endswith("id001/prompt2.mp4")
    assert problem.stops
    assert re.search(message, problem.what)


def test_a_submission_is_measured_with_its_prompts(testset, tmp_path, inline):
    for seed, name in enumerate(("id001/prompt1", "id001/prompt2", "id002/prompt1")):
        frames = np.random.default_rng(seed).integers(1, 255, (6, 32, 24, 3), dtype=np.uint8)
        write_video(tmp_path / "submission" / f"{name}.mkv", Video(frames, 8.0))
    done = measure(
        MeasureRequest(
            (tmp_path / "submission",), load_profile(EXAMPLE_PROFILE), tmp_path / "out", ("clip_t", "face_sim"),
            identities=testset, workers=1, device="cpu",
        )
    )  # fmt: skip
    with (done.report / "scores.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["metric"] == "clip_t"]
    assert [(row["identity"], row["text"]) for row in rows] == [("id001", SURFS), ("id001", WAVES), ("id002", WAVES)]
    assert all(row["value"] for row in rows)
