"""Run folders."""

import os

import numpy as np
import pytest

from pvbench.errors import StoreError
from pvbench.store import Failure, Store, read_features, write_features


def failure(key="k" * 64, message="no luck"):
    return Failure(key, "generate", "base", "ann", "surf", 0, "RuntimeError", message, "Traceback ...")


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "run")


def test_names_tell_what_a_file_is_and_hold_its_key(store):
    key = "0123456789abcdef" * 4
    assert (
        store.video_path(key, "base", "ann", "surf", 3).relative_to(store.folder).as_posix()
        == "videos/base/ann/surf-s3-0123456789ab.mkv"
    )
    assert (
        store.adapter_path(key, "a[x=1]", "ann").relative_to(store.folder).as_posix()
        == "adapters/a[x=1]/ann-0123456789ab.safetensors"
    )


def test_a_label_cannot_leave_the_folder(store):
    path = store.video_path("0" * 64, "a[token=../../x]", "ann", "surf", 0)
    assert path.parents[2].name == "videos"
    assert path.parents[3] == store.folder


def test_features_come_back_as_they_were(tmp_path):
    features = {"b": np.array([1.5, np.nan], np.float32), "a": np.zeros((0, 3), np.float32)}
    write_features(tmp_path / "one", features)
    write_features(tmp_path / "other", dict(reversed(features.items())))
    back = read_features(tmp_path / "one")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()
    assert back is not None
    np.testing.assert_array_equal(back["b"], features["b"])
    assert back["a"].shape == (0, 3)


def test_missing_and_damaged_features_are_none(tmp_path):
    assert read_features(tmp_path / "nothing") is None
    write_features(tmp_path / "file", {"a": np.ones(4, np.float32)})
    (tmp_path / "file").write_bytes((tmp_path / "file").read_bytes()[:-1])
    assert read_features(tmp_path / "file") is None


def test_a_failure_is_kept_until_it_is_forgiven(store):
    store.fail(failure(message="first"))
    store.fail(failure(message="second"))
    store.fail(failure("other"))
    assert {key: found.message for key, found in store.failures().items()} == {"k" * 64: "second", "other": "no luck"}
    store.forgive("k" * 64)
    store.forgive("never failed")
    assert set(store.failures()) == {"other"}


def test_a_record_that_cannot_be_read_counts_as_none(store):
    store.fail(failure())
    (store.folder / "failures" / "broken.json").write_text("{")
    (store.folder / "failures" / "other.json").write_text('{"key": "x"}')
    assert set(store.failures()) == {"k" * 64}


def test_a_log_line_cut_short_is_passed_over(store):
    store.folder.mkdir()
    store.log({"stage": "tune", "seconds": 1.5})
    with (store.folder / "log.jsonl").open("a") as file:
        file.write('{"stage": "ge\n[1]\n')
    store.log({"stage": "measure"})
    assert store.read_log() == [{"stage": "tune", "seconds": 1.5}, {"stage": "measure"}]


def test_a_folder_without_a_log_has_no_lines(store):
    assert store.read_log() == []


def test_a_folder_is_held_by_one_process_and_says_which(store):
    with store.locked(), pytest.raises(StoreError, match=f"another run .process {os.getpid()}. works in"):
        Store(store.folder).locked().__enter__()
    with store.locked():
        pass


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot write into"), Store(tmp_path / "file" / "run").locked():
        pass


@pytest.mark.parametrize("content", ["{", "[1]"])
def test_a_corrupt_plan_is_told(store, content):
    store.write_plan({"a": 1})
    assert store.read_plan() == {"a": 1}
    (store.folder / "plan.json").write_text(content)
    with pytest.raises(StoreError, match="is corrupt"):
        store.read_plan()


def test_a_folder_without_a_plan_is_no_run(store):
    with pytest.raises(StoreError, match="no run in"):
        store.read_plan()


def test_a_label_too_long_for_a_folder_ends_in_a_digest(store):
    labels = [f"a[{','.join(f'setting{i}={value}' for i in range(40))}]" for value in (1, 2)]
    names = [store.adapter_path("0" * 64, label, "ann").parent.name for label in labels]
    assert names[0] != names[1]
    assert all(len(name) < 140 for name in names)
    store.adapter_path("0" * 64, labels[0], "ann").parent.mkdir(parents=True)
