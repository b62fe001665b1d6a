"""HunyuanVideo out of a folder in the published layout, tiny and random; nothing is fetched."""

import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from pvbench.backbone import load_backbone
from pvbench.backbones.hunyuan_loader import HunyuanLoader, _check_template
from pvbench.backbones.tokenizers import load_fast_tokenizer
from pvbench.errors import ProfileError, WeightsError

pytestmark = pytest.mark.usefixtures("no_network")
TEXT = "a woman in a red coat on a beach"


@pytest.fixture
def copied(checkpoints, tmp_path):
    """A copy of the folder that may be broken."""
    return shutil.copytree(checkpoints / "hunyuan", tmp_path / "hunyuan")


def test_the_signature_names_every_part(hunyuan):
    found = HunyuanLoader.signature(hunyuan())
    parts = {"transformer", "text_encoder", "text_encoder_2", "vae", "tokenizer", "tokenizer_2", "scheduler"}
    assert set(found["weights"]) == parts
    assert "EU" in HunyuanLoader.licence(hunyuan())


def test_checkpointing_moves_no_number_and_precision_and_tiling_do(hunyuan):
    plain = HunyuanLoader.signature(hunyuan())
    assert HunyuanLoader.signature(hunyuan(checkpointing=True)) == plain
    assert HunyuanLoader.signature(hunyuan(checkpointing="host")) == plain
    assert HunyuanLoader.signature(hunyuan(precision="bfloat16")) != plain
    assert HunyuanLoader.signature(hunyuan(tiling=False)) != plain


def test_half_precision_samples(hunyuan):
    backbone = load_backbone(hunyuan({"frames": 5}, precision="bfloat16", checkpointing=True), "cpu")
    assert backbone.pipe.transformer.dtype == backbone.pipe.vae.dtype == torch.bfloat16
    latent = backbone.denoise(backbone.noise(3), backbone.encode(TEXT), 0, 1)
    assert latent.dtype == torch.float32
    assert backbone.sample(TEXT, 0).frames.shape == (5, 32, 32, 3)


def test_spatial_tiles_are_decoded_as_the_autoencoder_does_it(hunyuan):
    """Above the least size of a tile, which is small here, frames come out of overlapping pieces."""
    backbone = load_backbone(hunyuan({"height": 64, "width": 64}), "cpu")
    vae = backbone.pipe.vae
    vae.enable_tiling(
        tile_sample_min_height=32, tile_sample_min_width=32, tile_sample_stride_height=24, tile_sample_stride_width=24
    )
    latent = backbone.noise(3)
    with torch.no_grad():
        whole = vae.decode(latent / vae.config.scaling_factor).sample[0].transpose(0, 1)
        vae.disable_tiling()
        untiled = backbone.decode(latent)
        vae.enable_tiling()
        assert torch.equal(backbone.decode(latent), whole)
    assert (untiled - whole).abs().max() > 1e-3


def test_the_tokenizer_is_the_one_in_its_file_whatever_class_is_named(checkpoints):
    """transformers makes another of the class that LLaMA 3's folder names."""
    from tokenizers import Tokenizer

    folder = checkpoints / "hunyuan" / "tokenizer"
    expected = Tokenizer.from_file(str(folder / "tokenizer.json")).encode(TEXT).ids
    assert load_fast_tokenizer(folder, 258)(TEXT).input_ids == expected


def test_a_missing_shard_is_refused_before_anything_is_loaded(hunyuan, copied):
    shard = sorted((copied / "text_encoder").glob("*-of-*.safetensors"))[0]
    shard.unlink()
    with pytest.raises(WeightsError, match=rf"{shard.name}, 1 of \d+ shards \(about [\d.]+ MB\)"):
        HunyuanLoader.signature(hunyuan(base=str(copied)))


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda one: one.pop(min(one)) is None, "1 missing, such as "),
        (lambda one: {**one, "more": torch.zeros(2)}, "1 unexpected, such as more"),
        (lambda one: {key: value * torch.nan for key, value in one.items()}, "numbers that are not finite"),
    ],
)
@pytest.mark.parametrize("part", ["transformer", "vae", "text_encoder"])
def test_tensors_that_do_not_fit_are_refused(hunyuan, copied, part, edit, message):
    path = sorted((copied / part).glob("*.safetensors"))[-1]
    tensors = load_file(path)
    save_file(edit(tensors) or tensors, path, metadata={"format": "pt"})
    with pytest.raises(WeightsError) as told:
        load_backbone(hunyuan(base=str(copied)), "cpu")
    assert message in str(told.value)
    assert str(copied / part) in str(told.value)


def test_a_tokenizer_of_another_model_is_refused(hunyuan, copied):
    """For LLaMA 3's vocabulary the length of the template is known."""
    with pytest.raises(WeightsError, match="become 96 tokens, and HunyuanVideo was trained with 95"):
        _check_template(copied, 96, 128320)
    _check_template(copied, 95, 128320)
    (copied / "tokenizer" / "tokenizer.json").unlink()
    with pytest.raises(WeightsError, match=r"tokenizer/: tokenizer\.json \(size not known\)"):
        load_backbone(hunyuan(base=str(copied)), "cpu")


@pytest.mark.parametrize(
    ("sampling", "message"),
    [
        ({"frames": 30}, r"frames is 30 .*videos of 4 n \+ 1 frames"),
        ({"height": 40}, "the size 32x40; .*sides are multiples of 16"),
        ({"guidance_stop": 0.75}, r"guidance_stop is 0\.75"),
    ],
)
def test_what_the_model_cannot_do_is_refused_before_anything_is_loaded(hunyuan, sampling, message):
    with pytest.raises(ProfileError, match=message):
        HunyuanLoader.signature(hunyuan(sampling))


def test_a_missing_folder_is_told_with_its_licence(hunyuan, monkeypatch, tmp_path):
    monkeypatch.setenv("PVBENCH_WEIGHTS", str(tmp_path))
    with pytest.raises(WeightsError, match=r"huggingface.co/hunyuanvideo-community/HunyuanVideo \(41.9 GB; Tencent"):
        HunyuanLoader.signature(hunyuan(base="hunyuanvideo-community/HunyuanVideo"))
