"""Wan 2.1 out of a folder in the published layout, tiny and random; nothing is fetched."""

import json
import shutil

import pytest
import torch
from tiny_models import write_wan

from pvbench.backbone import load_backbone
from pvbench.backbones.wan_loader import WanLoader, shift_of
from pvbench.errors import ProfileError, WeightsError

pytestmark = pytest.mark.usefixtures("no_network")
TEXT = "a woman in a red coat on a beach"


@pytest.fixture
def copied(checkpoints, tmp_path):
    """A copy of the folder that may be broken."""
    return shutil.copytree(checkpoints / "wan", tmp_path / "wan")


def changed(path, **values):
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def test_the_signature_names_every_part_and_the_solver(wan):
    found = WanLoader.signature(wan())
    assert set(found["weights"]) == {"transformer", "text_encoder", "vae", "tokenizer", "scheduler"}
    assert found["solver"] == "euler"
    assert WanLoader.licence(wan()) == "Wan 2.1: Apache-2.0"


def test_checkpointing_moves_no_number_and_precision_and_the_negative_prompt_do(wan):
    plain = WanLoader.signature(wan())
    assert WanLoader.signature(wan(checkpointing=True)) == plain
    assert WanLoader.signature(wan(checkpointing="host")) == plain
    assert WanLoader.signature(wan(precision="bfloat16")) != plain
    assert WanLoader.signature(wan(negative="blurry")) != plain


def test_the_shift_is_the_published_schedulers_unless_the_profile_has_one(wan, copied):
    assert load_backbone(wan(), "cpu").schedule.sigmas[1] == pytest.approx(3 * 0.75 / (1 + 2 * 0.75))
    assert load_backbone(wan({"shift": 1.0}), "cpu").schedule.sigmas[1] == pytest.approx(0.75)
    changed(copied / "scheduler" / "scheduler_config.json", flow_shift=5.0)
    assert shift_of(copied) == 5.0
    (copied / "scheduler" / "scheduler_config.json").write_text('{"shift": 8}')
    assert shift_of(copied) == 8.0
    (copied / "scheduler" / "scheduler_config.json").write_text("{}")
    with pytest.raises(WeightsError, match="flow_shift is None, expected a number above 0"):
        load_backbone(wan(base=str(copied)), "cpu")


def test_half_precision_samples_and_the_autoencoder_stays_whole(wan):
    backbone = load_backbone(wan({"frames": 5}, precision="bfloat16", checkpointing=True), "cpu")
    assert backbone.pipe.transformer.dtype == torch.bfloat16
    assert backbone.pipe.vae.dtype == torch.float32
    assert backbone.denoise(backbone.noise(3), backbone.encode(TEXT), 0, 1).dtype == torch.float32
    assert backbone.sample(TEXT, 0).frames.shape == (5, 32, 32, 3)


@pytest.mark.parametrize(
    ("part", "values", "message"),
    [
        ("transformer", {"image_dim": 1280}, "Wan for image-to-video"),
        ("transformer", {"in_channels": 36}, "Wan for image-to-video"),
        ("transformer", {"vace_layers": [0, 1]}, "Wan VACE"),
        ("vae", {"patch_size": 2}, "Wan 2.2 with its own autoencoder"),
    ],
)
def test_another_model_of_the_family_is_refused_by_name(wan, copied, part, values, message):
    changed(copied / part / "config.json", **values)
    with pytest.raises(WeightsError, match=f"holds {message}; this backbone is Wan 2.1 for text-to-video"):
        WanLoader.signature(wan(base=str(copied)))


def test_two_transformers_are_refused(wan, copied):
    shutil.copytree(copied / "transformer", copied / "transformer_2")
    with pytest.raises(WeightsError, match=r"holds Wan 2\.2 with two transformers"):
        WanLoader.signature(wan(base=str(copied)))


def test_a_missing_shard_is_refused_before_anything_is_loaded(wan, copied):
    shard = sorted((copied / "text_encoder").glob("*-of-*.safetensors"))[0]
    shard.unlink()
    with pytest.raises(WeightsError, match=rf"{shard.name}, 1 of \d+ shards \(about [\d.]+ MB\)"):
        WanLoader.signature(wan(base=str(copied)))


def test_a_network_with_other_tensors_is_refused(wan, copied, tmp_path):
    shutil.rmtree(copied / "transformer")
    write_wan(tmp_path / "deeper", num_layers=3)
    shutil.copytree(tmp_path / "deeper" / "transformer", copied / "transformer")
    changed(copied / "transformer" / "config.json", num_layers=2)
    with pytest.raises(WeightsError, match=r"unexpected, such as blocks\.2\."):
        load_backbone(wan(base=str(copied)), "cpu")


@pytest.mark.parametrize("part", ["tokenizer", "scheduler"])
def test_a_folder_without_a_part_is_refused(wan, copied, part):
    shutil.rmtree(copied / part)
    with pytest.raises(WeightsError, match=rf"It lacks:\n  {part}/: \w+\.json \(size not known\)"):
        WanLoader.signature(wan(base=str(copied)))


def test_a_tokenizer_of_another_model_is_refused(wan, copied, checkpoints):
    shutil.rmtree(copied / "tokenizer")
    shutil.copytree(checkpoints / "sd" / "tokenizer", copied / "tokenizer")
    with pytest.raises(WeightsError, match=r"It lacks:\n  tokenizer/: tokenizer\.json"):
        load_backbone(wan(base=str(copied)), "cpu")


def test_a_size_that_the_model_cannot_make_is_told_before_it_is_loaded(wan):
    with pytest.raises(ProfileError, match=r"videos of 4 n \+ 1 frames"):
        WanLoader.signature(wan({"frames": 8}))


def test_an_unknown_line_is_refused(wan):
    with pytest.raises(ProfileError, match="tiling"):
        WanLoader.signature(wan(tiling=True))


def test_a_checkpoint_that_is_not_there_is_told_with_where_to_get_it(wan, monkeypatch, tmp_path):
    monkeypatch.setenv("PVBENCH_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "none"))
    with pytest.raises(WeightsError, match=r"Wan-AI/Wan2\.1-T2V-1\.3B-Diffusers \(29 GB; Apache-2\.0\)"):
        WanLoader.signature(wan(base="Wan-AI/Wan2.1-T2V-1.3B-Diffusers"))
