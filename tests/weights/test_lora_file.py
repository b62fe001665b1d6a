"""A LoRA's file is found, and refused where it is of a kind that is not read."""

import pytest
import torch
from safetensors.torch import save_file

from pvbench.errors import WeightsError
from pvbench.weights.lora_file import NAME, lora_file

LORA = {"unet.a.lora_A.weight": torch.ones(2, 2), "unet.a.lora_B.weight": torch.ones(2, 2)}
KOHYA = {"lora_unet_a.lora_down.weight": torch.ones(2, 2), "lora_unet_a.alpha": torch.ones(())}


@pytest.mark.parametrize("tensors", [LORA, KOHYA])
def test_a_file_and_a_folder_with_one_are_found(tmp_path, monkeypatch, tensors):
    monkeypatch.setenv("PVBENCH_WEIGHTS", str(tmp_path / "weights"))
    folder = tmp_path / "weights" / "mine"
    folder.mkdir(parents=True)
    save_file(tensors, folder / NAME)
    assert lora_file(str(folder / NAME), "x") == folder / NAME
    assert lora_file("mine", "x") == folder / NAME


@pytest.mark.parametrize(
    ("key", "kind"), [("lora_unet_a.hada_w1_a", "LoHa"), ("lora_unet_a.lokr_w1", "LoKr"), ("a.dora_scale", "DoRA")]
)
def test_adapters_of_other_kinds_are_refused_with_their_kind(tmp_path, key, kind):
    save_file({**KOHYA, key: torch.ones(2)}, tmp_path / "a.safetensors")
    with pytest.raises(WeightsError, match=rf"styles.ink\]: .*a.safetensors: the file holds {key!r}: it is {kind}, no"):
        lora_file(str(tmp_path / "a.safetensors"), "[styles.ink]")


@pytest.mark.parametrize("name", ["a.ckpt", "a.pt", "a.bin", "a"])
def test_what_could_hold_code_is_refused(tmp_path, name):
    (tmp_path / name).write_bytes(b"\x80\x04")
    with pytest.raises(WeightsError, match=r"is not a safetensors file; a .* can hold code: save"):
        lora_file(str(tmp_path / name), "x")


def test_what_is_missing_damaged_or_no_lora_is_told(tmp_path):
    with pytest.raises(WeightsError, match="there is no"):
        lora_file(str(tmp_path / "nowhere.safetensors"), "x")
    (tmp_path / "a.safetensors").write_bytes(b"damaged")
    with pytest.raises(WeightsError, match="cannot be read as safetensors"):
        lora_file(str(tmp_path / "a.safetensors"), "x")
    save_file({"unet.conv.weight": torch.ones(2)}, tmp_path / "b.safetensors")
    with pytest.raises(WeightsError, match=r"holds no LoRA tensors; it begins with 'unet.conv.weight'"):
        lora_file(str(tmp_path / "b.safetensors"), "x")
    with pytest.raises(WeightsError, match=f"has no {NAME}; name the LoRA's file itself"):
        lora_file(str(tmp_path), "x")
