"""Files appear whole or not at all."""

import errno
from pathlib import Path

import pytest

from pvbench.atomic import remove_unfinished, replacing, write_bytes, write_text
from pvbench.errors import StoreError


def test_a_file_and_its_folders_appear_with_the_content(tmp_path):
    write_text(tmp_path / "deep" / "er" / "file.txt", "grüße\n")
    assert (tmp_path / "deep" / "er" / "file.txt").read_bytes() == "grüße\n".encode()
    assert [path.name for path in (tmp_path / "deep" / "er").iterdir()] == ["file.txt"]


def test_a_body_that_raises_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "file"
    write_bytes(path, b"old")
    with pytest.raises(KeyError), replacing(path) as unfinished:
        unfinished.write_bytes(b"ne")
        raise KeyError
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_in_the_way_of_a_folder_is_told(tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(StoreError, match="a file is where a folder is needed"):
        write_bytes(tmp_path / "taken" / "file", b"")


def test_a_full_disk_is_told(tmp_path):
    path = tmp_path / "file"
    with pytest.raises(StoreError, match=r"disk is full.*nothing written before is lost"), replacing(path):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert not path.exists()


def test_a_full_device_is_told_by_the_kernel_itself(tmp_path):
    with pytest.raises(StoreError, match="disk is full"), replacing(tmp_path / "file"):
        Path("/dev/full").write_bytes(b"content")


def test_a_folder_that_may_not_be_written_is_told(tmp_path):
    with pytest.raises(StoreError, match="may not be written"), replacing(tmp_path / "file"):
        raise PermissionError(errno.EACCES, "Permission denied")


def test_only_unfinished_files_are_removed(tmp_path):
    write_bytes(tmp_path / "a" / "file", b"kept")
    (tmp_path / "a" / ".file.12-ab.tmp").write_bytes(b"half")
    (tmp_path / "a" / "mine.tmp").write_bytes(b"not ours")
    assert remove_unfinished(tmp_path) == 1
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["file", "mine.tmp"]
