"""Networks come out of published folders whole, frozen and as they were written, or not at all."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_models import tiny_autoencoder
from torch import nn

from pvbench.backbones.loading import fingerprints, frozen, load_model, refuse_keys
from pvbench.errors import WeightsError


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A tiny autoencoder in one file, in shards, and as a pickle, and the network itself."""
    torch.manual_seed(0)
    model, folder = tiny_autoencoder(), tmp_path_factory.mktemp("autoencoders")
    model.save_pretrained(folder / "whole")
    model.save_pretrained(folder / "shards", max_shard_size="20KB")
    model.save_pretrained(folder / "pickle", safe_serialization=False)
    return folder, model


@pytest.fixture
def shards(written, tmp_path):
    """A copy of the folder with shards, to be spoilt."""
    return shutil.copytree(written[0] / "shards", tmp_path / "shards")


def load(folder, **options):
    from diffusers import AutoencoderKL

    return load_model(AutoencoderKL, folder, **options)


@pytest.mark.parametrize("form", ["whole", "shards", "pickle"])
def test_a_network_is_as_it_was_written_frozen_and_ready(written, form):
    folder, model = written
    found = load(folder / form)
    state = found.state_dict()
    assert state.keys() == model.state_dict().keys()
    assert all(torch.equal(state[name], value) for name, value in model.state_dict().items())
    assert not found.training
    assert not any(parameter.requires_grad for parameter in found.parameters())


def test_a_network_is_loaded_in_the_precision_that_is_asked_for(written):
    assert {p.dtype for p in load(written[0] / "whole", dtype=torch.bfloat16).parameters()} == {torch.bfloat16}


def test_a_shard_that_lacks_a_tensor_of_the_index_is_refused(shards):
    path = max(shards.glob("*-of-*.safetensors"))
    tensors = load_file(path)
    gone = min(tensors)
    save_file({name: value for name, value in tensors.items() if name != gone}, path, {"format": "pt"})
    with pytest.raises(WeightsError, match=rf"{shards} do not hold what .* lists: .* 1 missing, such as {gone}"):
        load(shards)


def test_a_shard_with_a_tensor_that_the_index_does_not_list_is_refused(shards):
    """By themselves the libraries would not look at it."""
    path = max(shards.glob("*-of-*.safetensors"))
    save_file({**load_file(path), "decoder.more": torch.zeros(2)}, path, {"format": "pt"})
    with pytest.raises(WeightsError, match=r"1 unexpected, such as decoder\.more\. It is damaged, or of another model"):
        load(shards)


def test_a_tensor_in_another_shard_than_the_index_says_is_refused(shards):
    index = next(shards.glob("*.index.json"))
    told = json.loads(index.read_text())
    first, *_, last = sorted(set(told["weight_map"].values()))
    name = next(key for key, shard in told["weight_map"].items() if shard == first)
    told["weight_map"][name] = last
    index.write_text(json.dumps(told))
    with pytest.raises(WeightsError, match=f"1 missing, such as {name}; 1 unexpected, such as {name}"):
        load(shards)


def test_a_damaged_shard_is_named(shards):
    path = max(shards.glob("*-of-*.safetensors"))
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(WeightsError, match=rf"{path} cannot be read as safetensors"):
        load(shards)


def test_nothing_is_refused_where_all_keys_fit_and_each_kind_that_does_not_is_named_with_one_key():
    refuse_keys({"missing": [], "unexpected": []}, "this")
    with pytest.raises(
        WeightsError, match=r"^this: of its tensors, 2 missing, such as a; 1 mismatched, such as c\. It"
    ):
        refuse_keys({"missing": ["a", "b"], "unexpected": [], "mismatched": ["c"]}, "this")


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_a_number_that_is_not_finite_is_refused_with_its_tensor(value):
    layer = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    assert frozen(layer, "here") is layer
    layer[1].bias[1] = value
    with pytest.raises(WeightsError, match=r"here: 1\.bias holds numbers that are not finite"):
        frozen(layer, "here")


def test_fingerprints_know_tensors_under_other_names_shapes_and_orders():
    one, other = torch.arange(60.0).view(6, 10), torch.arange(7.0)
    assert fingerprints([one, other]) == fingerprints([other, one.view(3, 20)])
    assert fingerprints([one, other]) == fingerprints([one.double(), other.half()])


@pytest.mark.parametrize("place", [0, 30, 59])
def test_fingerprints_see_another_value_at_either_end_and_in_the_middle(place):
    one = torch.arange(60.0)
    changed = one.clone()
    changed[place] = -1
    assert fingerprints([one]) != fingerprints([changed])
    assert fingerprints([one]) != fingerprints([one, one])
    assert fingerprints([one]) != fingerprints([one[:-1]])
