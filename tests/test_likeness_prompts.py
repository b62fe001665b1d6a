"""Likeness beside prompt and motion: what names say, curves over folders, and what the best face costs."""

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pvbench.digest import stable_seed
from pvbench.errors import PromptError, WeightsError
from pvbench.evaluator import Evaluators, FeaturePlan
from pvbench.features.mini.clip import MiniClipLoader
from pvbench.likeness.bands import Bands
from pvbench.likeness.folders import Mean, costs, curve
from pvbench.likeness.look import Likeness, look
from pvbench.likeness.prompts import asked_for
from pvbench.likeness.seen import Seen, see
from pvbench.metrics.clip_t import ClipT
from pvbench.profile import load_profile
from pvbench.prompt import load_prompts
from pvbench.video import Video, read_video, write_video

MINI = load_profile("mini")
PROMPTS = load_prompts(MINI.prompts.evaluation).prompts
BANDS = Bands(stranger=0.4, own=0.8, own_low=0.7, photos=(0.9, 0.9), gap=0.1)
ID, TEXT = PROMPTS[1].id, PROMPTS[1].text.replace("<V>", "woman")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (f"{ID}.mkv", TEXT),
        (f"{ID}-3.mp4", TEXT),
        (f"{ID}-s3-0123456789ab.mkv", TEXT),
        ("a woman laughs_seed7.png", "a woman laughs"),
        ("女の人が笑っている-0.mp4", "女の人が笑っている"),
        ("step-500.mp4", ""),
        ("alley-0.mp4", ""),
        ("00017.mp4", ""),
        ("video (3).mp4", ""),
        (f"{ID[:-1]}-0.mp4", ""),
    ],
)
def test_names_that_are_prompts_say_what_was_asked_for(name, text):
    assert asked_for([Path("x") / name], MINI, "woman") == [text]


@pytest.mark.parametrize(("prompt", "text"), [(ID, TEXT), ("a <V> sings", "a man sings"), ("laughs", "laughs")])
def test_a_prompt_that_is_given_goes_before_names(prompt, text):
    text = text.replace("woman", "man")
    assert asked_for([Path("a woman laughs-0.mp4"), Path("1.png")], MINI, "man", prompt) == [text, text]


def test_a_slip_in_a_prompt_that_is_given_is_told():
    with pytest.raises(PromptError, match=f"unknown prompt .*did you mean '{ID}'"):
        asked_for([Path("1.mp4")], MINI, "man", ID[:-1])


def features(**more):
    """Of a video of two frames, the first without a face."""
    return {
        "face/embedding": np.array([[np.nan, np.nan], [0, 1]], np.float32),
        "face/detected": np.array([0, 1], np.float32),
        "face/landmarks": np.full((2, 5, 2), np.nan, np.float32),
        **more,
    }


def test_the_prompt_is_the_mean_cosine_of_all_frames_to_the_text():
    photos, text = np.array([[0.0, 1.0], [0.6, 0.8]]), np.array([1, 0], np.float32)
    with_text = features(**{"clip/frame": np.array([[1, 0], [0.6, 0.8]], np.float32), "text/clip": text})
    seen = see("a.mp4", "", with_text, photos, BANDS, "a man")
    assert seen.prompt == pytest.approx(0.8)
    words = json.loads(json.dumps(seen.in_words(), allow_nan=False))
    assert (words["prompt"], words["text"]) == (pytest.approx(0.8), "a man")
    without = see("a.mp4", "", features(), photos, BANDS)
    assert math.isnan(without.prompt)
    assert not {"prompt", "text"} & set(without.in_words())


def found_in(**folders):
    """Files of one name in each folder, with these likenesses, motions and prompts."""
    seen = [
        Seen(f"{number}.mkv", folder, likeness, (likeness,), 0.0, motion, 0, text="a man", prompt=prompt)
        for folder, values in folders.items()
        for number, (likeness, motion, prompt) in enumerate(zip(*values, strict=True))
    ]
    return Likeness(BANDS, tuple(seen), ())


def test_a_curve_has_means_and_students_intervals_over_files():
    (first, second) = curve(found_in(step_2=([0.4, 0.6], [3.0, math.nan], [math.nan] * 2), step_10=([0.5], [1], [0.3])))
    assert (first.folder, first.files, second.folder, second.files) == ("step_2", 2, "step_10", 1)
    # A standard error of .1, and Student's quantile 12.706 for one degree of freedom; no cosine is above 1.
    likeness = first.means["likeness"]
    assert (likeness.value, likeness.low, likeness.high) == pytest.approx((0.5, -0.77062, 1.0), abs=1e-4)
    assert first.means["motion"].value == 3
    assert math.isnan(first.means["motion"].low)
    assert math.isnan(first.means["prompt"].value)
    assert second.means["prompt"].in_words() == {"mean": 0.3, "low": None, "high": None}
    assert Mean(math.nan, math.nan, math.nan).in_words()["mean"] is None


FILES = 8
STEPS = np.arange(FILES) / 100


def test_what_the_best_face_has_less_of_throughout_it_costs():
    found = found_in(
        first=(0.1 + STEPS, 5 + STEPS, 0.30 + STEPS),
        second=(0.2 + STEPS, 5 + STEPS * (-1.0) ** np.arange(FILES), 0.28 + STEPS),
        third=(0.3 + STEPS, 5 - STEPS, 0.25 + STEPS),
    )
    said = costs(found, "third")
    assert said["prompt"].against == "first"
    assert said["prompt"].difference == pytest.approx(-0.05)
    # Two of 256 patterns of signs are as extreme, times two for the second rival.
    assert said["prompt"].p == pytest.approx(2 * 2 / 256)
    assert costs(found, "first") == {"prompt": None, "motion": None}


def test_what_differs_to_either_side_or_in_few_files_is_no_cost():
    sides = 0.05 * (-1.0) ** np.arange(FILES)
    found = found_in(first=([0.1] * 8, [5.0] * 8, 0.3 + sides), second=([0.2] * 8, [5.0] * 8, [0.3] * 8))
    assert costs(found, "second") == {"prompt": None, "motion": None}
    few = found_in(first=([0.1] * 5, [5.0] * 5, [0.3] * 5), second=([0.2] * 5, [5.0] * 5, [0.1] * 5))
    assert costs(few, "second")["prompt"] is None


def test_pictures_have_no_motion_that_they_could_cost():
    nothing = [math.nan] * 8
    found = found_in(first=([0.1] * 8, nothing, [0.3] * 8), second=([0.2] * 8, nothing, [0.1] * 8))
    assert set(costs(found, "second")) == {"prompt"}


# The miniature world


@pytest.fixture(scope="module")
def world(tmp_path_factory, figure):
    """Photos of a person, and six videos that are named after their prompts, and that are named after others."""
    from pvbench.world.benchmark import reference_shots, shot_of
    from pvbench.world.person import pool_person
    from pvbench.world.render import render

    folder, person = tmp_path_factory.mktemp("world"), pool_person("held-out", 8000, figure.face_sliders())
    (folder / "photos").mkdir()
    for place, shot in enumerate(reference_shots()):
        rng = np.random.default_rng(stable_seed("photo", place))
        photo = render(figure, person, shot, rng, domain="photo", single=True, size=128).frames[0]
        Image.fromarray(photo).save(folder / "photos" / f"{place}.png")
    for place in range(6):
        made = render(figure, person, shot_of(PROMPTS[place]), np.random.default_rng(stable_seed("video", place)))
        right = folder / "right" / f"{PROMPTS[place].id}-0.mkv"
        write_video(right, Video(made.frames, 8.0))
        for name, called in (("wrong", f"{PROMPTS[(place + 1) % 6].id}-0"), ("nameless", f"{place:05}")):
            (folder / name).mkdir(exist_ok=True)
            shutil.copy(right, folder / name / f"{called}.mkv")
    return folder


def test_the_own_prompt_is_nearer_than_another_and_is_cliptes_number(world):
    found = look(world / "photos", [world / "right", world / "wrong"], MINI)
    right, wrong = (np.array([one.prompt for one in found.of(name)]) for name in ("right", "wrong"))
    assert (right > 0.3).all()
    assert right.mean() > wrong.mean() + 0.2
    one = found.of("right")[0]
    evaluators = Evaluators(FeaturePlan(MINI, ClipT.needs), "cpu")
    assert one.text == PROMPTS[0].text.replace("<V>", "person")
    of_video = evaluators.all("video", read_video(world / "right" / one.name))
    (expected,) = ClipT().row({**of_video, **evaluators.all("text", one.text)})
    assert one.prompt == pytest.approx(expected, abs=1e-6)


def test_the_command_shows_a_curve_and_what_the_best_face_costs(world, pvbench):
    arguments = ("likeness", str(world / "photos"), str(world / "right"), str(world / "wrong"))
    status, out, _ = pvbench(*arguments)
    assert status == 0
    assert "name likeness faces turned motion prompt verdict" in " ".join(out.split())
    assert "asked for: “" in out
    (heading,) = (line for line in out.splitlines() if line.strip().startswith("folder"))
    assert heading.split() == ["folder", "files", "likeness", "motion", "prompt"]
    lines = [line.split() for line in out.splitlines()]
    assert [line[:2] for line in lines if len(line) > 5 and line[0] in ("right", "wrong")] == [
        ["right", "6"],
        ["wrong", "6"],
    ]
    last = out.splitlines()[-1]
    # The films are the same, so that neither face nor motion differs.
    assert last.startswith("No evidence between right and wrong (p 1).")
    assert "There is no evidence that right costs prompt or motion." in last
    status, out, _ = pvbench(*arguments, "--json")
    words = json.loads(out)
    assert [point["folder"] for point in words["curve"]] == ["right", "wrong"]
    assert words["curve"][0]["prompt"]["low"] < words["curve"][0]["prompt"]["mean"]
    assert words["costs"] == {"prompt": None, "motion": None}
    assert all(one["text"] and one["prompt"] for one in words["seen"])


def test_a_cost_is_said_with_its_size_and_rival(capsys, monkeypatch):
    from pvbench import cli
    from pvbench.cli.likeness import _show_best

    monkeypatch.setattr(cli.console, "_width", 200)
    _show_best(found_in(step_1=(0.1 + STEPS, 5 + STEPS, 0.30 + STEPS), step_2=(0.3 + STEPS, 5 + STEPS, 0.25 + STEPS)))
    assert capsys.readouterr().out.strip() == (
        "step_2 is most like the person (p 0.0078 before step_1). step_2 costs prompt: 5.0 less than step_1 "
        "(p 0.0078); no evidence that step_2 costs motion."
    )


def test_one_prompt_may_be_said_for_all_files(world, pvbench):
    arguments = ("likeness", str(world / "photos"), str(world / "nameless"), "--json")
    status, out, _ = pvbench(*arguments, "--prompt", PROMPTS[0].id)
    assert status == 0
    prompts = [one["prompt"] for one in json.loads(out)["seen"]]
    assert max(prompts) == prompts[0]
    status, _, err = pvbench(*arguments, "--prompt", PROMPTS[0].id[:-1])
    assert status == 2
    assert "unknown prompt" in err


def test_without_known_prompts_nothing_is_said_of_them(world, pvbench, monkeypatch):
    def load(profile, device):
        raise AssertionError("CLIP is not needed")

    monkeypatch.setattr(MiniClipLoader, "load", load)
    arguments = ("likeness", str(world / "photos"), str(world / "nameless"), str(world / "photos"))
    status, out, _ = pvbench(*arguments)
    assert status == 0
    assert "prompt" not in out
    assert "asked for" not in out
    assert "Means over files" in out
    status, out, _ = pvbench(*arguments, "--json")
    words = json.loads(out)
    assert {point["prompt"]["mean"] for point in words["curve"]} == {None}
    assert set(words["costs"]) <= {"motion"}
    assert not any({"prompt", "text"} & set(one) for one in words["seen"])


def test_where_clip_is_missing_names_make_a_note_and_a_prompt_that_is_given_an_error(world, pvbench, monkeypatch):
    def load(profile, device):
        raise WeightsError("clip.pt is missing; fetch it")

    monkeypatch.setattr(MiniClipLoader, "load", load)
    arguments = ("likeness", str(world / "photos"), str(world / "right"))
    status, out, err = pvbench(*arguments)
    assert status == 0
    assert "the person" in out
    assert "note names of files are prompts" in err
    assert "clip.pt is missing" in err
    status, _, err = pvbench(*arguments, "--prompt", "a man laughs")
    assert status == 2
    assert "clip.pt is missing" in err


def test_a_prompt_that_is_longer_than_clip_reads_is_told(world, pvbench):
    long = " ".join(["a man who walks and talks"] * 30)
    status, _, err = pvbench("likeness", str(world / "photos"), str(world / "nameless"), "--prompt", long)
    assert status == 0
    assert "tokens of a prompt: the end of 1 prompt plays no part" in err.replace("\n", " ")
