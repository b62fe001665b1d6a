"""Which files of a checkpoint are read, and digests that are computed once."""

import json

import pytest

from pvbench.errors import WeightsError
from pvbench.weights import digests
from pvbench.weights.digests import digest_of
from pvbench.weights.layout import REPOSITORIES, find_checkpoint, model_files


def folder_of(tmp_path, *names):
    for name in ("config.json", *names):
        (tmp_path / name).write_text("{}")
    return tmp_path


@pytest.mark.parametrize(
    ("names", "chosen", "variant", "safe"),
    [
        (["diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.fp16.safetensors"], 0, None, True),
        (["diffusion_pytorch_model.fp16.safetensors", "diffusion_pytorch_model.bin"], 0, "fp16", True),
        (["model.safetensors", "pytorch_model.bin"], 0, None, True),
        (["pytorch_model.bin"], 0, None, False),
    ],
)
def test_safetensors_come_before_pickles_and_full_precision_before_half(tmp_path, names, chosen, variant, safe):
    found = model_files(folder_of(tmp_path, *names))
    assert [path.name for path in found.weights] == [names[chosen]]
    assert (found.variant, found.safe) == (variant, safe)


def test_shards_are_those_that_the_index_lists(tmp_path):
    folder_of(tmp_path, "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {f"w{i}": f"model-0000{i}-of-00002.safetensors" for i in (1, 2)}}))
    found = model_files(tmp_path)
    assert len(found.weights) == 2
    before = found.digest
    found.weights[1].write_text("other")
    assert model_files(tmp_path).digest != before
    found.weights[1].unlink()
    with pytest.raises(WeightsError, match=r"model-00002-of-00002.safetensors is missing, 1 of 2 shards"):
        model_files(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"weight_map": {"w": "../../etc/passwd"}}', "is not a file beside it"),
        ("{}", "lists no shards"),
        ("[]", "expected a table"),
        ("{", "cannot be read as JSON"),
    ],
)
def test_an_index_that_cannot_be_used_is_refused(tmp_path, content, message):
    folder_of(tmp_path)
    (tmp_path / "model.safetensors.index.json").write_text(content)
    with pytest.raises(WeightsError, match=message):
        model_files(tmp_path)


def test_a_folder_without_configuration_or_tensors_is_refused(tmp_path):
    with pytest.raises(WeightsError, match=r"config\.json is not there"):
        model_files(tmp_path)
    with pytest.raises(WeightsError, match="holds no tensors"):
        model_files(folder_of(tmp_path))


def test_a_path_is_taken_as_it_is_and_a_missing_one_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("PVBENCH_WEIGHTS", str(tmp_path / "weights"))
    assert find_checkpoint(str(tmp_path), "here") == tmp_path
    with pytest.raises(WeightsError, match=r"^here: there is no './nothing': neither .*weights.* is there; give"):
        find_checkpoint("./nothing", "here")


def test_every_repository_has_a_page_and_a_licence():
    assert all(one.url.endswith(name) and one.licence and one.gigabytes > 0 for name, one in REPOSITORIES.items())


def test_the_digest_of_a_large_file_is_kept_while_the_file_stays_as_it_is(tmp_path, monkeypatch):
    monkeypatch.setenv("PVBENCH_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setattr(digests, "_LARGE", 3)
    read, plain = [], digests.file_digest
    monkeypatch.setattr(digests, "file_digest", lambda path: (read.append(path), plain(path))[1])
    path = tmp_path / "large.safetensors"
    path.write_bytes(b"tensors")
    first = digest_of(path)
    digests._digest.cache_clear()
    assert digest_of(path) == first == plain(path)
    assert len(read) == 1
    path.write_bytes(b"tensors of another kind")
    assert digest_of(path) == plain(path) != first
    (note,) = (tmp_path / "weights" / "digests").glob("*.json")
    note.write_text("{")
    digests._digest.cache_clear()
    assert digest_of(path) == plain(path)


def test_a_weights_folder_that_cannot_be_written_costs_time_only(tmp_path, monkeypatch):
    (tmp_path / "weights").write_text("a file")
    monkeypatch.setenv("PVBENCH_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setattr(digests, "_LARGE", 3)
    (tmp_path / "large.safetensors").write_bytes(b"tensors")
    assert len(digest_of(tmp_path / "large.safetensors")) == 64
