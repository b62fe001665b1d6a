"""How much memory rows are expected to take: measured sizes, and a run that a GPU cannot hold."""

import dataclasses
import json

import pytest
from example_inputs import EXAMPLE_PROFILE

from pvbench.backbone import backbone_loader
from pvbench.backbones.memory import animatediff_gib, video_transformer_gib, video_transformer_host_gib
from pvbench.errors import DeviceError, WeightsError
from pvbench.profile import Sampling, list_profiles, load_profile
from pvbench.reward import IDENTITY_REWARD
from pvbench.runner import memory
from pvbench.runner.memory import check_memory, expected_gib, expected_host_gib
from pvbench.runner.plan import Choice, make_plan

SMALL = load_profile("hunyuan").sampling


def sized(frames, height, width):
    return dataclasses.replace(SMALL, frames=frames, height=height, width=width)


def write_sizes(folder, sizes, **config):
    """A folder that says of itself what a published one does; its files have the size, in bytes, and no content.

    Parts of whose size nothing is asked are there and empty.
    """
    for part, size in ({"text_encoder": 0, "text_encoder_2": 0} | sizes).items():
        (folder / part).mkdir(parents=True)
        (folder / part / "config.json").write_text("{}")
        with (folder / part / "model.safetensors").open("wb") as file:
            file.truncate(size)
    (folder / "transformer" / "config.json").write_text(json.dumps(config))
    for part, files in {
        "tokenizer": ("tokenizer.json",), "tokenizer_2": ("vocab.json", "merges.txt"),
        "scheduler": ("scheduler_config.json",),
    }.items():  # fmt: skip
        (folder / part).mkdir()
        for name in files:
            (folder / part / name).write_text("{}")


HUNYUAN = {"num_attention_heads": 24, "attention_head_dim": 128, "num_layers": 20, "num_single_layers": 40}


@pytest.fixture
def hunyuan(tmp_path):
    write_sizes(tmp_path, {"transformer": 25_640_000_000, "vae": 490_000_000}, **HUNYUAN)
    return tmp_path


@pytest.fixture
def published(tmp_path, monkeypatch):
    """The folders that the shipped profiles name; parameters are those of tests/backbones/test_full_size.py."""
    t5, wan_vae = 9_500_000_000, 508_000_000
    wan = {"num_attention_heads": 12, "attention_head_dim": 128, "num_layers": 30}
    cogvideox = {"num_attention_heads": 48, "attention_head_dim": 64, "num_layers": 42}
    write_sizes(
        tmp_path / "hunyuanvideo-community/HunyuanVideo",
        {"transformer": 2 * 12_821_012_544, "vae": 986_000_000},
        **HUNYUAN,
    )
    write_sizes(
        tmp_path / "Wan-AI/Wan2.1-T2V-1.3B-Diffusers", {"transformer": 4 * 1_418_996_800, "vae": wan_vae}, **wan
    )
    write_sizes(
        tmp_path / "Wan-AI/Wan2.1-VACE-1.3B-diffusers",
        {"transformer": 4 * 2_153_972_032, "vae": wan_vae},
        vace_layers=list(range(0, 30, 2)),
        **wan,
    )
    for name, parameters in (("zai-org/CogVideoX-5b", 5_570_283_072), ("BestWishYsh/ConsisID-preview", 6_162_495_040)):
        sizes = {"transformer": 2 * parameters, "vae": 431_000_000, "text_encoder": t5}
        write_sizes(tmp_path / name, sizes, **cogvideox)
    monkeypatch.setenv("PVBENCH_WEIGHTS", str(tmp_path))


@pytest.mark.parametrize(
    ("size", "gradient", "measured"),
    [((61, 544, 960), True, 44.9), ((129, 720, 1280), True, 88.0), ((61, 544, 960), False, 30.6)],
)
def test_what_was_measured_of_hunyuan_video(hunyuan, size, gradient, measured):
    found = video_transformer_gib(hunyuan, sized(*size), gradient=gradient, checkpointing=True)
    assert found == pytest.approx(measured, rel=0.05)


def test_checkpoints_in_the_hosts_memory_let_the_largest_size_into_80_gb(hunyuan):
    size = sized(129, 720, 1280)
    found = video_transformer_gib(hunyuan, size, gradient=True, checkpointing="host")
    # Extrapolated from six of the sixty blocks.
    assert found == pytest.approx(50.0, rel=0.05)
    # Each of 60 states of 0.68 GiB takes the next power of two.
    assert video_transformer_host_gib(hunyuan, size, checkpointing="host") == 60.0


@pytest.mark.parametrize(
    "name", ["hunyuan", "wan", "wan-vace", "cogvideox", "consisid", "animatediff", "animatediff-small"]
)
@pytest.mark.parametrize("gradient", [False, True])
def test_rows_of_every_shipped_profile_fit_80_gb(published, name, gradient):
    """80e9 bytes, which is less than the 80 GiB that such a card may have, and than what the check asks it for."""
    profile = load_profile(name)
    need = backbone_loader(profile).memory_gib(profile, gradient=gradient)
    assert 5 < need < 80e9 / 2**30


def test_the_published_backbones_all_have_a_profile_in_that_test():
    kinds = {load_profile(name).backbone["kind"] for name in list_profiles()}
    assert kinds == {"mini", "hunyuan", "wan", "wan_vace", "cogvideox", "consisid", "animatediff"}


def test_the_machines_memory_is_told_of_checkpoints_in_it_alone(published):
    profile = load_profile("hunyuan")
    assert backbone_loader(profile).host_gib(profile) == 60.0
    on_gpu = dataclasses.replace(profile, backbone={**profile.backbone, "checkpointing": True})
    assert backbone_loader(profile).host_gib(on_gpu) == 0.0


@pytest.mark.parametrize("name", ["wan", "wan-vace", "cogvideox", "animatediff"])
def test_checkpoints_in_the_hosts_memory_take_less_of_the_gpu(published, name):
    profile = load_profile(name)
    in_host = dataclasses.replace(profile, backbone={**profile.backbone, "checkpointing": "host"})
    loader = backbone_loader(profile)
    assert loader.memory_gib(in_host, gradient=True) < loader.memory_gib(profile, gradient=True) - 0.5
    assert 1 < loader.host_gib(in_host) < 40


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

        @staticmethod
        def host_gib(profile):
            return 12.0

    monkeypatch.setattr(memory, "backbone_loader", lambda profile: Loader)
    return found


def test_rows_that_carry_gradients_take_more_and_controls_nothing(plan):
    expected = expected_gib(plan)
    assert expected["base"] == 7
    assert expected["example_stamp"] == 30
    assert "still_photo" not in expected
    assert expected_host_gib(plan) == {"example_stamp": 12}


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
