"""Photos beside the text: diffusers computes the same from the same file, and nothing else changes."""

import copy

import pytest
import torch

from pvbench.backbones.image_prompt import cross_attention
from pvbench.errors import MethodError

TEXT = "a woman in a red coat on a beach"
WIDTH, LENGTH, QUERIES = 24, 9, 5


def image_prompt(unet, seed=0):
    """Random tensors of IP-Adapter Plus for a UNet, under the names of the published files."""
    generator = torch.Generator().manual_seed(seed)
    hidden, out, head = 128, unet.config.cross_attention_dim, 64

    def matrix(*shape):
        return torch.randn(*shape, generator=generator) / shape[-1] ** 0.5

    def norm(width):
        return {"weight": torch.ones(width), "bias": torch.zeros(width)}

    state = {"latents": matrix(1, QUERIES, hidden)}
    for name, shape in {"proj_in": (hidden, WIDTH), "proj_out": (out, hidden)}.items():
        state |= {f"{name}.weight": matrix(*shape), f"{name}.bias": torch.zeros(shape[0])}
    state |= {f"norm_out.{key}": value for key, value in norm(out).items()}
    for i in range(4):
        one = {
            "0.to_q.weight": matrix(2 * head, hidden),
            "0.to_kv.weight": matrix(4 * head, hidden),
            "0.to_out.weight": matrix(hidden, 2 * head),
            "1.1.weight": matrix(4 * hidden, hidden),
            "1.3.weight": matrix(hidden, 4 * hidden),
        }
        for name in ("0.norm1", "0.norm2", "1.0"):
            one |= {f"{name}.{key}": value for key, value in norm(hidden).items()}
        state |= {f"layers.{i}.{key}": value for key, value in one.items()}
    tensors = {f"image_proj.{key}": value for key, value in state.items()}
    for i, name in enumerate(cross_attention(unet)):
        inner = unet.get_submodule(name.removesuffix(".processor")).inner_dim
        tensors |= {f"ip_adapter.{2 * i + 1}.to_{part}_ip.weight": 3 * matrix(inner, out) for part in "kv"}
    return tensors


def photos(count, seed=1):
    return torch.randn(count, LENGTH, WIDTH, generator=torch.Generator().manual_seed(seed))


EMPTY = torch.zeros(1, LENGTH, WIDTH)


@pytest.fixture(params=["tiny_animatediff", "short_backbone"])
def backbone(request):
    found = request.getfixturevalue(request.param)
    found.reset()
    yield found
    found.reset()


@torch.no_grad()
def end(backbone, words):
    return backbone.denoise(backbone.noise(5), words)


def test_diffusers_gives_the_same_from_the_same_file(tiny_animatediff):
    backbone, tensors = tiny_animatediff, image_prompt(tiny_animatediff.pipe.unet)
    backbone.reset()
    theirs = copy.deepcopy(backbone.pipe.unet)
    parts = {"image_proj": {}, "ip_adapter": {}}
    for key, value in tensors.items():
        part, name = key.split(".", 1)
        parts[part][name] = value
    theirs._load_ip_adapter_weights([parts], low_cpu_mem_usage=False)
    for processor in theirs.attn_processors.values():
        if hasattr(processor, "scale"):
            processor.scale = [0.8]
    backbone.load_image_prompt(tensors, 0.8)
    words, states = backbone.encode(TEXT), photos(1)
    step, latent = 1, backbone.noise(3)
    text = words.tensors["states"].repeat_interleave(latent.shape[2], 0)
    with torch.no_grad():
        shown = backbone.with_image(words, states, EMPTY).image["tokens"].repeat_interleave(latent.shape[2], 0)
        ours = backbone.run(latent, backbone.schedule.time(step), text, "video", shown)
        wanted = theirs(
            latent,
            backbone.schedule.time(step),
            text,
            added_cond_kwargs={"image_embeds": [states[:, None]]},
        ).sample
    backbone.reset()
    torch.testing.assert_close(ours, wanted, atol=1e-4, rtol=0)
    assert not torch.allclose(ours, backbone.run(latent, backbone.schedule.time(step), text, "video"), atol=1e-2)


def test_an_image_acts_where_it_stands_beside_the_text_and_nowhere_else(backbone):
    words = backbone.encode(TEXT)
    before = end(backbone, words)
    backbone.load_image_prompt(image_prompt(backbone.pipe.unet))
    assert torch.equal(end(backbone, words), before)
    one, other = (end(backbone, backbone.with_image(words, photos(1, seed), EMPTY)) for seed in (1, 2))
    assert not torch.allclose(one, before, atol=1e-2)
    assert not torch.allclose(one, other, atol=1e-3)
    backbone.remove_image_prompt()
    assert torch.equal(end(backbone, words), before)


def test_a_scale_of_zero_is_the_model_itself(backbone):
    words = backbone.encode(TEXT)
    before = end(backbone, words)
    backbone.load_image_prompt(image_prompt(backbone.pipe.unet), 0.0)
    assert torch.equal(end(backbone, backbone.with_image(words, photos(1), EMPTY)), before)


def test_several_photos_are_averaged_after_the_projection(backbone):
    backbone.load_image_prompt(image_prompt(backbone.pipe.unet))
    words, states = backbone.encode(TEXT), photos(3)
    apart = [backbone.with_image(words, states[i : i + 1], EMPTY).image["tokens"] for i in range(3)]
    together = backbone.with_image(words, states, EMPTY).image["tokens"]
    torch.testing.assert_close(together, torch.stack(apart).mean(dim=0))


def test_an_image_and_a_lora_work_together(backbone):
    """A LoRA on the queries acts on both parts; switched off, the image stays."""
    backbone.load_image_prompt(image_prompt(backbone.pipe.unet))
    words = backbone.with_image(backbone.encode(TEXT), photos(1), EMPTY)
    alone, generator = end(backbone, words), torch.Generator().manual_seed(0)
    for parameter in backbone.add_lora(4, 4.0, "qkvo", generator):
        parameter.data.normal_(0, 0.2, generator=generator)
    both = end(backbone, words)
    assert not torch.allclose(both, alone, atol=1e-2)
    with backbone.without_lora():
        assert torch.allclose(end(backbone, words), alone, atol=1e-4)


def test_gradients_flow_past_an_image_into_a_lora(tiny_animatediff):
    backbone = tiny_animatediff
    backbone.reset()
    backbone.load_image_prompt(image_prompt(backbone.pipe.unet))
    words = backbone.with_image(backbone.encode(TEXT), photos(1), EMPTY)
    parameters = backbone.add_lora(2, 2.0, "qkvo", torch.Generator().manual_seed(0))
    backbone.denoise(backbone.noise(3), words, backbone.steps - 1).square().mean().backward()
    assert all(parameter.grad is not None and bool(parameter.grad.isfinite().all()) for parameter in parameters)
    backbone.reset()


def test_frames_still_see_each_other_beside_an_image(short_backbone):
    """An adapter's processors are put around the UNet's own, which stay in their places."""
    backbone = short_backbone
    backbone.reset()
    own = dict(backbone.pipe.unet.attn_processors)
    backbone.load_image_prompt(image_prompt(backbone.pipe.unet))
    changed = {name for name, one in backbone.pipe.unet.attn_processors.items() if one is not own[name]}
    assert changed == set(cross_attention(backbone.pipe.unet))
    backbone.reset()
    assert backbone.pipe.unet.attn_processors == own


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("ip_adapter.1.to_k_ip.weight"), r"lacks \['ip_adapter.1.to_k_ip.weight'\]"),
        (lambda t: t.update({"ip_adapter.0.to_q_lora.down.weight": torch.zeros(1)}), "has .*to_q_lora"),
        (lambda t: t.update({"ip_adapter.1.to_v_ip.weight": torch.zeros(3, 3)}), r"layer 1 has .* values \(3, 3\)"),
        (lambda t: t.pop("image_proj.proj_in.bias"), "projection cannot be read"),
    ],
)  # fmt: skip
def test_a_file_that_does_not_fit_is_refused_and_nothing_is_left(tiny_animatediff, change, message):
    backbone = tiny_animatediff
    backbone.reset()
    before, tensors = end(backbone, backbone.encode(TEXT)), image_prompt(backbone.pipe.unet)
    change(tensors)
    with pytest.raises(MethodError, match=message):
        backbone.load_image_prompt(tensors)
    assert torch.equal(end(backbone, backbone.encode(TEXT)), before)


def test_photos_without_an_adapter_or_of_another_encoder_are_refused(tiny_animatediff):
    backbone = tiny_animatediff
    backbone.reset()
    words = backbone.encode(TEXT)
    with pytest.raises(MethodError, match="no image prompt is loaded"):
        backbone.with_image(words, photos(1), EMPTY)
    backbone.load_image_prompt(image_prompt(backbone.pipe.unet))
    with pytest.raises(MethodError, match=r"states \(1, 9, 7\) do not fit"):
        backbone.with_image(words, torch.zeros(1, 9, 7), torch.zeros(1, 9, 7))
    backbone.reset()


def test_a_backbone_that_takes_none_says_so(tiny_hunyuan):
    with pytest.raises(MethodError, match="takes no image prompts"):
        tiny_hunyuan.load_image_prompt({})


def test_an_image_is_shown_again_where_activations_are_computed_again(tiny_animatediff):
    """In the backward pass, when the step that showed it is long over."""
    backbone, found = tiny_animatediff, []
    backbone.load_image_prompt(image_prompt(backbone.pipe.unet))
    words = backbone.with_image(backbone.encode(TEXT), photos(1), EMPTY)
    for checkpointed in (False, True):
        if checkpointed:
            backbone.enable_checkpointing()
        parameters = backbone.add_lora(2, 2.0, "qkv", torch.Generator().manual_seed(0))
        backbone.denoise(backbone.noise(3), words, backbone.steps - 1).square().mean().backward()
        found.append([parameter.grad.clone() for parameter in parameters])
    for network in (backbone.pipe.unet, backbone.image_unet, backbone.pipe.vae):
        network.disable_gradient_checkpointing()
    backbone.reset()
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-7)
