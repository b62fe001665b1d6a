"""Weights that other programs keep are used where they lie, and only if they are the publisher's."""

import hashlib
import zipfile
from pathlib import Path

import pytest

from pvbench.errors import WeightsError
from pvbench.weights import published as module
from pvbench.weights.caches import cached_folder
from pvbench.weights.published import Published, fetch, fetchable, located

CONTENT = b"weights"
SHA = hashlib.sha256(CONTENT).hexdigest()
PACK = {f"insightface/pack/{name}.onnx": SHA for name in ("det", "rec")}
CLIP = {"clip/ViT-B-32.pt": SHA}


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PVBENCH_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.delenv("PVBENCH_OFFLINE", raising=False)
    return tmp_path / "home"


def write(folder, *names, content=CONTENT):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(content)
    return folder


def entry_of(files, part, url="https://nowhere.invalid/file", **more):
    return Published(Path(next(iter(files))).parent.name, part, files, url, "research only", 12, **more)


@pytest.mark.parametrize("below", ["pack", "pack/pack"])
def test_a_pack_is_taken_from_insightfaces_folder_also_one_level_deeper(home, below):
    folder = write(home / ".insightface" / "models" / below, "det.onnx", "rec.onnx", "age.onnx")
    entry = entry_of(PACK, "face", zipped=True)
    assert located(entry) == fetch(entry) == folder


def test_clip_is_taken_from_its_own_programs_cache(home):
    folder = write(home / ".cache" / "clip", "ViT-B-32.pt")
    assert located(entry_of(CLIP, "clip")) == folder / "ViT-B-32.pt"


def test_the_weights_folder_comes_first(home, tmp_path):
    write(home / ".cache" / "clip", "ViT-B-32.pt")
    own = write(tmp_path / "weights" / "clip", "ViT-B-32.pt")
    assert located(entry_of(CLIP, "clip")) == own / "ViT-B-32.pt"


def test_what_lies_in_a_cache_is_not_fetched(home, monkeypatch):
    monkeypatch.setattr(module, "PUBLISHED", {"pack": entry_of(PACK, "face", zipped=True)})
    monkeypatch.setattr(module.dataclasses, "replace", lambda entry, part: entry)
    assert fetchable("pack", "face")
    folder = write(home / ".insightface" / "models" / "pack", "det.onnx", "rec.onnx")
    assert not fetchable("pack", "face")
    (folder / "rec.onnx").unlink()
    assert fetchable("pack", "face")


def test_another_file_in_a_cache_is_named_and_not_used(home, tmp_path):
    folder = write(home / ".cache" / "clip", "ViT-B-32.pt", content=b"another network")
    with pytest.raises(WeightsError) as refused:
        located(entry_of(CLIP, "clip"))
    assert f"Not used: {folder / 'ViT-B-32.pt'}, whose sha256 is not the publisher's" in str(refused.value)
    (tmp_path / "published.pt").write_bytes(CONTENT)
    fetched = fetch(entry_of(CLIP, "clip", url=(tmp_path / "published.pt").as_uri()))
    assert fetched == tmp_path / "weights" / "clip" / "ViT-B-32.pt"


def test_half_a_pack_in_a_cache_is_not_used(home, tmp_path):
    write(home / ".insightface" / "models" / "pack", "det.onnx")
    with pytest.raises(WeightsError, match=r"det\.onnx and .*rec\.onnx are missing"):
        located(entry_of(PACK, "face"))
    with zipfile.ZipFile(tmp_path / "pack.zip", "w") as file:
        for name in ("det.onnx", "rec.onnx"):
            file.writestr(name, CONTENT)
    entry = entry_of(PACK, "face", url=(tmp_path / "pack.zip").as_uri(), zipped=True)
    assert fetch(entry) == tmp_path / "weights" / "insightface" / "pack"


def test_other_weights_have_no_cache(home):
    write(home / ".cache" / "clip", "raft.pth")
    write(home / ".insightface" / "models" / "pack", "raft.pth")
    assert cached_folder({"raft/raft.pth": SHA}) is None
    assert cached_folder({"insightface/raft.pth": SHA}) is None
