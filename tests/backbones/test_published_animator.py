"""ID-Animator's checkpoint: every tensor finds its place, the UNet computes what the published code does, refusals."""

import copy
import dataclasses

import numpy as np
import pytest
import torch
from tiny_adapters import WIDTH, SameFace, layers_of, published, write_image_encoder
from torch import nn

from pvbench.backbones.image_prompt import cross_attention
from pvbench.errors import ProfileError, WeightsError
from pvbench.profile import load_profile
from pvbench.reward import load_photo_prompt, reward_signature
from pvbench.rewards.published_animator import LAYERS, AnimatorPrompt, converted, load_animator

SCALE = 0.8
CPU = torch.device("cpu")
TEXT = "a woman in a red coat on a beach"


class Published(nn.Module):
    """What ID-Animator's processor computes, by its description: LoRA on all four, the face beside the text."""

    def __init__(self, state, number, tokens):
        super().__init__()
        prefix = f"module.adapter_modules.{number}."
        self.state = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
        self.tokens = tokens

    def lora(self, part, x):
        return x @ self.state[f"to_{part}_lora.down.weight"].T @ self.state[f"to_{part}_lora.up.weight"].T

    def __call__(self, attention, hidden_states, encoder_hidden_states=None, **_):
        def heads(x):
            return attention.head_to_batch_dim(x)

        def seen(key, value):
            return attention.batch_to_head_dim(
                torch.bmm(attention.get_attention_scores(query, heads(key)), heads(value))
            )

        text, face = encoder_hidden_states, self.tokens.expand(len(hidden_states), -1, -1)
        query = heads(attention.to_q(hidden_states) + self.lora("q", hidden_states))
        found = seen(attention.to_k(text) + self.lora("k", text), attention.to_v(text) + self.lora("v", text))
        found = found + SCALE * seen(face @ self.state["to_k_face.weight"].T, face @ self.state["to_v_face.weight"].T)
        return attention.to_out[0](found) + self.lora("out", found)


def test_the_unet_computes_what_the_published_processors_do(tiny_animatediff):
    backbone = tiny_animatediff
    backbone.reset()
    checkpoint = published(backbone.pipe.unet)
    theirs = copy.deepcopy(backbone.pipe.unet)
    tensors, lora = converted(checkpoint, layers_of(backbone.pipe.unet))
    backbone.load_image_prompt(tensors, SCALE)
    backbone.load_lora(lora, "photo prompt")
    words, states = backbone.encode(TEXT), torch.randn(1, 5, WIDTH, generator=torch.Generator().manual_seed(1))
    latent, time = backbone.noise(3), backbone.schedule.time(1)
    text = words.tensors["states"].repeat_interleave(latent.shape[2], 0)
    with torch.no_grad():
        tokens = backbone.with_image(words, states, torch.zeros_like(states)).image["tokens"]
        ours = backbone.run(latent, time, text, "video", tokens.repeat_interleave(latent.shape[2], 0))
        processors = dict(theirs.attn_processors)
        for n, name in enumerate(cross_attention(theirs)):
            processors[name] = Published(checkpoint["state_dict"], 2 * n + 1, tokens)
        theirs.set_attn_processor(processors)
        wanted = theirs(latent, time, text).sample
    plain = backbone.run(latent, time, text, "video")
    backbone.reset()
    torch.testing.assert_close(ours, wanted, atol=1e-4, rtol=0)
    assert not torch.allclose(ours, plain, atol=1e-2)


def test_both_published_forms_are_read(tiny_animatediff):
    layers, checkpoint = layers_of(tiny_animatediff.pipe.unet), published(tiny_animatediff.pipe.unet)
    names = {"module.image_proj_model.": "image_proj", "module.adapter_modules.": "face_adapter"}
    parts = {"image_proj": {}, "face_adapter": {}}
    for key, value in checkpoint["state_dict"].items():
        prefix = next(prefix for prefix in names if key.startswith(prefix))
        parts[names[prefix]][key.removeprefix(prefix)] = value
    bare = {"state_dict": {key.removeprefix("module."): value for key, value in checkpoint["state_dict"].items()}}
    first = converted(checkpoint, layers)
    for other in (parts, bare):
        for one, two in zip(first, converted(other, layers), strict=True):
            assert one.keys() == two.keys()
            assert all(torch.equal(one[key], two[key]) for key in one)


def test_the_layers_of_stable_diffusion_are_counted_as_ip_adapter_counts_them():
    from diffusers import MotionAdapter, UNet2DConditionModel, UNetMotionModel

    with torch.device("meta"):
        unet = UNet2DConditionModel(cross_attention_dim=768, attention_head_dim=8)
        video = UNetMotionModel.from_unet2d(unet, MotionAdapter(), load_weights=False)
    assert layers_of(video) == list(LAYERS)
    # ID-Animator numbers all processors of its UNet, self-attention's too.
    flat = [name.removesuffix(".processor") for name in video.attn_processors if "motion_modules" not in name]
    assert [flat.index(name) for name in LAYERS] == [2 * n + 1 for n in range(len(LAYERS))]


@pytest.mark.parametrize("damage", ["a layer less", "no lora", "strange", "no projection", "another model"])
def test_another_models_checkpoint_is_refused(tiny_animatediff, damage):
    layers, checkpoint = layers_of(tiny_animatediff.pipe.unet), published(tiny_animatediff.pipe.unet)
    state = checkpoint["state_dict"]
    if damage == "a layer less":
        state = {key: value for key, value in state.items() if ".adapter_modules.1." not in key}
    elif damage == "no lora":
        state = {key: value for key, value in state.items() if "lora" not in key}
    elif damage == "strange":
        state = {**state, "module.adapter_modules.0.to_k_face.weight": torch.zeros(1)}
    elif damage == "no projection":
        state = {key: value for key, value in state.items() if "image_proj" not in key}
    else:
        state = {"unet.conv_in.weight": torch.zeros(1)}
    with pytest.raises(WeightsError, match=r"ID-Animator's for Stable Diffusion 1\.5 has"):
        converted({"state_dict": state}, layers)


# Its folder of files


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("encoder")
    write_image_encoder(folder)
    return folder


def test_a_face_is_seen_as_clips_own_preparation_shows_it(tiny_animatediff, encoder, tmp_path):
    pytest.importorskip("insightface", reason="needs insightface: pip install --no-deps insightface==2.1")
    from PIL import Image
    from transformers import CLIPImageProcessor

    unet = tiny_animatediff.pipe.unet
    torch.save(published(unet), tmp_path / "animator.ckpt")
    prompt = load_animator(SameFace(), tmp_path / "animator.ckpt", encoder, CPU, layers_of(unet))
    assert isinstance(prompt, AnimatorPrompt)
    photo = np.random.default_rng(0).integers(0, 255, (160, 160, 3), dtype=np.uint8)
    found = prompt.states([photo, photo[::-1]], 64, 64)
    assert found.shape == (2, 5, WIDTH)
    prepare = CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    aligned = Image.fromarray(photo[20:132, 20:132]).resize((32, 32))
    pixels = prepare(images=[aligned], return_tensors="pt").pixel_values
    with torch.no_grad():
        wanted = prompt.encoder(pixels, output_hidden_states=True).hidden_states[-2]
        zeros = prompt.encoder(torch.zeros_like(pixels), output_hidden_states=True).hidden_states[-2]
    torch.testing.assert_close(found[:1], wanted, atol=2e-2, rtol=0)
    torch.testing.assert_close(prompt.empty(), zeros)


@pytest.mark.parametrize("damage", ["missing", "text", "code", "list"])
def test_a_checkpoint_that_cannot_be_read_is_told(encoder, tmp_path, damage):
    path = tmp_path / "animator.ckpt"
    if damage == "text":
        path.write_text("version https://git-lfs.github.com/spec/v1")
    elif damage == "code":
        torch.save({"state_dict": print}, path)
    elif damage == "list":
        torch.save([1, 2], path)
    with pytest.raises(WeightsError, match=r"expected animator\.ckpt") as told:
        load_animator(SameFace(), path, encoder, CPU)
    assert str(path) in str(told.value)


def test_what_is_missing_is_told_with_its_publisher(tmp_path, monkeypatch):
    monkeypatch.setenv("PVBENCH_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    profile = load_profile("animatediff")
    for look in (reward_signature, lambda profile, role: load_photo_prompt(profile, "cpu")):
        with pytest.raises(WeightsError) as refused:
            look(profile, "image_prompt")
        adapter, encoder, pack = str(refused.value).splitlines()
        assert "animator.ckpt of ID-Animator/ID-Animator (size not known) on huggingface.co goes there" in adapter
        assert "image_encoder of ID-Animator/ID-Animator (2.5 GB) on huggingface.co goes there" in encoder
        assert "buffalo_l.zip (289 MB, a zip archive that holds them)" in pack
    (tmp_path / "id_animator" / "image_encoder").mkdir(parents=True)
    with pytest.raises(
        WeightsError, match=r"lacks config\.json and model\.safetensors \(about 2\.5 GB\); fetch the fol"
    ):
        reward_signature(profile, "image_prompt")
    without = dataclasses.replace(profile, rewards={"image_prompt": "id_animator", "animator": 3})
    with pytest.raises(ProfileError, match="animator is 3; expected the path of"):
        load_photo_prompt(without, "cpu")
