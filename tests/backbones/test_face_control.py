"""A face beside the layers and a head beside the latents: untrained nothing changes, and each branch acts alone."""

import pytest
import torch

from pvbench.backbones.face_control import FaceControlNetwork, FaceControlSize, blocks
from pvbench.errors import MethodError

TEXT = "a woman in a red coat on a beach"
SIZE = FaceControlSize(identity=6, states=2, width=32, words=2, queries=3, heads=1)
_draw = torch.Generator().manual_seed(1)
IDENTITY = torch.randn(1, 6, generator=_draw)
STATES = [torch.randn(1, 9, 32, generator=_draw) for _ in range(2)]


def tensors(unet, trained=True):
    """Those of a control, as if it had been trained."""
    torch.manual_seed(0)
    network = FaceControlNetwork(unet, SIZE)
    if trained:
        for parameter in network.parameters():
            if not parameter.any():
                torch.nn.init.normal_(parameter, std=0.1)
    return {key: value.detach().clone() for key, value in network.state_dict().items()}


@pytest.fixture(params=["tiny_animatediff", "short_backbone"])
def backbone(request):
    found = request.getfixturevalue(request.param)
    found.reset()
    yield found
    found.reset()


def picture(backbone, seed=2):
    s = backbone.sampling
    return torch.rand(1, 3, s.height, s.width, generator=torch.Generator().manual_seed(seed)) * 2 - 1


@torch.no_grad()
def end(backbone, words):
    return backbone.denoise(backbone.noise(5), words)


def test_an_untrained_control_changes_nothing(backbone):
    words = backbone.encode(TEXT)
    plain = end(backbone, words)
    backbone.load_face_control(tensors(backbone.pipe.unet, trained=False))
    assert torch.equal(end(backbone, backbone.with_face(words, picture(backbone), IDENTITY, STATES)), plain)


def test_each_branch_acts_by_itself_and_both_together(backbone):
    words = backbone.encode(TEXT)
    plain = end(backbone, words)
    backbone.load_face_control(tensors(backbone.pipe.unet))
    face = end(backbone, backbone.with_face(words, None, IDENTITY, STATES))
    both = end(backbone, backbone.with_face(words, picture(backbone), IDENTITY, STATES))
    backbone.load_face_control(tensors(backbone.pipe.unet), scale=0)
    head = end(backbone, backbone.with_face(words, picture(backbone), IDENTITY, STATES))
    none = end(backbone, backbone.with_face(words, None, IDENTITY, STATES))
    assert torch.equal(none, plain)
    found = [plain, face, both, head]
    assert all(not torch.equal(a, b) for i, a in enumerate(found) for b in found[i + 1 :])


def test_words_without_a_face_are_as_before_and_nothing_stays(backbone):
    words = backbone.encode(TEXT)
    plain = end(backbone, words)
    backbone.load_face_control(tensors(backbone.pipe.unet))
    assert torch.equal(end(backbone, words), plain)
    assert not torch.equal(end(backbone, backbone.with_face(words, None, IDENTITY, STATES)), plain)
    assert not words.image
    backbone.reset()
    assert torch.equal(end(backbone, words), plain)


def test_the_head_stands_beside_the_latents_as_more_channels_of_one_convolution(tiny_animatediff):
    """The published first layer has twice the channels; a convolution is linear in them."""
    unet = tiny_animatediff.pipe.unet
    made = tensors(unet)
    wide = torch.nn.Conv2d(2 * unet.conv_in.in_channels, unet.conv_in.out_channels, 3, padding=1)
    with torch.no_grad():
        wide.weight.copy_(torch.cat([unet.conv_in.weight, made["picture.weight"]], dim=1))
        wide.bias.copy_(unet.conv_in.bias)
    tiny_animatediff.reset()
    tiny_animatediff.load_face_control(made)
    latent, head = torch.randn(3, unet.conv_in.in_channels, 8, 8), torch.randn(1, unet.conv_in.in_channels, 8, 8)
    with tiny_animatediff._face_control.showing(head, None), torch.no_grad():
        found = unet.conv_in(latent)
    tiny_animatediff.reset()
    with torch.no_grad():
        torch.testing.assert_close(found, wide(torch.cat([latent, head.expand(3, -1, -1, -1)], dim=1)))


def test_pictures_and_videos_have_their_blocks_in_one_order(short_backbone):
    def names(unet):
        known = {module: name for name, module in unet.named_modules()}
        return [known[block] for block in blocks(unet)]

    assert names(short_backbone.pipe.unet) == names(short_backbone.image_unet)
    assert len(names(short_backbone.image_unet)) == 10


def test_gradients_are_the_same_with_checkpoints(tiny_animatediff):
    """Blocks that are computed again see the same face."""
    backbone = tiny_animatediff
    backbone.reset()
    backbone.load_face_control(tensors(backbone.pipe.unet))
    words = backbone.with_face(backbone.encode(TEXT), picture(backbone), IDENTITY, STATES)

    def gradient():
        latent = backbone.noise(5).requires_grad_(True)
        backbone.clean(latent, words, backbone.steps - 1, backbone.steps).square().sum().backward()
        return latent.grad

    plain = gradient()
    unet = backbone.pipe.unet
    unet.train()
    backbone.enable_checkpointing()
    try:
        torch.testing.assert_close(gradient(), plain, atol=1e-5, rtol=1e-4)
    finally:
        unet.disable_gradient_checkpointing()
        unet.eval()
        backbone.reset()


def test_what_does_not_fit_is_told(backbone):
    words = backbone.encode(TEXT)
    with pytest.raises(MethodError, match="no face control is loaded"):
        backbone.with_face(words, None, IDENTITY, STATES)
    made = tensors(backbone.pipe.unet)
    with pytest.raises(MethodError, match="does not fit this backbone"):
        backbone.load_face_control({key: value for key, value in made.items() if "mapping_1" not in key})
    with pytest.raises(MethodError, match="does not fit this backbone"):
        backbone.load_face_control(made | {"picture.weight": made["picture.weight"][:1]})
    backbone.load_face_control(made)
    with pytest.raises(MethodError, match="do not fit the face control"):
        backbone.with_face(words, None, IDENTITY[:, :3], STATES)
    with pytest.raises(MethodError, match="do not fit the face control"):
        backbone.with_face(words, None, IDENTITY, STATES[:1])
