"""CogVideoX and ConsisID out of folders in the published layout, tiny and random; nothing is fetched."""

import json
import shutil

import pytest
import torch

from pvbench.backbone import load_backbone
from pvbench.backbones.cogvideox_loader import CogVideoXLoader, ConsisIdBackboneLoader
from pvbench.backbones.tokenizers import load_piece_tokenizer
from pvbench.errors import ProfileError, WeightsError

pytestmark = pytest.mark.usefixtures("no_network")
TEXT = "a woman in a red coat on a beach"


@pytest.fixture(params=["cogvideox", "consisid"])
def copied(checkpoints, tmp_path, request):
    """A copy of a folder that may be broken."""
    return shutil.copytree(checkpoints / request.param, tmp_path / request.param)


def changed(path, **values):
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def test_the_signature_names_every_part_and_the_solver(cogvideox):
    found = CogVideoXLoader.signature(cogvideox())
    assert set(found["weights"]) == {"transformer", "text_encoder", "vae", "tokenizer", "scheduler"}
    assert found["solver"] == "ddim"
    assert "registration" in CogVideoXLoader.licence(cogvideox())
    assert "non-commercial" in ConsisIdBackboneLoader.licence(cogvideox(kind="consisid"))


def test_checkpointing_moves_no_number_and_precision_and_the_negative_prompt_do(cogvideox):
    plain = CogVideoXLoader.signature(cogvideox())
    assert CogVideoXLoader.signature(cogvideox(checkpointing=True)) == plain
    assert CogVideoXLoader.signature(cogvideox(checkpointing="host")) == plain
    assert CogVideoXLoader.signature(cogvideox(precision="bfloat16")) != plain
    assert CogVideoXLoader.signature(cogvideox(negative="blurry")) != plain


def test_half_precision_samples(cogvideox):
    backbone = load_backbone(cogvideox({"frames": 9}, precision="bfloat16", checkpointing=True), "cpu")
    assert backbone.pipe.transformer.dtype == torch.bfloat16
    assert backbone.denoise(backbone.noise(3), backbone.encode(TEXT), 0, 1).dtype == torch.float32
    assert backbone.sample(TEXT, 0).frames.shape == (9, 32, 32, 3)


def test_noise_levels_are_the_published_ones_with_nothing_left_at_the_end(cogvideox):
    backbone = load_backbone(cogvideox(), "cpu")
    assert backbone.schedule.times == (999, 749, 499, 249)
    assert backbone.level(0) == pytest.approx(1)
    assert backbone.level(4) == 0


@pytest.mark.parametrize(
    ("kind", "part", "values", "message"),
    [
        ("cogvideox", "transformer", {"patch_size_t": 2}, "holds CogVideoX 1.5; this backbone is CogVideoX"),
        ("cogvideox", "transformer", {"in_channels": 8}, "holds CogVideoX for image-to-video"),
        ("consisid", "transformer", {"is_train_face": False}, "holds ConsisID without its face modules"),
    ],
)
def test_another_model_of_the_family_is_refused_by_name(cogvideox, checkpoints, tmp_path, kind, part, values, message):
    folder = shutil.copytree(checkpoints / kind, tmp_path / "copy")
    changed(folder / part / "config.json", **values)
    with pytest.raises(WeightsError, match=message):
        load_backbone(cogvideox(kind=kind, base=str(folder)), "cpu")


def test_consisid_and_cogvideox_are_not_taken_for_each_other(cogvideox, checkpoints):
    with pytest.raises(WeightsError, match="holds ConsisID; this backbone is CogVideoX"):
        CogVideoXLoader.signature(cogvideox(base=str(checkpoints / "consisid")))
    with pytest.raises(WeightsError, match="holds CogVideoXTransformer3DModel; this backbone is ConsisID"):
        ConsisIdBackboneLoader.signature(cogvideox(kind="consisid", base=str(checkpoints / "cogvideox")))


def test_a_size_that_the_model_cannot_make_is_told_before_it_is_loaded(cogvideox):
    with pytest.raises(ProfileError, match=r"videos of 8 n \+ 1 frames"):
        CogVideoXLoader.signature(cogvideox({"frames": 13}))


def test_memory_counts_what_is_decoded_and_the_encoder_of_texts(cogvideox):
    """Of a tiny folder only the decoding weighs anything; 480 x 720 pixels take 15 GiB."""
    small = CogVideoXLoader.memory_gib(cogvideox(), gradient=False)
    large = CogVideoXLoader.memory_gib(cogvideox({"height": 480, "width": 720, "frames": 49}), gradient=False)
    tuned = CogVideoXLoader.memory_gib(cogvideox({"height": 480, "width": 720, "frames": 49}), gradient=True)
    assert small < 5
    assert large == pytest.approx(15, abs=0.5)
    assert tuned > large


def test_an_unknown_line_is_refused(cogvideox):
    with pytest.raises(ProfileError, match="tiling"):
        CogVideoXLoader.signature(cogvideox(tiling=True))


def test_a_missing_shard_is_refused_before_anything_is_loaded(cogvideox, copied):
    shard = sorted((copied / "text_encoder").glob("*-of-*.safetensors"))[0]
    shard.unlink()
    with pytest.raises(WeightsError, match=rf"{shard.name}, 1 of \d+ shards \(about [\d.]+ MB\)"):
        load_backbone(cogvideox(kind=copied.name, base=str(copied)), "cpu")


@pytest.mark.parametrize(
    ("repository", "size"), [("zai-org/CogVideoX-2b", "13.8 GB"), ("BestWishYsh/ConsisID-preview", "22.5 GB")]
)
def test_a_checkpoint_that_is_not_there_is_told_with_where_to_get_it(
    cogvideox, monkeypatch, tmp_path, repository, size
):
    monkeypatch.setenv("PVBENCH_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "none"))
    with pytest.raises(WeightsError, match=rf"{repository} \({size}; "):
        CogVideoXLoader.signature(cogvideox(base=repository))


def test_pieces_become_a_tokenizer_without_a_package_of_their_own(checkpoints):
    tokenizer = load_piece_tokenizer(checkpoints / "cogvideox" / "tokenizer", 1000)
    numbers = tokenizer("a cat").input_ids
    assert tokenizer.convert_ids_to_tokens(numbers) == ["\u2581", "a", "\u2581", "c", "a", "t", "</s>"]
    assert tokenizer.pad_token_id == 0
    assert len(tokenizer) == 3 + 95 + 100


def test_what_is_no_model_of_pieces_is_told(checkpoints, tmp_path):
    folder = shutil.copytree(checkpoints / "cogvideox" / "tokenizer", tmp_path / "tokenizer")
    with pytest.raises(WeightsError, match="makes token 90, and the text encoder knows 50"):
        load_piece_tokenizer(folder, 50)
    (folder / "spiece.model").write_bytes(b"not a model")
    with pytest.raises(WeightsError, match=r"spiece\.model (is not a sentencepiece model|begins with)"):
        load_piece_tokenizer(folder, 1000)
    (folder / "spiece.model").write_bytes(b"")
    with pytest.raises(WeightsError, match="begins with"):
        load_piece_tokenizer(folder, 1000)
    (folder / "spiece.model").unlink()
    with pytest.raises(WeightsError, match=r"expected spiece\.model, or tokenizer\.json"):
        load_piece_tokenizer(folder, 1000)
