"""Gradient checkpoints give the plain gradients, also where adapters were switched or images shown in between."""

import pytest
import torch
from torch.multiprocessing.reductions import StorageWeakRef

from pvbench.backbone import load_backbone
from pvbench.backbones import checkpointing

TEXT = "a woman in a red coat on a beach"


def gradients(backbone, words, off_later=False):
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


@pytest.fixture(params=["tiny_animatediff", "tiny_hunyuan", "tiny_wan", "tiny_vace", "tiny_cogvideox"])
def backbone(request):
    found = request.getfixturevalue(request.param)
    found.reset()
    yield found
    for network in networks(found):
        if network._supports_gradient_checkpointing:
            network.disable_gradient_checkpointing()


@pytest.mark.parametrize("host", [False, True])
@pytest.mark.parametrize("off_later", [False, True])
def test_gradients_are_the_plain_ones(backbone, off_later, host):
    words = backbone.encode(TEXT)
    plain = gradients(backbone, words)
    backbone.enable_checkpointing(host=host)
    for one, other in zip(gradients(backbone, words, off_later), plain, strict=True):
        assert torch.equal(one, other), (one - other).abs().max() / other.abs().max()
    assert max(float(one.abs().max()) for one in plain) > 0


@pytest.fixture
def block_inputs(monkeypatch):
    """Every tensor that a checkpointed block is given, as a weak reference to its storage, in order."""
    found = []
    plain = checkpointing.checkpoint

    def noted(block, *given, **how):
        found.extend(StorageWeakRef(one.untyped_storage()) for one in given if isinstance(one, torch.Tensor))
        return plain(block, *given, **how)

    monkeypatch.setattr(checkpointing, "checkpoint", noted)
    return found


def last_step(backbone, words):
    """The last step's latent, with the graph that leads to it."""
    backbone.add_lora(2, 2.0, "qkv", torch.Generator().manual_seed(0))
    return backbone.denoise(backbone.noise(3), words, backbone.steps - 1)


def test_block_inputs_and_nothing_else_go_to_the_hosts_memory_and_back(backbone, block_inputs, monkeypatch):
    words = backbone.encode(TEXT)
    there, back = [], []
    to_host, from_host = checkpointing._to_host, checkpointing._from_host

    def noted_there(tensor):
        kept = to_host(tensor)
        there.append(kept[1].untyped_storage())
        assert there[-1].data_ptr() != tensor.untyped_storage().data_ptr()
        assert (kept[1].device.type, kept[1].stride(), kept[1].requires_grad) == ("cpu", tensor.stride(), False)
        return kept

    def noted_back(kept):
        back.append(kept[1].untyped_storage())
        return from_host(kept)

    monkeypatch.setattr(checkpointing, "_to_host", noted_there)
    monkeypatch.setattr(checkpointing, "_from_host", noted_back)
    backbone.enable_checkpointing(host=True)
    latent = last_step(backbone, words)
    assert len(there) == len(block_inputs) > 0
    assert back == []
    latent.square().mean().backward()
    backbone.reset()
    # Blocks before the first adapter, and VACE's own, are not computed again.
    assert 0 < len(back) <= len(there)
    assert {one.data_ptr() for one in back} <= {one.data_ptr() for one in there}


def test_the_device_keeps_block_inputs_only_without_the_hosts_memory(backbone, block_inputs):
    words = backbone.encode(TEXT)

    def left(host):
        block_inputs.clear()
        backbone.enable_checkpointing(host=host)
        latent = last_step(backbone, words)
        found = sum(not one.expired() for one in block_inputs)
        del latent
        backbone.reset()
        return found

    assert left(host=False) > 0.8 * len(block_inputs)
    assert left(host=True) == 0


@pytest.mark.parametrize("family", ["animatediff", "hunyuan", "wan", "cogvideox"])
def test_a_profile_asks_for_the_hosts_memory(request, monkeypatch, family):
    copied = []
    to_host = checkpointing._to_host
    monkeypatch.setattr(checkpointing, "_to_host", lambda tensor: (copied.append(1), to_host(tensor))[1])
    make = request.getfixturevalue(family)
    for place, expected in ((True, False), ("host", True)):
        backbone = load_backbone(make(checkpointing=place), "cpu")
        last_step(backbone, backbone.encode(TEXT))
        assert bool(copied) is expected


def test_of_a_decoded_piece_its_latent_alone_is_kept(tiny_hunyuan, block_inputs):
    """Its autoencoder decodes 16 overlapping pieces here, whose block inputs would add up."""
    backbone, vae = tiny_hunyuan, tiny_hunyuan.pipe.vae
    sides = {name: getattr(vae, name) for name in vars(vae) if name.startswith(("tile_sample_", "use_tiling"))}
    latent = backbone.noise(0).requires_grad_()
    backbone.enable_checkpointing()
    try:
        vae.enable_tiling(16, 16, tile_sample_stride_height=8, tile_sample_stride_width=8)
        images = backbone.decode(latent, backbone.frame_groups[1][-1:])
        assert len(block_inputs) >= 16 * 6
        assert sum(not one.expired() for one in block_inputs) <= 16
        images.square().mean().backward()
        assert float(latent.grad.abs().max()) > 0
    finally:
        vars(vae).update(sides)
        for network in networks(backbone):
            network.disable_gradient_checkpointing()


def test_fewer_activations_are_kept(backbone):
    """What autograd keeps of a step is a fraction."""
    words = backbone.encode(TEXT)

    def kept():
        sizes = []
        with torch.autograd.graph.saved_tensors_hooks(lambda t: (sizes.append(t.numel()), t)[1], lambda t: t):
            last_step(backbone, words)
        backbone.reset()
        return sum(sizes)

    plain = kept()
    backbone.enable_checkpointing()
    assert kept() < 0.6 * plain
