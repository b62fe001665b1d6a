"""Convolutions in other forms give what torch's give, to within rounding, of any shape that the networks have."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from pvbench.features.cpu.convolutions import (
    Direct,
    Narrow,
    Seen,
    Winograd,
    Winograd3d,
    WinogradHalving,
    replace_convolutions,
    same_convolution,
    suits,
)
from pvbench.features.published.i3d import pad_same, pool_same

KERNELS = ((3, 3), (1, 5), (5, 1), (5, 5), (4, 4))


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def exact(images, weight):
    """The convolution of (n, h, w, c) with SAME padding, in double precision."""
    high, wide = weight.shape[2:]
    around = ((wide - 1) // 2, wide // 2, (high - 1) // 2, high // 2)
    padded = functional.pad(images.permute(0, 3, 1, 2).double(), around)
    return functional.conv2d(padded, weight.double()).permute(0, 2, 3, 1)


def close(found, expected, worst=4e-5):
    """Errors at most `worst` of the spread of what is expected: float32 itself errs by 3e-6."""
    assert found.shape == expected.shape
    assert found.dtype == torch.float32
    assert (found - expected).abs().max() < worst * expected.std()


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("size", [(4, 4), (5, 3), (17, 22)])
def test_the_values_are_those_of_the_convolution(kernel, size):
    images, weight = torch.randn(2, *size, 40), torch.randn(24, 40, *kernel)
    close(Winograd(weight)(images), exact(images, weight))


def test_strips_are_the_whole(monkeypatch):
    images, weight = torch.randn(2, 23, 18, 8), torch.randn(16, 8, 3, 3)
    whole = Winograd(weight)
    expected = whole.of(whole.spread(images))
    for strip in (1, 2**13, 2**30):
        monkeypatch.setattr("pvbench.features.cpu.convolutions._STRIP", strip)
        torch.testing.assert_close(whole(images), expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("form", [Winograd, Direct])
def test_an_input_in_parts_is_the_input(form):
    images, weight = torch.randn(2, 9, 10, 30), torch.randn(16, 30, 3, 3)
    parts = form(weight, [18, 12])
    close(parts.of(*(parts.spread(part) for part in images.split([18, 12], dim=-1))), exact(images, weight))


@pytest.mark.parametrize("kernel", KERNELS)
def test_few_outputs_are_summed_from_products(kernel):
    images, weight = torch.randn(2, 9, 10, 30), torch.randn(2, 30, *kernel)
    form = Narrow(weight)
    close(form.of(form.spread(images)), exact(images, weight))


def test_the_form_goes_by_outputs_and_device():
    assert isinstance(same_convolution(torch.randn(32, 40, 3, 3)), Winograd)
    assert isinstance(same_convolution(torch.randn(2, 40, 3, 3)), Narrow)
    assert isinstance(same_convolution(torch.empty(32, 40, 3, 3, device="meta")), Direct)


def test_what_several_convolutions_see_is_spread_once_for_each_kernel():
    seen = Seen(torch.randn(1, 8, 8, 40))
    one, same, other = (Winograd(torch.randn(32, 40, *kernel)) for kernel in ((3, 3), (3, 3), (1, 5)))
    assert seen.by(one) is seen.by(same)
    close(other.of(seen.by(other)), other(seen.images).double())


def test_a_kernel_without_transforms_is_refused():
    with pytest.raises(ValueError, match=r"no transform for a kernel of \(7, 7\)"):
        Winograd(torch.randn(8, 8, 7, 7))


@pytest.mark.parametrize("frames", [1, 2, 5])
def test_volumes_see_their_neighbouring_frames(frames):
    volume, weight = torch.randn(frames, 9, 14, 12), torch.randn(24, 12, 3, 3, 3)
    expected = functional.conv3d(volume.movedim(-1, 0)[None].double(), weight.double(), padding=1)[0].movedim(0, -1)
    close(Winograd3d(weight)(volume), expected)


@pytest.mark.parametrize("shape", [(16, 28, 36, 3), (11, 18, 14, 2), (10, 8, 8, 1)])
def test_volumes_are_halved_as_by_a_stride_of_two(shape):
    volume, weight = torch.randn(shape), torch.randn(8, shape[-1], 7, 7, 7)
    padded = pad_same(volume.movedim(-1, 0)[None].double(), (7, 7, 7), (2, 2, 2))
    close(WinogradHalving(weight)(volume), functional.conv3d(padded, weight.double(), stride=2)[0].movedim(0, -1))


def test_a_volume_with_odd_sides_is_not_halved():
    with pytest.raises(ValueError, match="expected an even height and width, got 7 x 8"):
        WinogradHalving(torch.randn(8, 3, 7, 7, 7))(torch.randn(10, 7, 8, 3))


def test_convolutions_of_a_network_are_replaced_where_they_can_be():
    below = nn.Sequential(nn.Conv2d(64, 32, 3, padding=1, bias=False))
    network = nn.Sequential(
        nn.Conv2d(40, 48, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(48, 64, 1),
        nn.Conv2d(64, 64, 3, 2, 1),
        below,
        nn.Conv2d(32, 2, 3, padding=1),
    )
    network.requires_grad_(False)
    images = torch.randn(2, 40, 14, 11)
    expected = network.double()(images.double())
    replace_convolutions(network.float())
    kinds = [type(module).__name__ for module in (*network, *below)]
    assert kinds == ["Convolution", "ReLU", "Convolution", "Conv2d", "Sequential", "Conv2d", "Convolution"]
    close(network(images), expected, worst=1e-4)


@pytest.mark.parametrize(
    "given",
    [
        {"padding": 0},
        {"padding": 1, "stride": 2},
        {"padding": 2, "dilation": 2},
        {"padding": 1, "groups": 2},
        {"padding": 1, "padding_mode": "reflect"},
    ],
)
def test_convolutions_of_another_kind_stay(given):
    assert not suits(nn.Conv2d(64, 64, 3, **given))


def test_convolutions_stay_whose_kernel_has_no_middle_or_few_channels():
    assert not suits(nn.Conv2d(64, 64, 4, padding=2))
    assert not suits(nn.Conv2d(3, 64, 3, padding=1))
    assert suits(nn.Conv2d(64, 64, (1, 5), padding=(0, 2)))


@pytest.mark.parametrize("shape", [(1, 4, 16, 28, 29), (2, 3, 5, 7, 7), (1, 2, 4, 14, 15)])
@pytest.mark.parametrize(
    ("window", "stride"),
    [((1, 3, 3), (1, 2, 2)), ((3, 3, 3), (2, 2, 2)), ((2, 2, 2), (2, 2, 2)), ((3, 3, 3), (1, 1, 1))],
)
def test_pooling_by_axes_is_max_pooling_with_same_padding(shape, window, stride):
    volume = torch.randint(-50, 50, shape).float()
    padded = pad_same(volume + 100, window, stride) - 100
    expected = functional.max_pool3d(pad_same(volume.relu(), window, stride), window, stride)
    assert torch.equal(pool_same(volume.relu(), window, stride), expected)
    last = volume.relu().movedim(1, -1)[0].contiguous()
    assert torch.equal(pool_same(last, window, stride, first=0), expected.movedim(1, -1)[0])
    # What lies outside is not taken for a zero among negative values.
    assert torch.equal(pool_same(volume, window, stride), functional.max_pool3d(padded, window, stride))
