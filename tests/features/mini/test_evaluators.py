"""The features of a video, as `docs/features.md` lists them."""

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from pvbench.errors import FaceError, VideoError, WeightsError
from pvbench.evaluator import Evaluators, FeaturePlan
from pvbench.features.mini.clip import MiniClip
from pvbench.features.mini.face import MiniFace
from pvbench.features.mini.head_networks import HeadRecogniser, LookReader
from pvbench.features.mini.hps import MiniHps
from pvbench.features.mini.style_network import StyleReader
from pvbench.features.mini.video import MiniVideo
from pvbench.features.mini.video_networks import VideoEncoder
from pvbench.pixels import resize_photo
from pvbench.profile import load_profile
from pvbench.video import Video
from pvbench.world.head import LOOKS, MiniHead
from pvbench.world.judge import SEEN, WorldJudge
from pvbench.world.style_reader import KINDS, MiniStyle
from pvbench.world.vocabulary import LABELS

PAGE = Path(__file__).parents[3] / "docs" / "features.md"
FRAMES, REFERENCES = 8, 3
CPU = torch.device("cpu")
SIZES = {"T": FRAMES, "T-1": FRAMES - 1, "R": REFERENCES, "D": 128, "E": 24, "V": 128}


WORLD = {"world/action", "world/scene", "world/colour", "world/expression", "text/asked"}
OF_HEADS = {"head/embedding", *(f"look/{name}" for name in LOOKS)}
OF_PHOTOS = {"reference/head", *(f"reference/look_{name}" for name in LOOKS)}
OF_COLOURS = {"colours/skin", "colours/crown"}
OF_PIXELS = {"flow/warp_error", "pixels/difference", "style/probability"}
EXTRA = {"hps/frame", "text/hps", *WORLD, *OF_HEADS, *OF_COLOURS, *OF_PHOTOS, *OF_PIXELS}


@pytest.fixture(scope="module")
def evaluators_of(face, clip):
    """The evaluators of some features, of networks that are quick."""
    torch.manual_seed(0)
    encoder = VideoEncoder(width=8).eval().requires_grad_(False)
    values = {name: len(LABELS[name]) for name in LOOKS}

    def made(wanted=None):
        found = Evaluators(FeaturePlan(load_profile("mini"), wanted), "cpu")
        found._loaded = {
            "face": MiniFace(face, 64, 64),
            "clip": MiniClip(clip, 64, 64),
            "hps": MiniHps(clip),
            "head": MiniHead(HeadRecogniser(width=2).eval(), LookReader(values, width=2).eval(), 64, 64, CPU),
            "style": MiniStyle(StyleReader(len(KINDS)).eval(), CPU),
            "video": MiniVideo(encoder, torch.device("cpu")),
            "world": WorldJudge(encoder, {label: np.ones((len(LABELS[label]), 24), np.float32) for label in SEEN}),
        }
        return found

    return made


@pytest.fixture(scope="module")
def evaluators(evaluators_of):
    return evaluators_of()


@pytest.fixture(scope="module")
def features(evaluators, evaluators_of):
    """Every feature that there is, of a grey video in which one frame is black."""
    frames = np.random.default_rng(0).integers(100, 160, (FRAMES, 64, 64, 3), dtype=np.uint8)
    frames[2] = 0
    photos = [np.full((200, 240, 3), 128, np.uint8)] * REFERENCES
    extra, video = evaluators_of(EXTRA), Video(frames, 8.0)
    return (
        evaluators.all("video", video)
        | evaluators.all("reference", photos)
        | evaluators.all("text", "a man nods")
        | extra.all("video", video)
        | extra.all("text", "a man nods")
        | extra.all("reference", photos)
    )


def listed():
    """Shape by name, from the page's table."""
    rows = re.findall(r"^\| `([a-z]+/[a-z0-9_]+)` \| \(([^)]*)\) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    return {name: tuple(part.strip() for part in shape.split(",") if part.strip()) for name, shape in rows}


def test_the_page_lists_every_feature_and_no_other(features):
    assert set(listed()) == set(features)


def test_features_have_the_shapes_that_the_page_says(features):
    for name, shape in listed().items():
        assert features[name].shape == tuple(SIZES[part] if part in SIZES else int(part) for part in shape), name
        assert features[name].dtype == np.float32, name


def test_nan_stands_where_there_is_no_face_and_nowhere_else(features):
    missing = features["face/detected"] == 0
    assert missing.tolist() == [t == 2 for t in range(FRAMES)]
    of_faces = ("face/embedding", "face/box", "face/landmarks", "clip/face", *OF_HEADS, *OF_COLOURS)
    for name in of_faces:
        rows = features[name].reshape(FRAMES, -1)
        np.testing.assert_array_equal(np.isnan(rows).all(axis=1), missing)
        np.testing.assert_array_equal(np.isnan(rows).any(axis=1), missing)
    for name in set(features) - set(of_faces):
        assert np.isfinite(features[name]).all(), name


def test_extra_features_are_made_on_demand_alone(evaluators, evaluators_of):
    video = Video(np.zeros((FRAMES, 64, 64, 3), np.uint8), 8.0)
    assert not EXTRA & set(evaluators.all("video", video))
    assert set(evaluators_of({"hps/frame"}).all("video", video)) == {"hps/frame"}
    assert set(evaluators.all("text", "a man")) == {"text/clip", "text/tokens"}
    assert set(evaluators_of({"text/hps"}).all("text", "a man")) == {"text/hps"}


def test_the_mini_evaluators_have_no_dino():
    mini = load_profile("mini")
    assert "clip_reward" in str(FeaturePlan(mini, {"hps/frame"}).signature["hps"])
    assert list(FeaturePlan(mini).signature) == ["face", "clip", "flow", "video"]
    assert "dino/frame" not in FeaturePlan(mini).features


def test_size_and_rate_are_those_of_the_video(features):
    assert features["flow/size"].tolist() == [64, 64]
    assert features["flow/fps"].tolist() == [8]


def test_the_same_video_gives_the_same_features(evaluators):
    frames = np.random.default_rng(1).integers(60, 200, (FRAMES, 64, 64, 3), dtype=np.uint8)
    one, other = (evaluators.all("video", Video(frames, 8.0)) for _ in range(2))
    for name in one:
        np.testing.assert_array_equal(one[name], other[name])


def test_a_reference_without_a_face_is_told(evaluators):
    with pytest.raises(FaceError, match="reference photo 1 of 1 shows no face"):
        evaluators.all("reference", [np.zeros((200, 200, 3), np.uint8)])


def test_a_photo_is_averaged_down_to_within_a_level():
    photo = np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8)
    wanted = photo.reshape(64, 4, 64, 4, 3).mean(axis=(1, 3))
    # Pillow averages rows, rounds, and then averages columns.
    assert np.abs(resize_photo(photo, 64, 64) - wanted).max() <= 1


@pytest.mark.parametrize("shape", [(64, 128), (128, 64), (65, 300)])
def test_of_a_photo_the_middle_square_is_seen(shape):
    photo = np.zeros((*shape, 3), np.uint8)
    side = min(shape)
    top, left = (shape[0] - side) // 2, (shape[1] - side) // 2
    photo[top : top + side, left : left + side] = 200
    assert (resize_photo(photo, 32, 32) == 200).all()


def test_a_small_photo_is_enlarged():
    assert resize_photo(np.full((40, 40, 3), 9, np.uint8), 64, 64).shape == (64, 64, 3)


def test_a_photo_keeps_its_proportions_in_a_frame_that_is_no_square():
    photo = np.zeros((90, 160, 3), np.uint8)
    photo[:, 60:100] = 255
    wide, tall = resize_photo(photo, 45, 80), resize_photo(photo, 90, 60)
    assert wide.shape == (45, 80, 3)
    assert (wide[:, 30:50] == 255).all()
    assert (wide[:, :30] == 0).all()
    # The middle 60 columns of the photo as they are.
    assert (tall == photo[:, 50:110]).all()


@pytest.mark.parametrize(("fps", "kept", "rate"), [(8.0, 8, 8.0), (12.0, 4, 6.0), (24.0, 3, 8.0), (60.0, 1, 7.5)])
def test_flow_is_of_frames_about_an_eighth_of_a_second_apart(evaluators, fps, kept, rate):
    frames = np.random.default_rng(1).integers(60, 200, (FRAMES, 64, 64, 3), dtype=np.uint8)
    found = evaluators.all("video", Video(frames, fps))
    assert found["flow/top5"].shape == found["flow/mean"].shape == (kept - 1,)
    assert found["flow/fps"].tolist() == [rate]


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ((8, 128, 128, 3), "frames of 128x128 pixels; these evaluators see 64x64"),
        ((8, 64, 48, 3), "frames of 64x48 pixels; these evaluators see 64x64"),
        ((7, 64, 64, 3), "a video has 7 frames; these evaluators need at least 1, and a multiple of 4"),
        ((1, 64, 64, 3), "a video has 1 frames; these evaluators need at least 1, and a multiple of 4"),
    ],
)
def test_a_video_that_the_networks_cannot_see_is_told(evaluators, shape, said):
    with pytest.raises(VideoError, match=said):
        evaluators.all("video", Video(np.zeros(shape, np.uint8), 8.0))


def test_only_wanted_features_are_made_and_only_their_networks_loaded(face, monkeypatch):
    profile = load_profile("mini")
    plan = FeaturePlan(profile, {"flow/top5", "face/detected"})
    made = Evaluators(plan, "cpu")
    made._loaded = {"face": MiniFace(face, 64, 64)}
    video = Video(np.random.default_rng(0).integers(100, 160, (6, 64, 64, 3), dtype=np.uint8), 8.0)
    assert set(made.all("video", video)) == {
        "flow/top5",
        "flow/mean",
        "flow/size",
        "flow/fps",
        "face/embedding",
        "face/detected",
        "face/box",
        "face/count",
        "face/landmarks",
    }
    nowhere = dataclasses.replace(profile, evaluators={**profile.evaluators, "weights": "nowhere"})
    with pytest.raises(WeightsError):
        Evaluators(FeaturePlan(nowhere, {"clip/frame"}), "cpu").all("video", video)
