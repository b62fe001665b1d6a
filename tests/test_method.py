"""The method interface: settings and adapters."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pytest
import torch
from example_inputs import make_identity
from safetensors.torch import load_file

from pvbench.digest import stable_seed
from pvbench.errors import MethodError, SettingError, StoreError
from pvbench.identity import load_identity
from pvbench.method import (
    Adapter,
    added,
    in_sampling_alone,
    keyed,
    load_adapter,
    request_for,
    sampling_only,
    save_adapter,
    settings_from,
    tuned_with,
)
from pvbench.prompt import Prompt


@dataclass(frozen=True)
class Settings:
    scr: bool = True
    rank: int = 16
    span: float = 0.25
    model: Literal["t2i", "t2v"] = "t2v"
    sizes: tuple[int, ...] = (1, 2)
    token: str = "sks"

    def __post_init__(self):
        if self.rank < 1:
            raise SettingError(f"rank is {self.rank}; expected at least 1")


@dataclass(frozen=True)
class Grown(Settings):
    late: float = added(0.5)


def test_a_setting_that_came_later_leaves_the_keys_of_what_was_made_before():
    assert keyed(Grown()) == keyed(Settings())
    assert keyed(Grown(late=0.25)) == {**keyed(Settings()), "late": 0.25}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, Settings()),
        ({"scr": "off", "rank": "4", "span": "1", "model": "t2i"}, Settings(scr=False, rank=4, span=1.0, model="t2i")),
        ({"scr": False, "rank": 4, "span": 1, "sizes": [3]}, Settings(scr=False, rank=4, span=1.0, sizes=(3,))),
        ({"scr": "Yes", "sizes": "4+5+6", "token": "zwx"}, Settings(sizes=(4, 5, 6), token="zwx")),
    ],
)
def test_texts_and_toml_values_become_settings(values, expected):
    assert settings_from(Settings, values) == expected


def test_numbers_for_float_settings_are_floats():
    assert isinstance(settings_from(Settings, {"span": 1}).span, float)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"ranks": 4}, r"unknown setting 'ranks' \(did you mean 'rank'\?\); it takes scr, rank"),
        ({"scr": "maybe"}, "scr is 'maybe'; expected on or off"),
        ({"scr": 1}, "expected on or off"),
        ({"rank": "4.5"}, "rank is '4.5'; expected an integer"),
        ({"rank": 4.0}, "expected an integer"),
        ({"rank": True}, "expected an integer"),
        ({"span": "nan"}, "expected a number"),
        ({"span": "inf"}, "expected a number"),
        ({"model": "t2x"}, "expected one of t2i, t2v"),
        ({"sizes": "1+x"}, "expected a list of integers"),
        ({"token": 3}, "expected a text"),
        ({"rank": 0}, "here: rank is 0; expected at least 1"),
    ],
)
def test_a_wrong_setting_is_told(values, message):
    with pytest.raises(SettingError, match=message) as caught:
        settings_from(Settings, values, "here")
    assert str(caught.value).startswith("here")


def adapter(**info):
    tensors = {"unet.b.lora_A.weight": torch.arange(6.0).reshape(2, 3), "unet.a.lora_B.weight": torch.ones(1)}
    return Adapter(tensors, (0.75, 1.0), {"loss": 0.5, "steps": 3, "name": "x", **info})


def test_an_adapter_comes_back_as_it_was(tmp_path):
    save_adapter(tmp_path / "a.safetensors", adapter())
    back = load_adapter(tmp_path / "a.safetensors")
    assert (back.span, back.info) == ((0.75, 1.0), {"loss": 0.5, "steps": 3, "name": "x"})
    assert set(back.tensors) == set(adapter().tensors)
    assert all(torch.equal(back.tensors[name], tensor) for name, tensor in adapter().tensors.items())


def test_the_same_adapter_gives_the_same_bytes(tmp_path):
    save_adapter(tmp_path / "one.safetensors", adapter())
    turned = adapter()
    save_adapter(
        tmp_path / "other.safetensors",
        Adapter(dict(reversed(turned.tensors.items())), turned.span, dict(reversed(turned.info.items()))),
    )
    assert (tmp_path / "one.safetensors").read_bytes() == (tmp_path / "other.safetensors").read_bytes()


def test_an_adapter_file_is_plain_safetensors(tmp_path):
    save_adapter(tmp_path / "a.safetensors", adapter())
    assert set(load_file(tmp_path / "a.safetensors")) == set(adapter().tensors)


def test_transposed_and_tuned_tensors_are_saved_by_value(tmp_path):
    weight = torch.nn.Parameter(torch.arange(6.0).reshape(2, 3))
    save_adapter(tmp_path / "a.safetensors", Adapter({"w": weight.T}))
    np.testing.assert_array_equal(
        load_adapter(tmp_path / "a.safetensors").tensors["w"].numpy(), weight.detach().numpy().T
    )


@pytest.mark.parametrize("span", [(0.5, 0.5), (-0.1, 1.0), (0.0, 1.1), (0.8, 0.2)])
def test_a_span_is_a_part_of_the_steps(span):
    with pytest.raises(MethodError, match="span"):
        Adapter({}, span)


def test_a_corrupt_adapter_is_told(tmp_path):
    path = tmp_path / "a.safetensors"
    save_adapter(path, adapter())
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(StoreError, match=r"cannot be read.*delete it"):
        load_adapter(path)


def test_a_foreign_file_is_no_adapter(tmp_path):
    from safetensors.torch import save_file

    save_file({"w": torch.ones(1)}, tmp_path / "a.safetensors")
    with pytest.raises(StoreError, match="was not written by pvbench"):
        load_adapter(tmp_path / "a.safetensors")


def test_the_noise_depends_on_identity_prompt_and_seed_alone(tmp_path):
    ann = load_identity(make_identity(tmp_path, "ann"))
    request = request_for(ann, Prompt("surf", "a <V> surfs"), 2)
    assert request.noise_seed == stable_seed("ann", "surf", 2)
    assert request_for(ann, Prompt("surf", "a <V> surfs at night"), 2).noise_seed == request.noise_seed


def test_a_setting_of_sampling_alone_is_tuned_at_its_default():
    @dataclass(frozen=True)
    class Settings:
        steps: int = 3
        noise: float = sampling_only(0.5)
        named: bool = sampling_only(added(True))

    found = Settings(steps=4, noise=0.1, named=False)
    assert in_sampling_alone(Settings) == {"noise", "named"}
    assert tuned_with(found) == Settings(steps=4)
    assert keyed(found) == {"steps": 4, "noise": 0.1, "named": False}
    assert keyed(tuned_with(found)) == {"steps": 4, "noise": 0.5}
