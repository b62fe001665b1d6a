"""The published evaluators behind the interface of the mini ones."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from pvbench.errors import ProfileError, VideoError, WeightsError
from pvbench.evaluator import Evaluators, FeaturePlan
from pvbench.features.published.settings import FEWEST_FRAMES, settings_of, spread
from pvbench.profile import load_profile
from pvbench.video import Video, read_video


def profile(**evaluators):
    shipped = load_profile("animatediff")
    return dataclasses.replace(shipped, evaluators={**shipped.evaluators, **evaluators})


def signature(profile, wanted=None):
    return FeaturePlan(profile, wanted).signature


def provide(profile, wanted):
    plan = FeaturePlan(profile, wanted)
    for part in plan.parts:
        plan.loaders[part].provide(profile)


@pytest.fixture
def nowhere(monkeypatch, tmp_path):
    monkeypatch.setenv("PVBENCH_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("PVBENCH_OFFLINE", "1")


@pytest.mark.parametrize(
    ("wanted", "parts"),
    [
        (None, ("face", "clip", "flow", "video")),
        ({"flow/top5", "flow/fps"}, ("flow",)),
        ({"clip/frame", "text/clip"}, ("clip",)),
        ({"face/embedding", "reference/face"}, ("face",)),
        ({"clip/frame", "clip/face"}, ("face", "clip")),
        ({"video/embedding"}, ("video",)),
        ({"hps/frame", "text/hps"}, ("hps",)),
        ({"dino/frame", "reference/clip"}, ("clip", "dino")),
        ({"consisid/inception", "reference/inception"}, ("protocol_face", "inception")),
        ({"consisid/clip", "text/consisid_clip"}, ("protocol_clip",)),
    ],
)
def test_only_networks_that_a_feature_needs_are_asked_for(wanted, parts):
    assert FeaturePlan(profile(), wanted).parts == parts


def test_without_weights_the_signature_is_known_and_their_use_is_refused(nowhere):
    signed = signature(profile())
    assert signed["face"]["extractor"] == "antelopev2"
    assert signed["video"]["preprocessing"] == "styleganv"
    with pytest.raises(WeightsError, match=r"raft-things.pth is missing"):
        provide(profile(), {"flow/top5"})
    video = Video(np.zeros((3, 128, 128, 3), np.uint8), 8.0)
    with pytest.raises(WeightsError, match=r"raft-things.pth is missing"):
        Evaluators(FeaturePlan(profile(), {"flow/top5"}), "cpu").all("video", video)


def test_frames_and_files_of_ones_own_are_part_of_the_signature(tmp_path):
    plain = signature(profile())
    assert signature(profile(frames=16))["face"] != plain["face"]
    assert signature(profile(frames=16))["flow"] == plain["flow"]
    assert signature(profile(preprocessing="cdfvd"))["video"] != plain["video"]
    (tmp_path / "my.pth").write_bytes(b"one")
    own = signature(profile(files={"flow": str(tmp_path / "my.pth")}))["flow"]
    assert own["extractor"] == "own my.pth"
    (tmp_path / "my.pth").write_bytes(b"other")
    assert signature(profile(files={"flow": str(tmp_path / "my.pth")}))["flow"] != own


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"fames": 3}, "unknown field 'fames' (did you mean 'frames'?)"),
        ({"frames": "16"}, "frames is '16'; expected a int"),
        ({"frames": -1}, "frames is at least 0"),
        ({"video_frames": 9}, f"video_frames at least {FEWEST_FRAMES}"),
        ({"files": {"rafd": "x"}}, "files names 'rafd'"),
    ],
)
def test_settings_are_checked(settings, message):
    with pytest.raises(ProfileError) as refused:
        settings_of(profile(**settings))
    assert message in str(refused.value)


def test_a_file_of_ones_own_that_is_not_there_is_told():
    with pytest.raises(WeightsError, match="there is no such file or folder"):
        signature(profile(files={"flow": "/nowhere/x.pth"}))


def test_frames_are_spread_from_the_first_to_the_last():
    assert spread(5, 0).tolist() == [0, 1, 2, 3, 4]
    assert spread(3, 16).tolist() == [0, 1, 2]
    assert spread(9, 3).tolist() == [0, 4, 8]


def test_the_smallest_number_of_frames_is_i3ds():
    from pvbench.features.published.i3d import MIN_FRAMES

    assert FEWEST_FRAMES == MIN_FRAMES


def test_extra_parts_are_loaded_from_files_of_ones_own(open_clip, tmp_path):
    """HPSv2's place and DINO's, taken by small networks of random weights."""
    import timm
    import torch

    torch.save({"state_dict": open_clip.create_model("pvbench-tiny").state_dict()}, tmp_path / "hps.pt")
    dino = timm.create_model("vit_small_patch16_224", pretrained=False, num_classes=0)
    torch.save(dino.state_dict(), tmp_path / "dino.pth")
    own = profile(
        files={"hps": str(tmp_path / "hps.pt"), "dino": str(tmp_path / "dino.pth")}, frames=2, hps_model="pvbench-tiny"
    )
    wanted = {"hps/frame", "dino/frame", "text/hps"}
    signed = signature(own, wanted)
    assert (signed["hps"]["extractor"], signed["dino"]["extractor"]) == ("own hps.pt", "own dino.pth")
    assert not {"hps", "dino"} & set(signature(own))
    evaluators = Evaluators(FeaturePlan(own, wanted), "cpu")
    video = Video(np.random.default_rng(0).integers(0, 255, (3, 48, 64, 3), dtype=np.uint8), 8.0)
    found = evaluators.all("video", video) | evaluators.all("text", "a man")
    assert {name: value.shape for name, value in found.items()} == {
        "hps/frame": (2, 24),
        "dino/frame": (2, 384),
        "text/hps": (24,),
    }


def test_extra_weights_that_are_missing_are_named_only_where_they_are_needed(nowhere):
    assert signature(profile(), {"hps/frame"})["hps"]["weights"] == {"HPS_v2.1_compressed.pt": "missing"}
    with pytest.raises(WeightsError, match=r"HPS_v2.1_compressed.pt is missing.*huggingface.co/xswu/HPSv2"):
        provide(profile(), {"hps/frame", "text/hps"})
    with pytest.raises(WeightsError, match=r"dino_vitbase16_pretrain.pth is missing"):
        provide(profile(), {"dino/frame"})


@pytest.fixture(scope="module")
def real(reference, reference_script, tmp_path_factory):
    """The recorded real weights of faces and flow, and I3D's synthetic ones."""
    pytest.importorskip("insightface", reason="faces need insightface: pip install --no-deps insightface==2.1")
    import torch

    i3d = tmp_path_factory.mktemp("i3d") / "i3d.pt"
    torch.save(reference_script("synthetic_i3d").state_dict(), i3d)
    weights = Path(reference) / "weights"
    return profile(
        files={"face": str(weights / "pack"), "flow": str(weights / "raft-small.pth"), "video": str(i3d)}, frames=4
    )


def test_a_real_video_has_every_feature(reference, real):
    video = read_video(reference / "inputs" / "videos" / "carphone_pristine.mp4")
    short = Video(video.frames[:16], video.fps)
    evaluators = Evaluators(FeaturePlan(real, {"face/embedding", "flow/top5", "video/embedding"}), "cpu")
    found = evaluators.all("video", short)
    assert found["face/embedding"].shape == (4, 128)
    assert found["face/detected"].tolist() == [1, 1, 1, 1]
    assert found["flow/top5"].shape == (3,)  # every fourth of 16 frames at 29.97 a second
    assert found["video/embedding"].shape == (400,)
    assert not any(name.startswith("clip/") for name in found)
    with pytest.raises(VideoError, match="at least 10"):
        evaluators.all("video", Video(video.frames[:9], 8.0))
