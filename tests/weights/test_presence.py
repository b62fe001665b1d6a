"""What is missing of checkpoints is told all at once, with sizes as far as they are known."""

import json

import pytest

from pvbench.errors import WeightsError
from pvbench.weights.presence import CLIP_WORDS, SCHEDULE, Parts, Wanted, find_whole, lacking_of_model, size_in_words

PARTS = Parts(("transformer", "vae"), {"tokenizer": CLIP_WORDS, "scheduler": SCHEDULE})
HUNYUAN = "hunyuanvideo-community/HunyuanVideo"
BYTES = 4_000_000


@pytest.fixture(autouse=True)
def weights(tmp_path, monkeypatch):
    monkeypatch.setenv("PVBENCH_WEIGHTS", str(tmp_path / "weights"))
    return tmp_path / "weights"


def write(folder, *names, content=b"{}"):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def shards_of(folder, count, there, **more):
    """A network of so many shards of 4 MB, of which some are there."""
    names = [f"diffusion_pytorch_model-{i:05}-of-{count:05}.safetensors" for i in range(1, count + 1)]
    write(folder, "config.json")
    write(folder, *(names[i - 1] for i in there), content=b"0" * BYTES)
    told = {"metadata": {"total_size": count * BYTES}, "weight_map": {f"w{i}": name for i, name in enumerate(names)}}
    (folder / "diffusion_pytorch_model.safetensors.index.json").write_text(json.dumps({**told, **more}))
    return names


def whole(folder):
    shards_of(folder / "transformer", 3, (1, 2, 3))
    write(folder, "vae/config.json", "vae/diffusion_pytorch_model.safetensors", "scheduler/scheduler_config.json")
    return write(folder, "tokenizer/vocab.json", "tokenizer/merges.txt")


def told(*wanted):
    with pytest.raises(WeightsError) as refused:
        find_whole(wanted)
    return str(refused.value)


def test_a_whole_folder_is_found(tmp_path):
    folder = whole(tmp_path / "mine")
    assert find_whole([Wanted("here", str(folder), PARTS, HUNYUAN)]) == {"here": folder}


def test_every_file_that_a_folder_lacks_is_named_with_its_size_and_its_publisher(weights):
    folder = whole(weights / HUNYUAN)
    names = shards_of(folder / "transformer", 3, (1, 2, 3))
    for name in (f"transformer/{names[0]}", f"transformer/{names[2]}", "tokenizer/merges.txt",
                 "scheduler/scheduler_config.json", "vae/diffusion_pytorch_model.safetensors"):  # fmt: skip
        (folder / name).unlink()
    text = told(Wanted("profile 'p' [backbone] base", HUNYUAN, PARTS, HUNYUAN))
    head, *lines = text.splitlines()
    assert head.startswith(f"profile 'p' [backbone] base: {folder} is not whole; it is published at https://hugging")
    assert "(41.9 GB in all; Tencent Hunyuan Community: not in the EU" in head
    assert f"hf download {HUNYUAN} --local-dir {folder}. It lacks:" in head
    assert lines == [
        f"  transformer/: {names[0]} and {names[2]}, 2 of 3 shards (about 8 MB)",
        "  vae/: diffusion_pytorch_model.safetensors (about 986 MB)",
        "  tokenizer/: merges.txt, or tokenizer.json (size not known)",
        "  scheduler/: scheduler_config.json (size not known)",
    ]


def test_a_part_that_is_not_there_at_all_is_told_with_its_published_size(tmp_path):
    folder = write(tmp_path / "mine", "vae/config.json", "vae/diffusion_pytorch_model.safetensors")
    lines = told(Wanted("here", str(folder), PARTS, HUNYUAN)).splitlines()
    assert f"fetch the missing files from where it came, for one https://huggingface.co/{HUNYUAN} (41.9 GB" in lines[0]
    assert lines[1] == "  transformer/: config.json and diffusion_pytorch_model.safetensors (about 25.6 GB)"
    assert "  tokenizer/: vocab.json and merges.txt, or tokenizer.json (size not known)" in lines


def test_all_checkpoints_that_are_nowhere_or_not_whole_are_told_at_once(tmp_path):
    write(tmp_path / "mine", "vae/config.json")
    text = told(
        Wanted("one", HUNYUAN, PARTS, HUNYUAN),
        Wanted("two", str(tmp_path / "mine"), PARTS),
        Wanted("three", "no/where", PARTS),
    )
    assert f"one: there is no '{HUNYUAN}'" in text
    assert "two: " in text
    assert "fetch the missing files from where it came. It lacks" in text
    assert "three: there is no 'no/where'" in text


def test_a_file_stands_for_a_folder_only_where_it_may(tmp_path):
    path = write(tmp_path, "one.safetensors") / "one.safetensors"
    assert find_whole([Wanted("here", str(path), PARTS, HUNYUAN, file=True)]) == {"here": path}
    assert "here: " in told(Wanted("here", str(path), PARTS, HUNYUAN))
    assert "is a file; expected a folder in diffusers' layout" in told(Wanted("here", str(path), PARTS, HUNYUAN))


def test_sizes_of_shards_are_said_as_far_as_the_index_does(tmp_path):
    names = shards_of(tmp_path, 2, (1,), metadata={})
    assert lacking_of_model(tmp_path, "model", 9.0) == f"{names[1]}, 1 of 2 shards (size not known)"
    (tmp_path / names[0]).unlink()
    assert lacking_of_model(tmp_path, "model", 9.0).endswith("2 of 2 shards (about 9 GB)")
    assert lacking_of_model(tmp_path, "model").endswith("2 of 2 shards (size not known)")


def test_an_index_that_is_damaged_is_left_to_what_reads_it(tmp_path):
    shards_of(tmp_path, 2, (1, 2), weight_map={})
    assert not lacking_of_model(tmp_path, "model")


def test_sizes_are_said_in_gigabytes_or_megabytes():
    assert [size_in_words(size) for size in (25.65, 1.0, 0.986, None)] == [
        "about 25.6 GB", "about 1 GB", "about 986 MB", "size not known",
    ]  # fmt: skip
