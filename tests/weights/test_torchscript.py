"""Tensors are taken out of TorchScript archives, and nothing that lies beside them is run."""

import pickle
import warnings
import zipfile

import pytest
import torch
from torch import Tensor, nn

from pvbench.weights.torchscript import is_archive, read_archive


class Parts(nn.Module):
    """Tensors of every sort: nested, turned, empty, a single number, halves of one storage, no floats."""

    def __init__(self) -> None:
        super().__init__()
        both = torch.arange(6.0)
        self.turned = nn.Parameter(torch.arange(6.0).view(3, 2).T)
        self.nothing = nn.Parameter(torch.empty(0, 3))
        self.number = nn.Parameter(torch.tensor(2.5, dtype=torch.float64))
        self.short = nn.Parameter(torch.tensor([1.5, -2.0]).half())
        self.register_buffer("first", both[:3])
        self.register_buffer("second", both[3:])
        self.register_buffer("whole", torch.tensor([1 << 40]))
        self.register_buffer("ids", torch.tensor([7, -7], dtype=torch.int32))
        self.register_buffer("mask", torch.tensor([True, False]))
        self.layers = nn.ModuleList([nn.Linear(2, 3), nn.BatchNorm1d(3)])
        self.eps, self.sizes, self.shares = 0.1, [1, 2], [0.5]

    def forward(self, x: Tensor) -> Tensor:
        """Holds tensors; what it computes does not matter."""
        return x


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """The archive of a network, and its tensors."""
    torch.manual_seed(0)
    network, path = Parts(), tmp_path_factory.mktemp("archive") / "net.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.script(network).save(str(path))
    return path, network.state_dict()


def test_an_archives_tensors_are_those_of_the_network_by_name_type_and_order(parts):
    path, expected = parts
    found = read_archive(path)
    assert list(found) == list(expected)
    for name, value in expected.items():
        assert found[name].dtype == value.dtype, name
        assert torch.equal(found[name], value), name


def test_only_an_archive_is_taken_for_one(parts, tmp_path):
    torch.save({"a": torch.ones(2)}, tmp_path / "checkpoint.pt")
    (tmp_path / "text.pt").write_text("constants.pkl")
    (tmp_path / "cut.pt").write_bytes(parts[0].read_bytes()[:-30])
    assert is_archive(parts[0])
    assert not any(is_archive(tmp_path / f"{name}.pt") for name in ("checkpoint", "text", "cut", "missing"))


def copied(old, new, change):
    """An archive with other bytes in its files; None leaves one out."""
    with zipfile.ZipFile(old) as source, zipfile.ZipFile(new, "w") as copy:
        for name in source.namelist():
            content = change(name, source.read(name))
            if content is not None:
                copy.writestr(name, content)
    return new


def written(path, data):
    """An archive whose module is that pickle."""
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("net/constants.pkl", b"")
        file.writestr("net/data.pkl", data)
    return path


def test_code_that_a_pickle_asks_for_is_named_and_not_run(tmp_path):
    makes_folder = f"cposix\nmkdir\n(V{tmp_path / 'proof'}\ntR.".encode()
    path = written(tmp_path / "net.pt", makes_folder)
    with pytest.raises(pickle.UnpicklingError, match=r"it asks for posix\.mkdir, and no code in a file is run"):
        read_archive(path)
    assert not (tmp_path / "proof").exists()


@pytest.mark.parametrize(
    "name",
    ["builtins eval", "torch load", "torch.jit load", "torch._utils _rebuild_parameter", "torch.serialization load"],
)
def test_no_function_beyond_those_of_tensors_is_found(tmp_path, name):
    path = written(tmp_path / "net.pt", b"c" + "\n".join(name.split()).encode() + b"\n.")
    with pytest.raises(pickle.UnpicklingError, match=f"it asks for {name.replace(' ', '.')}"):
        read_archive(path)


def test_source_code_in_an_archive_is_left_alone(parts, tmp_path):
    """What would run in torch.jit.load is not even read."""
    path = copied(
        parts[0], tmp_path / "net.pt", lambda name, old: b"import no_such_module" if name.endswith(".py") else old
    )
    assert path.read_bytes().count(b"no_such_module")
    assert list(read_archive(path)) == list(parts[1])


def test_memory_beyond_the_bytes_of_a_tensor_is_never_read(parts, tmp_path):
    path = copied(parts[0], tmp_path / "net.pt", lambda name, old: old[:4] if "/data/" in name else old)
    with pytest.raises(ValueError, match=r"the archive is damaged: .*out of bounds"):
        read_archive(path)


def test_bytes_that_are_not_there_are_an_error(parts, tmp_path):
    path = copied(parts[0], tmp_path / "net.pt", lambda name, old: None if name.endswith("/data/0") else old)
    with pytest.raises(KeyError, match="data/0"):
        read_archive(path)


class Odd(nn.Module):
    """Tensors of types that networks seldom have."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("wide", torch.tensor([1.5, -2.0], dtype=torch.bfloat16))
        for name, dtype in (("bytes", torch.uint8), ("signed", torch.int8), ("shorts", torch.int16)):
            self.register_buffer(name, torch.tensor([1, 2, 3], dtype=dtype))

    def forward(self, x: Tensor) -> Tensor:
        """Holds tensors; what it computes does not matter."""
        return x


def test_small_numbers_and_bfloat16_are_tensors_too(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.script(Odd()).save(str(tmp_path / "odd.pt"))
    found = read_archive(tmp_path / "odd.pt")
    assert {name: value.dtype for name, value in found.items()} == {
        "wide": torch.bfloat16, "bytes": torch.uint8, "signed": torch.int8, "shorts": torch.int16,
    }  # fmt: skip
    assert found["wide"].tolist() == [1.5, -2.0]


@pytest.mark.parametrize("content", [b"no archive", b"PK\x03\x04 no more"])
def test_a_file_that_is_no_archive_is_damaged(tmp_path, content):
    (tmp_path / "net.pt").write_bytes(content)
    with pytest.raises(ValueError, match="the archive is damaged"):
        read_archive(tmp_path / "net.pt")
