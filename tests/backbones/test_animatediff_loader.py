"""AnimateDiff out of folders and files in the published layouts, all of them tiny and random; nothing is fetched."""

import gzip
import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_models import write_motion_adapter

from pvbench.backbone import load_backbone
from pvbench.backbones.animatediff_loader import AnimateDiffLoader
from pvbench.backbones.tokenizers import load_clip_tokenizer
from pvbench.errors import ProfileError, WeightsError

pytestmark = pytest.mark.usefixtures("no_network")
TEXT = "a woman in a red coat on a beach"


@pytest.fixture
def copied(checkpoints, tmp_path):
    """A copy of the base model that may be broken."""
    return shutil.copytree(checkpoints / "sd", tmp_path / "sd")


def refused(profile, error=WeightsError):
    """What is said of a profile when it is planned or loaded."""
    with pytest.raises(error) as told:
        AnimateDiffLoader.signature(profile)
        load_backbone(profile, "cpu")
    return str(told.value)


def change(path, edit):
    """The tensors of a file, changed."""
    tensors = load_file(path)
    save_file(edit(tensors) or tensors, path, metadata={"format": "pt"})


# Where checkpoints lie


def test_a_repositorys_name_is_looked_for_in_the_weights_folder(animatediff, checkpoints, monkeypatch, tmp_path):
    monkeypatch.setenv("PVBENCH_WEIGHTS", str(tmp_path / "weights"))
    shutil.copytree(checkpoints / "sd", tmp_path / "weights" / "somebody" / "tuned")
    named = animatediff(base="somebody/tuned")
    assert AnimateDiffLoader.signature(named) == AnimateDiffLoader.signature(animatediff())
    assert str(tmp_path / "weights" / "somebody" / "tuned") in AnimateDiffLoader.located(named)


def test_a_repositorys_name_is_looked_for_in_the_cache_of_its_own_programs(
    animatediff, checkpoints, monkeypatch, tmp_path
):
    from huggingface_hub import constants

    monkeypatch.setenv("PVBENCH_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    home = tmp_path / "hub" / "models--somebody--tuned"
    shutil.copytree(checkpoints / "sd", home / "snapshots" / "0")
    (home / "refs").mkdir()
    (home / "refs" / "main").write_text("0")
    assert "snapshots" in AnimateDiffLoader.located(animatediff(base="somebody/tuned"))


def test_what_is_nowhere_is_told_with_where_it_is_published(animatediff, monkeypatch, tmp_path):
    monkeypatch.setenv("PVBENCH_WEIGHTS", str(tmp_path))
    told = refused(animatediff(motion="guoyww/animatediff-motion-adapter-v1-5-3"))
    assert "[backbone] motion: there is no 'guoyww/animatediff-motion-adapter-v1-5-3'" in told
    assert "https://huggingface.co/guoyww/animatediff-motion-adapter-v1-5-3 (1.7 GB; Apache-2.0)" in told
    assert f"--local-dir {tmp_path / 'guoyww' / 'animatediff-motion-adapter-v1-5-3'}" in told
    assert "give the path of a folder or file" in refused(animatediff(base="/nowhere"))


def test_a_changed_file_is_another_signature(animatediff, copied):
    before = AnimateDiffLoader.signature(animatediff(base=str(copied)))["weights"]
    change(next((copied / "vae").glob("*.safetensors")), lambda tensors: {k: v + 1 for k, v in tensors.items()})
    after = AnimateDiffLoader.signature(animatediff(base=str(copied)))["weights"]
    assert {part for part in before if before[part] != after[part]} == {"vae"}


# What a checkpoint may look like


def test_half_precision_is_taken_where_nothing_else_is_there(animatediff, copied):
    path = copied / "vae" / "diffusion_pytorch_model.safetensors"
    change(path, lambda tensors: {name: value.half() for name, value in tensors.items()})
    path.rename(path.with_name("diffusion_pytorch_model.fp16.safetensors"))
    backbone = load_backbone(animatediff(base=str(copied)), "cpu")
    assert backbone.pipe.vae.dtype == torch.float32
    assert backbone.sample(TEXT, 0).frames.shape == (4, 64, 64, 3)


def test_a_pickle_of_tensors_is_read_and_one_with_code_is_not(animatediff, copied, checkpoints):
    path = copied / "text_encoder" / "model.safetensors"
    torch.save(load_file(path), copied / "text_encoder" / "pytorch_model.bin")
    path.unlink()
    plain = load_backbone(animatediff(), "cpu").encode(TEXT).tensors["states"]
    assert torch.equal(load_backbone(animatediff(base=str(copied)), "cpu").encode(TEXT).tensors["states"], plain)
    torch.save({"harm": shutil.rmtree}, copied / "text_encoder" / "pytorch_model.bin")
    assert "nothing of it was run" in refused(animatediff(base=str(copied)))


def test_names_of_older_versions_are_read(animatediff, copied):
    """Published text encoders have a prefix, and position ids, that today's class does not have."""

    def older(tensors):
        found = {f"text_model.{name}": value for name, value in tensors.items()}
        return {**found, "text_model.embeddings.position_ids": torch.arange(77)[None]}

    plain = load_backbone(animatediff(), "cpu").encode(TEXT).tensors["states"]
    change(copied / "text_encoder" / "model.safetensors", older)
    assert torch.equal(load_backbone(animatediff(base=str(copied)), "cpu").encode(TEXT).tensors["states"], plain)


def test_the_noise_schedule_is_animatediffs_own(animatediff):
    """Not the one in Stable Diffusion's folder."""
    schedule = load_backbone(animatediff({"steps": 25}), "cpu").schedule
    assert (schedule.times[0], schedule.times[-1]) == (961, 1)
    assert schedule.end == 1.0
    assert float(schedule.signal[-1]) == pytest.approx(0.00158, rel=0.05)


def test_steps_by_index_end_where_the_pipeline_ends(animatediff):
    backbone = load_backbone(animatediff(), "cpu")
    noise = backbone.noise(3)
    with torch.no_grad():
        ours = backbone.denoise(noise, backbone.encode(TEXT))
        theirs = backbone.pipe(
            TEXT, num_frames=4, height=64, width=64, latents=noise, num_inference_steps=4, guidance_scale=7.5,
            output_type="latent",
        ).frames  # fmt: skip
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)


# The domain LoRA


def lora(unet, prefix="unet.", up=1.0):
    """A LoRA of rank 2 on the spatial attention of a UNet, in the keys of diffusers' older versions."""
    generator = torch.Generator().manual_seed(0)
    tensors = {}
    for name, module in unet.named_modules():
        if "motion" not in name and name.endswith(("to_q", "to_k")):
            inside, outside = module.weight.shape[1], module.weight.shape[0]
            where = f"{prefix}{name.removesuffix(name[-4:])}processor.{name[-4:]}_lora"
            tensors[f"{where}.down.weight"] = torch.randn(2, inside, generator=generator)
            tensors[f"{where}.up.weight"] = up * torch.randn(outside, 2, generator=generator)
    return tensors


@pytest.mark.parametrize("prefix", ["unet.", ""])
@pytest.mark.parametrize("suffix", [".safetensors", ".ckpt"])
def test_a_domain_lora_changes_the_videos_side_only(animatediff, tmp_path, prefix, suffix):
    """With and without the network's name before its keys, as its publisher has it."""
    plain = load_backbone(animatediff(), "cpu")
    tensors = lora(plain.image_unet, prefix)
    path = tmp_path / f"domain{suffix}"
    save_file(tensors, path) if suffix == ".safetensors" else torch.save({"state_dict": tensors}, path)
    fused = load_backbone(animatediff(domain=str(path)), "cpu")
    name = "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q.weight"
    where = f"{prefix}{name.removesuffix('to_q.weight')}processor.to_q_lora"
    expected = plain.pipe.unet.state_dict()[name] + tensors[f"{where}.up.weight"] @ tensors[f"{where}.down.weight"]
    torch.testing.assert_close(fused.pipe.unet.state_dict()[name], expected)
    assert torch.equal(fused.image_unet.state_dict()[name], plain.image_unet.state_dict()[name])
    assert "domain_adapter" in fused.signature["weights"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda one: {key: value * ("up" not in key) for key, value in one.items()}, "changes nothing"),
        (lambda one: {key.replace("attn1", "attn9"): value for key, value in one.items()}, "made for another model"),
        (lambda one: {key: value[..., :4] for key, value in one.items()}, "made for another model"),
        (lambda one: {key.replace("down", "hada_w1"): value for key, value in one.items()}, "it is LoHa, not LoRA"),
        (lambda one: {"vae.weight": torch.zeros(2)}, "no LoRA tensors"),
    ],
)
def test_a_domain_lora_that_does_not_fit_is_refused(animatediff, tmp_path, change, message):
    tensors = change(lora(load_backbone(animatediff(), "cpu").image_unet))
    save_file({key: value.contiguous() for key, value in tensors.items()}, tmp_path / "domain.safetensors")
    told = refused(animatediff(domain=str(tmp_path / "domain.safetensors")))
    assert message in told
    assert "cannot be the domain LoRA" in told


# What is refused


def test_all_checkpoints_that_are_nowhere_are_told_at_once(animatediff):
    with pytest.raises(WeightsError) as refused:
        AnimateDiffLoader.located(animatediff(base="some/base", motion="some/motion", domain="some/domain"))
    for name in ("some/base", "some/motion", "some/domain"):
        assert f"there is no '{name}'" in str(refused.value)


def test_a_file_as_base_a_layout_and_a_motion_adapter_that_lack_files_are_told_at_once(animatediff, copied, tmp_path):
    shutil.rmtree(copied / "vae")
    (tmp_path / "motion").mkdir()
    (tmp_path / "one.safetensors").touch()
    lines = {"base": str(tmp_path / "one.safetensors"), "layout": str(copied), "motion": str(tmp_path / "motion")}
    with pytest.raises(WeightsError) as refused:
        AnimateDiffLoader.located(animatediff(**lines, domain="some/domain"))
    assert "  vae/: config.json (size not known)" in str(refused.value)
    assert "  config.json and diffusion_pytorch_model.safetensors (about 1.67 GB)" in str(refused.value)
    assert "there is no 'some/domain'" in str(refused.value)


def test_a_missing_shard_is_refused_before_anything_is_loaded(animatediff, copied):
    shard = sorted((copied / "unet").glob("*-of-*.safetensors"))[1]
    shard.unlink()
    with pytest.raises(WeightsError, match=rf"{shard.name}, 1 of \d+ shards \(about [\d.]+ MB\)"):
        AnimateDiffLoader.signature(animatediff(base=str(copied)))


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda one: one.pop("decoder.conv_in.bias") is None, "1 missing, such as decoder.conv_in.bias"),
        (lambda one: {**one, "decoder.extra": torch.zeros(2)}, "1 unexpected, such as decoder.extra"),
        (lambda one: {**one, "decoder.conv_in.bias": torch.zeros(3)}, "decoder.conv_in.bias"),
        (lambda one: {**one, "decoder.conv_in.bias": torch.full((8,), torch.nan)}, "numbers that are not finite"),
    ],
)
def test_tensors_that_do_not_fit_are_refused(animatediff, copied, edit, message):
    change(copied / "vae" / "diffusion_pytorch_model.safetensors", edit)
    told = refused(animatediff(base=str(copied)))
    assert message in told
    assert str(copied / "vae") in told


def test_a_damaged_file_is_refused(animatediff, copied):
    path = copied / "vae" / "diffusion_pytorch_model.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    assert f"{copied / 'vae'} does not load as AutoencoderKL" in refused(animatediff(base=str(copied)))


def test_motion_modules_of_another_model_are_refused(animatediff, tmp_path):
    other = write_motion_adapter(tmp_path / "other", (16, 16))
    assert "levels of [16, 16] channels" in refused(animatediff(motion=str(other)))


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda words: {word: i for word, i in words.items() if not word.startswith("d")}, "reads 'A woman"),
        (lambda words: {word: i + 100 for word, i in words.items()}, "the text encoder knows 519"),
    ],
)
def test_a_tokenizer_that_reads_wrongly_is_refused(animatediff, copied, edit, message):
    path = copied / "tokenizer" / "vocab.json"
    path.write_text(json.dumps(edit(json.loads(path.read_text()))))
    assert message in refused(animatediff(base=str(copied)))


def test_clips_own_vocabulary_is_known_and_another_order_of_merges_is_refused(tmp_path):
    """Its words are in a package; read in another order they would make other tokens, and no error."""
    from open_clip import tokenizer as of_open_clip

    merges = gzip.decompress(Path(of_open_clip.default_bpe()).read_bytes()).decode().split("\n")
    merges = merges[1 : 49152 - 256 - 2 + 1]
    words = of_open_clip.SimpleTokenizer().encoder
    (tmp_path / "vocab.json").write_text(
        json.dumps({of_clip(word): number for word, number in words.items()}), encoding="utf-8"
    )
    (tmp_path / "merges.txt").write_text("\n".join(["#version: 0.2", *merges, ""]), encoding="utf-8")
    read = load_clip_tokenizer(tmp_path, len(words), 77)
    assert read("a photo of a cat").input_ids == [49406, 320, 1125, 539, 320, 2368, 49407]
    assert read.model_max_length == 77
    (tmp_path / "merges.txt").write_text("\n".join(["#version: 0.2", *reversed(merges), ""]), encoding="utf-8")
    with pytest.raises(WeightsError, match=r"CLIP was trained with .*belong to another model"):
        load_clip_tokenizer(tmp_path, len(words), 77)


def of_clip(word):
    """open_clip's spelling of a word in CLIP's own files."""
    return {"<start_of_text>": "<|startoftext|>", "<end_of_text>": "<|endoftext|>"}.get(word, word)


def test_a_folder_without_tokenizer_is_refused(animatediff, copied):
    (copied / "tokenizer" / "merges.txt").unlink()
    assert "tokenizer/: merges.txt, or tokenizer.json (size not known)" in refused(animatediff(base=str(copied)))


@pytest.mark.parametrize(
    ("sampling", "message"),
    [
        ({"frames": 9}, "frames is 9; this motion adapter knows places in time for 8 frames"),
        ({"width": 72}, "the size is 72x64; sides of AnimateDiff's videos are multiples of 16"),
    ],
)
def test_frames_and_sizes_that_the_family_cannot_do_are_refused(animatediff, sampling, message):
    with pytest.raises(ProfileError, match=message):
        AnimateDiffLoader.signature(animatediff(sampling))


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ({"precision": "float16"}, "precision is 'float16'; expected float32 or bfloat16"),
        ({"bases": "x"}, r"unknown line 'bases' \(did you mean 'base'\?\)"),
        ({"base": 5}, "base is 5; expected a text"),
        ({"checkpointing": "yes"}, "checkpointing is 'yes'; expected true, false or \"host\""),
        ({"rare_words": [1]}, r"rare_words is \[1\]; expected a list of words"),
    ],
)
def test_lines_that_cannot_be_used_are_refused(animatediff, lines, message):
    with pytest.raises(ProfileError, match=message):
        AnimateDiffLoader.signature(animatediff(**lines))
