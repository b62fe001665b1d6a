"""Published weights are found, fetched once, and refused where they are not what their publisher gives out."""

import hashlib
import zipfile

import pytest

from pvbench.errors import WeightsError
from pvbench.evaluator import evaluator_loaders
from pvbench.profile import load_profile
from pvbench.weights.digests import weights_root
from pvbench.weights.published import PUBLISHED, Published, fetch, located, published

CONTENT = b"weights"
SHA = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("PVBENCH_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.delenv("PVBENCH_OFFLINE", raising=False)
    return tmp_path


def plain(place, content=CONTENT):
    (place / "published.pth").write_bytes(content)
    return Published("net", "flow", {"raft/net.pth": SHA}, (place / "published.pth").as_uri(), "free", 12)


def packed(place):
    with zipfile.ZipFile(place / "pack.zip", "w") as file:
        for name in ("a.onnx", "b.onnx", "c.onnx"):
            file.writestr(f"pack/{name}", CONTENT)
    files = {"faces/pack/a.onnx": SHA, "faces/pack/b.onnx": SHA}
    return Published("pack", "face", files, (place / "pack.zip").as_uri(), "research only", 1970, zipped=True)


def test_a_missing_file_is_fetched_once(place):
    entry = plain(place)
    path = fetch(entry)
    assert path == place / "weights" / "raft" / "net.pth"
    assert path.read_bytes() == CONTENT
    (place / "published.pth").unlink()
    assert fetch(entry) == path


def test_a_packs_files_come_out_of_the_archive_without_its_folder(place):
    folder = fetch(packed(place))
    assert folder == place / "weights" / "faces" / "pack"
    assert sorted(path.name for path in folder.iterdir()) == ["a.onnx", "b.onnx"]


def test_what_is_not_the_publishers_is_not_kept(place):
    with pytest.raises(WeightsError, match=r"expected .*not kept"):
        fetch(plain(place, b"something else"))
    assert not list((place / "weights").rglob("*.*"))


def test_a_file_whose_sha256_nobody_knows_is_taken_where_it_lies_and_never_fetched(place):
    entry = Published("net", "hps", {"hps/net.pt": ""}, plain(place).url, "free", 12)
    with pytest.raises(WeightsError, match=r"hps/net.pt is missing.*not fetched: pvbench does not know its sha256"):
        fetch(entry)
    path = place / "weights" / "hps" / "net.pt"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"anything")
    assert fetch(entry) == located(entry) == path


def test_a_file_with_another_sha256_is_refused(place):
    entry = plain(place)
    path = fetch(entry)
    path.write_bytes(b"replaced")
    with pytest.raises(WeightsError, match=r"has sha256 .*its publisher's has"):
        located(entry)


def test_offline_the_message_says_which_file_goes_where_and_where_it_is_published(place, monkeypatch):
    monkeypatch.setenv("PVBENCH_OFFLINE", "1")
    with pytest.raises(WeightsError) as refused:
        fetch(plain(place))
    text = str(refused.value)
    assert str(place / "weights" / "raft" / "net.pth") in text
    assert "published at file://" in text
    assert "(12 MB)" in text
    assert "--weights raft=PATH" in text


def test_a_missing_archive_is_told_with_its_size(place):
    with pytest.raises(WeightsError, match=r"\(1\.97 GB, a zip archive that holds them\)"):
        located(packed(place))


def test_a_reward_calls_the_option_by_its_line(place):
    with pytest.raises(WeightsError, match=r"give your own with --weights rewards\.hps=PATH"):
        located(plain(place), option="rewards.hps")


def test_where_nothing_can_be_fetched_the_message_says_the_same(place):
    entry = plain(place)
    (place / "published.pth").unlink()
    with pytest.raises(WeightsError, match=r"is missing.*fetching it failed"):
        fetch(entry)


def test_a_pack_that_was_unpacked_one_folder_too_deep_is_explained(place):
    nested = place / "weights" / "faces" / "pack" / "pack"
    nested.mkdir(parents=True)
    (nested / "a.onnx").write_bytes(CONTENT)
    with pytest.raises(WeightsError, match=r"move the .onnx files up"):
        located(packed(place))


def test_an_unknown_name_is_told_with_the_known_ones():
    with pytest.raises(WeightsError, match="did you mean 'antelopev2'"):
        published("antelope2", "face")
    with pytest.raises(WeightsError, match="no published weights 'antelopev2' for flow"):
        published("antelopev2", "flow")


@pytest.mark.parametrize("entry", PUBLISHED.values(), ids=lambda entry: entry.name)
def test_every_entry_is_whole(entry):
    assert entry.url.startswith("https://")
    assert entry.licence
    assert entry.megabytes > 0
    loaders = evaluator_loaders(load_profile("animatediff"))
    # What no evaluator takes is a method's, such as a segmenter.
    on_demand = entry.part not in loaders or all(group.on_demand for group in loaders[entry.part].groups)
    assert all(len(sha) == (0 if on_demand else 64) for sha in entry.files.values())


def test_the_folder_is_the_users_or_the_caches(monkeypatch):
    monkeypatch.setenv("PVBENCH_WEIGHTS", "/somewhere")
    assert str(weights_root()) == "/somewhere"
    monkeypatch.delenv("PVBENCH_WEIGHTS")
    assert str(weights_root()).endswith(".cache/pvbench/weights")
