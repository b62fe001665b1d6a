"""Checkpoints of torch give tensors by name, or an error that names the file; nothing in them is run."""

import os
import pickle
import warnings

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from pvbench.errors import WeightsError
from pvbench.weights.checkpoint import read_checkpoint, read_tensors

WEIGHT = torch.arange(6.0).view(2, 3)
READERS = {
    "read_checkpoint": lambda path: read_checkpoint(path, "net.pth of its authors"),
    "read_tensors": read_tensors,
}


@pytest.fixture(params=READERS)
def read(request):
    return READERS[request.param]


class Touch:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder):
        self.folder = str(folder)

    def __reduce__(self):
        return os.mkdir, (self.folder,)


@pytest.mark.parametrize("zipped", [True, False])
def test_tensors_come_by_their_names_from_files_of_either_age(read, tmp_path, zipped):
    tensors = {"b.weight": WEIGHT, "a.bias": torch.tensor([1.5]).half()}
    torch.save(tensors, tmp_path / "net.pth", _use_new_zipfile_serialization=zipped)
    found = read(tmp_path / "net.pth")
    assert list(found) == list(tensors)
    assert all(torch.equal(found[name], value) for name, value in tensors.items())


def test_the_prefix_of_a_data_parallel_training_is_taken_off_unless_that_hides_a_tensor(tmp_path):
    path = tmp_path / "net.pth"
    torch.save({"module.a": WEIGHT, "b": 2 * WEIGHT}, path)
    assert list(READERS["read_checkpoint"](path)) == ["a", "b"]
    torch.save({"module.a": WEIGHT, "a": 2 * WEIGHT}, path)
    with pytest.raises(WeightsError, match=r"net\.pth holds both 'a' and 'module\.a': save one"):
        READERS["read_checkpoint"](path)


@pytest.mark.parametrize("form", ["torch", "old torch", "pickle", "whole network"])
def test_code_is_refused_and_not_run(read, tmp_path, form):
    path, state = tmp_path / "net.pth", {"weight": Touch(tmp_path / "proof")}
    if form == "pickle":
        path.write_bytes(pickle.dumps(state, 2))
    else:
        torch.save(nn.Linear(2, 2) if form == "whole network" else state, path,
                   _use_new_zipfile_serialization=form != "old torch")  # fmt: skip
    with pytest.raises(WeightsError, match=r"net\.pth holds .*nothing of it was run") as refused:
        read(path)
    assert not (tmp_path / "proof").exists()
    # torch's own message tells people how to run it after all.
    assert "weights_only" not in str(refused.value)


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\3\4 no archive", "cut"])
def test_a_damaged_file_is_named(read, tmp_path, content):
    path = tmp_path / "net.pth"
    torch.save({"weight": WEIGHT}, path)
    path.write_bytes(path.read_bytes()[:400] if content == "cut" else content)
    with pytest.raises(WeightsError, match=rf"{path} (is damaged|holds .*or is damaged)"):
        read(path)


@pytest.mark.parametrize(("content", "kind"), [([WEIGHT], "list"), (WEIGHT, "Tensor"), (7, "int")])
def test_what_has_no_names_is_refused_by_its_kind(read, tmp_path, content, kind):
    torch.save(content, tmp_path / "net.pth")
    with pytest.raises(WeightsError, match=rf"net\.pth holds a {kind}[,;] expected"):
        read(tmp_path / "net.pth")


def test_a_missing_checkpoint_is_told_with_what_belongs_there(tmp_path):
    with pytest.raises(WeightsError, match=r"net\.pth is not there; put net\.pth of its authors in its place"):
        READERS["read_checkpoint"](tmp_path / "net.pth")


def test_the_prefix_of_a_parallel_training_is_dropped_once_and_only_in_front(tmp_path):
    names = ("module.a.weight", "module.module.b", "c.module.weight", "d")
    torch.save(dict.fromkeys(names, WEIGHT), tmp_path / "net.pth")
    found = read_checkpoint(tmp_path / "net.pth", "net.pth")
    assert list(found) == ["a.weight", "module.b", "c.module.weight", "d"]


def test_a_checkpoint_with_counters_beside_its_tensors_is_refused_and_tensors_are_taken_out_of_one(tmp_path):
    torch.save({"epoch": 3, "weight": WEIGHT}, tmp_path / "net.pth")
    with pytest.raises(WeightsError, match=r"net\.pth holds a dict, expected the tensors of net\.pth by name"):
        read_checkpoint(tmp_path / "net.pth", "net.pth")
    assert list(read_tensors(tmp_path / "net.pth")) == ["weight"]


@pytest.mark.parametrize("depth", [1, 2])
def test_tensors_are_found_below_state_dict(tmp_path, depth):
    state = {"weight": WEIGHT, "step": 5}
    for _ in range(depth):
        state = {"state_dict": state, "epoch": 3}
    torch.save(state, tmp_path / "net.ckpt")
    (found,) = read_tensors(tmp_path / "net.ckpt").items()
    assert found[0] == "weight"
    assert torch.equal(found[1], WEIGHT)


def test_safetensors_are_read_and_told_where_they_cannot_be(tmp_path):
    path = tmp_path / "net.safetensors"
    save_file({"module.weight": WEIGHT}, path)
    assert torch.equal(read_tensors(path)["module.weight"], WEIGHT)
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(WeightsError, match=rf"{path} cannot be read as safetensors"):
        read_tensors(path)


def test_a_pickle_called_safetensors_is_not_unpickled(tmp_path):
    path = tmp_path / "net.safetensors"
    torch.save({"weight": Touch(tmp_path / "proof")}, path)
    with pytest.raises(WeightsError, match="cannot be read as safetensors"):
        read_tensors(path)
    assert not (tmp_path / "proof").exists()


def test_a_file_that_is_not_there_is_not_called_damaged(tmp_path):
    for name in ("net.ckpt", "net.safetensors"):
        with pytest.raises(WeightsError, match=rf"{name} is not there; check the path"):
            read_tensors(tmp_path / name)


def test_a_program_is_told_from_a_damaged_file(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.script(torch.nn.Linear(2, 2)).save(str(tmp_path / "net.ckpt"))
    with pytest.raises(WeightsError, match="is a TorchScript archive, which is a program; take the checkpoint as"):
        read_tensors(tmp_path / "net.ckpt")
    with pytest.raises(WeightsError, match="is a TorchScript archive, which is a program; put the network in its"):
        read_checkpoint(tmp_path / "net.ckpt", "the network")
