"""Gradient checkpoints give the plain gradients, also where adapters were switched or images shown in between."""

import pytest
import torch

TEXT = "a woman in a red coat on a beach"


def gradients(backbone, words, off_later):
    """Of a LoRA, through the last step and the pixels; the adapter is off while they are computed if asked."""
    generator = torch.Generator().manual_seed(0)
    parameters = backbone.add_lora(2, 2.0, "qkv", generator)
    for parameter in parameters:
        parameter.data.normal_(0, 0.2, generator=generator)
    first = backbone.steps - 2
    latent = backbone.denoise(backbone.noise(3), words, first, first + 1)
    with backbone.without_lora():
        # As PersonalVideo's additions do: the frozen model takes the last step.
        latent = backbone.denoise(latent, words, first + 1)
    loss = backbone.through_pixels(latent, backbone.frame_groups[0][:2], lambda images: images.square().mean())
    if off_later:
        with backbone.without_lora():
            loss.backward()
    else:
        loss.backward()
    found = [parameter.grad.clone() for parameter in parameters]
    backbone.reset()
    return found


def networks(backbone):
    names = ("unet", "vae") if hasattr(backbone.pipe, "unet") else ("transformer", "vae")
    return [*(getattr(backbone.pipe, name) for name in names), *([backbone.image_unet] if names[0] == "unet" else [])]


@pytest.fixture(params=["tiny_animatediff", "tiny_hunyuan"])
def backbone(request):
    found = request.getfixturevalue(request.param)
    found.reset()
    yield found
    for network in networks(found):
        network.disable_gradient_checkpointing()


@pytest.mark.parametrize("off_later", [False, True])
def test_gradients_are_the_plain_ones(backbone, off_later):
    words = backbone.encode(TEXT)
    plain = gradients(backbone, words, off_later=False)
    backbone.enable_checkpointing()
    for one, other in zip(gradients(backbone, words, off_later), plain, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-7)
    assert max(float(one.abs().max()) for one in plain) > 0


def test_fewer_activations_are_kept(backbone):
    """What autograd keeps of a step is a fraction."""
    words = backbone.encode(TEXT)

    def kept():
        sizes = []
        backbone.add_lora(2, 2.0, "qkv", torch.Generator().manual_seed(0))
        with torch.autograd.graph.saved_tensors_hooks(lambda t: (sizes.append(t.numel()), t)[1], lambda t: t):
            backbone.denoise(backbone.noise(3), words, backbone.steps - 1)
        backbone.reset()
        return sum(sizes)

    plain = kept()
    backbone.enable_checkpointing()
    assert kept() < 0.6 * plain
