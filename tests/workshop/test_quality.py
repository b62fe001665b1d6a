"""The quality of the base model, of videos that need no sampling: true ones, and wrong ones."""

import json
from dataclasses import asdict, astuple
from itertools import islice

import numpy as np
import pytest
import torch
from PIL import Image

from pvbench.features.flow import optical_flow
from pvbench.profile import load_profile
from pvbench.prompt import load_prompts
from pvbench.video import Video
from pvbench.weights import weights_folder
from pvbench.world.benchmark import read_archive
from workshop.quality import BaseQuality, base_quality, write_quality

PROFILE = load_profile("mini")


@pytest.fixture(scope="module")
def videos():
    """True ones of the first prompt with a woman and of the second with a man; wrong: the second first, then grey."""
    archive, sampling = weights_folder(PROFILE.evaluators["weights"]) / "oracle", PROFILE.sampling
    of_woman, of_man = (
        list(islice(read_archive(archive / f"{name}.mkv", sampling.frames, sampling.fps), 2)) for name in ("ada", "ben")
    )
    true = [of_woman[0], of_man[1]]
    grey = Video(np.full_like(true[0].frames, 120), sampling.fps)
    return {"true": true, "wrong": [true[1], grey]}


@pytest.fixture(scope="module")
def judged(videos, tmp_path_factory):
    """The quality of each, the texts and seeds that were asked for, and the picture that was saved."""
    found = {}
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("pvbench.world.benchmark.read_archive", lambda *arguments: videos["true"])
        for kind, yielded in videos.items():
            asked = []

            class Played:
                device = torch.device("cpu")

                def sample(self, text, noise_seed, asked=asked, yielded=yielded):
                    asked.append((text, noise_seed))
                    return yielded[len(asked) - 1]

            patched.setattr("pvbench.backbone.load_backbone", lambda profile, device, played=Played: played())
            picture = tmp_path_factory.mktemp("strips") / "strips.png"
            found[kind] = base_quality("mini", len(yielded), save=picture), asked, picture
    return found


def test_true_videos_obey_their_prompts_and_move_as_they_do(judged):
    assert astuple(judged["true"][0]) == (2, 1.0, 1.0, 1.0, 1.0, pytest.approx(1.0))


def test_class_nouns_take_turns_and_every_call_asks_for_the_same_draws(judged):
    _, asked, _ = judged["true"]
    prompts = load_prompts(PROFILE.prompts.evaluation).prompts
    assert [text for text, _ in asked] == [prompts[0].render("woman"), prompts[1].render("man")]
    assert len({seed for _, seed in asked}) == 2
    assert judged["wrong"][1] == asked


def test_a_video_of_another_prompt_does_not_obey_and_a_grey_one_shows_nobody_and_stands_still(judged, videos):
    quality = judged["wrong"][0]
    moved = [float(optical_flow(video.frames).mean.mean()) for video in videos["true"]]
    assert quality.faces == 0.5
    assert max(quality.scene, quality.colour, quality.action) <= 0.5
    assert quality.flow_ratio == pytest.approx(moved[1] / sum(moved), abs=0.02)


def test_a_picture_shows_each_video_as_a_row_of_its_frames(judged, videos):
    one, other = (video.frames for video in videos["true"])
    count, height, width, _ = one.shape
    picture = np.asarray(Image.open(judged["true"][2]))
    assert picture.shape == (2 * height, count * width, 3)
    np.testing.assert_array_equal(picture[:height, :width], one[0])
    np.testing.assert_array_equal(picture[height:, -width:], other[-1])


def test_measures_are_written_as_json(tmp_path):
    quality = BaseQuality(2, 1.0, 0.5, 0.25, 0.0, 1.5)
    write_quality(tmp_path / "quality.json", base=asdict(quality), more=None)
    text = (tmp_path / "quality.json").read_text()
    assert text.endswith("}\n")
    assert json.loads(text) == {"base": asdict(quality), "more": None}
