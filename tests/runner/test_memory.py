"""How much memory rows are expected to take: measured sizes, and a run that a GPU cannot hold."""

import dataclasses
import json

import pytest
from example_inputs import EXAMPLE_PROFILE

from pvbench.backbones.memory import animatediff_gib, video_transformer_gib
from pvbench.errors import DeviceError, WeightsError
from pvbench.profile import Sampling, load_profile
from pvbench.reward import IDENTITY_REWARD
from pvbench.runner import memory
from pvbench.runner.memory import check_memory, expected_gib
from pvbench.runner.plan import Choice, make_plan

SMALL = load_profile("hunyuan").sampling


def sized(frames, height, width):
    return dataclasses.replace(SMALL, frames=frames, height=height, width=width)


@pytest.fixture
def hunyuan(tmp_path):
    """A folder that says of itself what HunyuanVideo's does; its files have the size and no content."""
    for part, size in {"transformer": 25_640_000_000, "vae": 490_000_000}.items():
        (tmp_path / part).mkdir()
        with (tmp_path / part / "model.safetensors").open("wb") as file:
            file.truncate(size)
    config = {"num_attention_heads": 24, "attention_head_dim": 128, "num_layers": 20, "num_single_layers": 40}
    (tmp_path / "transformer" / "config.json").write_text(json.dumps(config))
    return tmp_path


@pytest.mark.parametrize(
    ("size", "gradient", "measured"),
    [((61, 544, 960), True, 44.9), ((129, 720, 1280), True, 88.0), ((61, 544, 960), False, 30.6)],
)
def test_what_was_measured_of_hunyuan_video(hunyuan, size, gradient, measured):
    found = video_transformer_gib(hunyuan, sized(*size), gradient=gradient, checkpointing=True)
    assert found == pytest.approx(measured, rel=0.05)


def test_without_checkpoints_hunyuan_video_takes_many_times_more(hunyuan):
    size = sized(61, 544, 960)
    with_them = video_transformer_gib(hunyuan, size, gradient=True, checkpointing=True)
    assert video_transformer_gib(hunyuan, size, gradient=True, checkpointing=False) > 5 * with_them


@pytest.mark.parametrize(
    ("gradient", "checkpointing", "measured"), [(False, True, 7.4), (True, True, 30.3), (True, False, 54.5)]
)
def test_what_was_measured_of_animatediff(gradient, checkpointing, measured):
    size: Sampling = load_profile("animatediff").sampling
    assert (size.frames, size.height, size.width) == (16, 512, 512)
    found = animatediff_gib(size, gradient=gradient, checkpointing=checkpointing)
    assert found == pytest.approx(measured, rel=0.05)


def test_a_folder_without_a_configuration_is_told(tmp_path):
    with pytest.raises(WeightsError, match=r"config\.json"):
        video_transformer_gib(tmp_path, SMALL, gradient=True, checkpointing=True)


@pytest.fixture
def plan(people, monkeypatch):
    """A plan whose backbone takes 7 GiB, and 30 with gradient."""
    found = make_plan(Choice(EXAMPLE_PROFILE, "base,example_stamp,still_photo", people))
    rewarded = classmethod(lambda cls, settings: frozenset({IDENTITY_REWARD}))
    monkeypatch.setattr(found.variant("example_stamp").cls, "asks", rewarded)

    class Loader:
        @staticmethod
        def memory_gib(profile, *, gradient):
            return 30.0 if gradient else 7.0

    monkeypatch.setattr(memory, "backbone_loader", lambda profile: Loader)
    return found


def test_rows_that_carry_gradients_take_more_and_controls_nothing(plan):
    expected = expected_gib(plan)
    assert expected["base"] == 7
    assert expected["example_stamp"] == 30
    assert "still_photo" not in expected


def test_a_gpu_that_is_too_small_is_told_before_anything_is_tuned(plan):
    check_memory(plan, "cuda", 40.0)
    check_memory(plan, "cpu", 1.0)
    with pytest.raises(
        DeviceError, match=r"cuda has 24 GiB of memory; .* example_stamp about 30 GiB are expected"
    ) as told:
        check_memory(plan, "cuda", 24.0)
    assert "base" not in str(told.value)


def test_a_backbone_that_says_nothing_is_not_refused(people):
    plan = make_plan(Choice(EXAMPLE_PROFILE, "base,example_stamp", people))
    assert expected_gib(plan) == {}
    check_memory(plan, "cuda", 0.1)
