"""Digests of weight files: computed once while a file stays as it is, of large files for good."""

import json
import os

import pytest

from pvbench.digest import file_digest
from pvbench.weights import digests
from pvbench.weights.digests import digest_of, weights_root


@pytest.fixture
def root(tmp_path, monkeypatch):
    """The weights folder."""
    monkeypatch.setenv("PVBENCH_WEIGHTS", str(tmp_path / "weights"))
    return tmp_path / "weights"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "file.bin"
    path.write_bytes(b"weights")
    return path


@pytest.fixture
def counted(monkeypatch):
    """Paths that were read, in their order; every process begins with nothing known."""
    read = []

    def once(path):
        read.append(path)
        return file_digest(path)

    monkeypatch.setattr(digests, "file_digest", once)
    digests._digest.cache_clear()
    return read


def test_the_folder_is_the_variables_or_the_homes(root, monkeypatch):
    assert weights_root() == root
    monkeypatch.setenv("PVBENCH_WEIGHTS", "~/mine")
    assert weights_root() == root.home() / "mine"
    monkeypatch.setenv("PVBENCH_WEIGHTS", "")
    assert weights_root().parts[-3:] == (".cache", "pvbench", "weights")


def test_a_file_is_read_once_until_it_changes(root, file, counted):
    assert digest_of(file) == digest_of(file) == file_digest(file)
    assert counted == [file]
    file.write_bytes(b"other weights")
    assert digest_of(file) == file_digest(file)
    assert len(counted) == 2
    # The same size, at another moment.
    file.write_bytes(b"OTHER weights")
    os.utime(file, ns=(1, 1))
    assert digest_of(file) == file_digest(file)
    assert len(counted) == 3
    assert not root.exists()


@pytest.fixture
def large(monkeypatch, root, counted):
    """Every file counts as large; gives the note of the only one."""
    monkeypatch.setattr(digests, "_LARGE", 0)
    return lambda: next((root / "digests").glob("*.json"))


def test_a_large_files_digest_is_kept_for_other_processes(file, counted, large):
    first = digest_of(file)
    digests._digest.cache_clear()
    assert digest_of(file) == first
    assert counted == [file]


@pytest.mark.parametrize(
    "damage",
    [
        lambda note: note.write_text("{"),
        lambda note: note.write_text("[]"),
        lambda note: note.write_text(json.dumps({**json.loads(note.read_text()), "size": 3})),
        lambda note: note.write_text(json.dumps({**json.loads(note.read_text()), "path": "/elsewhere"})),
        lambda note: note.write_text(
            json.dumps({name: value for name, value in json.loads(note.read_text()).items() if name != "sha256"})
        ),
        lambda note: note.unlink(),
    ],
    ids=["no JSON", "no object", "another size", "another file", "no digest", "gone"],
)
def test_a_note_that_is_not_of_the_file_as_it_is_counts_for_nothing(file, counted, large, damage):
    first = digest_of(file)
    damage(large())
    digests._digest.cache_clear()
    assert digest_of(file) == first
    assert counted == [file, file]


def test_a_folder_that_cannot_be_written_costs_time_alone(file, counted, large, root):
    root.parent.mkdir(exist_ok=True)
    root.write_text("a file where the folder should be")
    assert digest_of(file) == file_digest(file)


def test_a_file_that_is_not_there_is_the_callers_to_name(root, tmp_path):
    with pytest.raises(FileNotFoundError):
        digest_of(tmp_path / "none.bin")
