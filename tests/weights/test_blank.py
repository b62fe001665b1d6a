"""Networks are built without random numbers, and only while they are asked to be."""

import pytest
import torch
from torch import nn

from pvbench.weights.blank import Blank


@pytest.fixture
def state():
    torch.manual_seed(0)
    return torch.get_rng_state()


LAYERS = {
    "linear": lambda: nn.Linear(3, 4),
    "convolution": lambda: nn.Conv2d(3, 4, 3),
    "embedding": lambda: nn.Embedding(5, 4, padding_idx=0),
    "attention": lambda: nn.MultiheadAttention(8, 2),
    "transformer": lambda: nn.TransformerEncoderLayer(8, 2, 16),
    "recurrent": lambda: nn.LSTM(3, 4),
}


@pytest.mark.parametrize("build", LAYERS.values(), ids=LAYERS)
def test_a_layer_is_built_without_a_draw_and_has_its_shapes(state, build):
    with Blank():
        blank = build()
    assert torch.equal(torch.get_rng_state(), state)
    usual = build()
    assert not torch.equal(torch.get_rng_state(), state)
    shapes = [[(n, p.shape, p.dtype, p.requires_grad) for n, p in one.named_parameters()] for one in (blank, usual)]
    assert shapes[0] == shapes[1]


@pytest.mark.parametrize("build", LAYERS.values(), ids=LAYERS)
def test_with_the_weights_of_a_file_it_is_the_usual_layer(build):
    usual = build()
    with Blank():
        blank = build()
    blank.load_state_dict(usual.state_dict())
    assert all(torch.equal(one, other) for one, other in zip(blank.parameters(), usual.parameters(), strict=True))


def test_a_normalisations_running_numbers_are_the_usual_ones():
    with Blank():
        layer = nn.BatchNorm2d(3)
    assert layer.running_mean.tolist() == [0, 0, 0]
    assert layer.running_var.tolist() == [1, 1, 1]
    assert layer.num_batches_tracked.item() == 0


@pytest.mark.parametrize("name", ["normal_", "uniform_", "xavier_uniform_", "xavier_normal_", "kaiming_uniform_"])
def test_a_tensor_that_would_be_filled_stays_and_is_given_back(state, name):
    tensor = torch.full((4, 4), 7.0)
    with Blank():
        assert getattr(nn.init, name)(tensor) is tensor
        assert getattr(nn.init, name)(tensor=tensor) is tensor
    assert (tensor == 7).all()
    assert torch.equal(torch.get_rng_state(), state)
    getattr(nn.init, name)(tensor)
    assert (tensor != 7).all()


def test_what_is_computed_within_is_computed():
    tensor = torch.arange(4.0)
    with Blank():
        assert tensor.add_(1).mul(2).tolist() == [2, 4, 6, 8]
        assert torch.nn.functional.softmax(torch.zeros(2), dim=0).tolist() == [0.5, 0.5]
        assert torch.zeros(2).fill_(3).tolist() == [3, 3]


def test_draws_come_back_after_an_error(state):
    with pytest.raises(KeyError), Blank():
        raise KeyError
    assert (nn.init.normal_(torch.full((4,), 7.0)) != 7).all()
