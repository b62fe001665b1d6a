"""What is learned once: taken from the shelf by the next, told alike, made again where a file is damaged."""

import pytest
import torch

from pvbench.shelf import learned_once, shelf


@pytest.fixture
def learn():
    """Learns other vectors at each call, and counts the calls."""

    def learned():
        learned.calls += 1
        return torch.full((2, 3), float(learned.calls)), [0.3, 0.1 + 0.2]

    learned.calls = 0
    return learned


def silent(step, loss):
    """Progress that nobody watches."""


def test_without_a_shelf_it_is_learned_each_time(learn):
    assert float(learned_once("ada", learn, silent)[0][0, 0]) == 1
    assert float(learned_once("ada", learn, silent)[0][0, 0]) == 2


def test_on_a_shelf_it_is_learned_once_and_told_with_the_same_digits(learn, tmp_path):
    told = []
    with shelf(tmp_path / "shelf"):
        first = learned_once("ada", learn, silent)
        again = learned_once("ada", learn, lambda step, loss: told.append((step, loss)))
        other = learned_once("ben", learn, silent)
    assert learn.calls == 2
    assert torch.equal(first[0], again[0])
    assert first[1] == again[1]
    assert told == [(1, 0.3), (2, 0.1 + 0.2)]
    assert not torch.equal(first[0], other[0])


def test_the_shelf_ends_with_the_block_also_when_it_fails(learn, tmp_path):
    with pytest.raises(RuntimeError, match="wrong on purpose"), shelf(tmp_path):
        raise RuntimeError("wrong on purpose")
    learned_once("ada", learn, silent)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"not a safetensors file"])
def test_a_damaged_file_is_made_again(learn, tmp_path, content):
    with shelf(tmp_path):
        learned_once("ada", learn, silent)
        (path,) = tmp_path.iterdir()
        whole = path.read_bytes()
        path.write_bytes(content)
        assert float(learned_once("ada", learn, silent)[0][0, 0]) == 2
        assert len(path.read_bytes()) == len(whole)
        learned_once("ada", learn, silent)
    assert learn.calls == 2


def test_a_file_of_something_else_is_made_again(learn, tmp_path):
    from safetensors.torch import save_file

    save_file({"weight": torch.zeros(1)}, tmp_path / "ada.safetensors")
    with shelf(tmp_path):
        learned_once("ada", learn, silent)
    assert learn.calls == 1
