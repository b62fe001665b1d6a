"""LoRAs of other trainers do what diffusers makes of them, and those that do not fit are refused."""

import pytest
import torch

from pvbench.errors import MethodError

TEXT = "a woman in a red coat on a beach"


def layers(network, ends, leave_out="motion"):
    """Names and modules, by the names that they had before an adapter wrapped them."""
    found = [(name.removesuffix(".base_layer"), module) for name, module in network.named_modules()]
    return [
        (name, module)
        for name, module in found
        if name.endswith(ends) and isinstance(module, torch.nn.Linear) and leave_out not in name
    ]


def pair(module, rank, generator):
    return (
        torch.randn(rank, module.in_features, generator=generator) / module.in_features**0.5,
        torch.randn(module.out_features, rank, generator=generator) / 2,
    )


def of_diffusers(network, prefix, ends=("to_q", "to_k"), rank=2):
    """In the keys of diffusers' and peft's own scripts; layers of different ranks."""
    generator, tensors = torch.Generator().manual_seed(0), {}
    for i, (name, module) in enumerate(layers(network, ends)):
        down, up = pair(module, rank + i % 2, generator)
        tensors |= {f"{prefix}{name}.lora_A.weight": down, f"{prefix}{name}.lora_B.weight": up}
    return tensors


def of_kohya(network, prefix="lora_unet_", ends=("to_q", "to_v", "proj_in"), alpha=1.0):
    """In kohya's keys, with an alpha for each layer and a part for the feed-forward layers' sides."""
    generator, tensors = torch.Generator().manual_seed(0), {}
    for name, module in layers(network, ends):
        down, up = pair(module, 4, generator)
        key = f"{prefix}{name.replace('.', '_')}"
        tensors |= {f"{key}.lora_down.weight": down, f"{key}.lora_up.weight": up, f"{key}.alpha": torch.tensor(alpha)}
    return tensors


def kohya_with_text(backbone):
    text = of_kohya(backbone.pipe.text_encoder, "lora_te_text_model_", ("_proj", "fc1", "fc2"))
    return {**of_kohya(backbone.pipe.unet), **text}


@torch.no_grad()
def end(backbone):
    """What comes out, and with it the text."""
    return backbone.denoise(backbone.noise(5), backbone.encode(TEXT))


@pytest.fixture(params=["tiny_animatediff", "tiny_hunyuan"])
def backbone(request):
    found = request.getfixturevalue(request.param)
    found.reset()
    yield found
    found.reset()


def denoiser(backbone):
    return (
        (backbone.pipe.unet, "unet.") if hasattr(backbone.pipe, "unet") else (backbone.pipe.transformer, "transformer.")
    )


@torch.no_grad()
def by_diffusers(backbone, tensors, scale=1.0):
    """The same by diffusers' own loader and switch of strength."""
    pipe = backbone.pipe
    pipe.load_lora_weights(dict(tensors), adapter_name="theirs")
    pipe.set_adapters("theirs", scale)
    backbone._kept.clear()
    found = end(backbone)
    pipe.unload_lora_weights()
    backbone._kept.clear()
    return found


@pytest.mark.parametrize("scale", [1.0, 0.6])
def test_a_lora_does_what_diffusers_makes_of_it(backbone, scale):
    tensors = of_diffusers(*denoiser(backbone))
    plain, expected = end(backbone), by_diffusers(backbone, tensors, scale)
    backbone.load_foreign_lora(tensors, scale)
    torch.testing.assert_close(end(backbone), expected, rtol=0, atol=2e-5)
    assert (expected - plain).abs().max() > 0.01
    with backbone.without_lora():
        torch.testing.assert_close(end(backbone), plain, rtol=0, atol=2e-5)
    backbone.reset()
    assert torch.equal(end(backbone), plain)


def test_kohyas_keys_and_alphas_and_a_part_for_the_text_encoder(tiny_animatediff):
    """The text is encoded anew with it, and as before when it is gone."""
    backbone = tiny_animatediff
    backbone.reset()
    tensors = kohya_with_text(backbone)
    plain, words = end(backbone), backbone.encode(TEXT).tensors["states"]
    expected = by_diffusers(backbone, tensors)
    for _ in range(2):
        backbone.load_foreign_lora(tensors)
        torch.testing.assert_close(end(backbone), expected, rtol=0, atol=2e-5)
        assert not torch.equal(backbone.encode(TEXT).tensors["states"], words)
        backbone.reset()
        assert torch.equal(backbone.encode(TEXT).tensors["states"], words)
        assert torch.equal(end(backbone), plain)


def test_another_takes_its_place(tiny_animatediff):
    backbone = tiny_animatediff
    backbone.reset()
    backbone.load_foreign_lora(kohya_with_text(backbone))
    tensors = of_diffusers(*denoiser(backbone))
    backbone.load_foreign_lora(tensors)
    found = end(backbone)
    backbone.reset()
    backbone.load_foreign_lora(tensors)
    assert torch.equal(end(backbone), found)
    backbone.reset()


def test_keys_without_a_networks_name_are_the_denoisers(backbone):
    network, prefix = denoiser(backbone)
    backbone.load_foreign_lora(of_diffusers(network, ""))
    found = end(backbone)
    backbone.load_foreign_lora(of_diffusers(network, prefix))
    assert torch.equal(end(backbone), found)


WRONG = [
    (lambda one: {key.replace("attn", "attention9"): value for key, value in one.items()}, "made for another model"),
    (lambda one: {key: value[..., :3] for key, value in one.items()}, "made for another model"),
    (lambda one: {f"lora_other_{key}": value for key, value in one.items()}, "made for another model"),
    (lambda one: {key: value * ("lora_A" in key) for key, value in one.items()}, "changes nothing"),
    (lambda one: {key.replace("lora_A", "hada_w1_a"): value for key, value in one.items()}, "LoHa, not LoRA"),
    (lambda one: {key.replace("lora_A", "lokr_w1"): value for key, value in one.items()}, "LoKr, not LoRA"),
    (lambda one: {**one, "unet.x.dora_scale": torch.ones(1)}, "DoRA, not LoRA"),
    (lambda one: {key.replace("lora_", "part_"): value for key, value in one.items()}, "no LoRA tensors"),
    (lambda one: {}, "no LoRA tensors; it begins with 'nothing at all'"),
]


@pytest.mark.parametrize(("change", "message"), WRONG)
def test_what_does_not_fit_is_refused_and_nothing_is_left(backbone, change, message):
    plain = end(backbone)
    tensors = change(of_diffusers(*denoiser(backbone)))
    with pytest.raises(MethodError, match=message):
        backbone.load_foreign_lora(tensors)
    assert torch.equal(end(backbone), plain)
    backbone.load_foreign_lora(of_diffusers(*denoiser(backbone)))
    assert not torch.equal(end(backbone), plain)


def test_a_lora_of_one_family_is_refused_by_the_other(tiny_animatediff, tiny_hunyuan):
    for one, other in ((tiny_animatediff, tiny_hunyuan), (tiny_hunyuan, tiny_animatediff)):
        one.reset()
        other.reset()
        with pytest.raises(MethodError, match="made for another model"):
            one.load_foreign_lora(of_diffusers(*denoiser(other)))
