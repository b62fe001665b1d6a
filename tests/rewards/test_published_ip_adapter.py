"""IP-Adapter's adapter for faces: its file in both forms, what is cut out of a photo, refusals."""

import dataclasses

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from pvbench.errors import ProfileError, WeightsError
from pvbench.features.face import Faces
from pvbench.features.published.insightface_faces import InsightFaces
from pvbench.method import METHODS
from pvbench.profile import load_profile
from pvbench.reward import load_photo_prompt, reward_signature
from pvbench.rewards.published_ip_adapter import load_ip_adapter

CPU, SIDE = torch.device("cpu"), 32
TENSORS = {
    "image_proj.latents": torch.ones(1, 4, 8),
    "ip_adapter.1.to_k_ip.weight": torch.ones(8, 8),
    "ip_adapter.1.to_v_ip.weight": torch.zeros(8, 8),
}


class Boxed(InsightFaces):
    """Finds one face, in the box that it is given."""

    def __init__(self, *box):
        self.box = np.array([box], np.float32)

    def reference(self, images):
        count = len(images)
        points, one = np.zeros((count, 5, 2), np.float32), np.zeros((count, 1), np.float32)
        return Faces(points, np.ones(count, np.float32), one, self.box.repeat(count, axis=0))


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    from pvbench.torchvision_shim import load_torchvision

    load_torchvision()
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("encoder")
    config = CLIPVisionConfig(
        hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2, image_size=SIDE,
        patch_size=16, projection_dim=8,
    )  # fmt: skip
    CLIPVisionModelWithProjection(config).save_pretrained(folder)
    return folder


@pytest.fixture
def adapter(tmp_path):
    save_file(TENSORS, tmp_path / "ip.safetensors")
    return tmp_path / "ip.safetensors"


def test_both_published_forms_are_read(encoder, adapter, tmp_path):
    nested = {"image_proj": {"latents": TENSORS["image_proj.latents"]}, "ip_adapter": {}}
    for key in ("1.to_k_ip.weight", "1.to_v_ip.weight"):
        nested["ip_adapter"][key] = TENSORS[f"ip_adapter.{key}"]
    torch.save(nested, tmp_path / "ip.bin")
    for path in (adapter, tmp_path / "ip.bin"):
        prompt = load_ip_adapter(Boxed(0, 0, 9, 9), path, encoder, CPU)
        assert prompt.tensors.keys() == TENSORS.keys()
        assert all(torch.equal(prompt.tensors[key], value) for key, value in TENSORS.items())
        assert prompt.lora == {}


def test_a_square_with_room_around_the_box_is_cut_out(encoder, adapter):
    """A box of 20 x 16 pixels becomes a square of 30, which here is all that is bright."""
    photo = np.zeros((100, 100, 3), np.uint8)
    photo[35:65, 25:55] = 255
    prompt = load_ip_adapter(Boxed(30, 42, 50, 58), adapter, encoder, CPU)
    seen = prompt.seen(photo, np.zeros((5, 2), np.float32), prompt.faces.box[0])
    assert seen.shape == (3, SIDE, SIDE)
    assert (seen == seen[:, :1, :1]).all()
    edge = load_ip_adapter(Boxed(0, 0, 20, 20), adapter, encoder, CPU)
    cut = edge.seen(photo, np.zeros((5, 2), np.float32), edge.faces.box[0])
    grey = (128 / 255 - 0.48145466) / 0.26862954
    assert float(cut[0, 0, 0]) == pytest.approx(grey, abs=1e-3)
    assert float(cut[0, -1, -1]) == pytest.approx(-0.48145466 / 0.26862954, abs=1e-3)


def test_each_photo_becomes_states(encoder, adapter):
    prompt = load_ip_adapter(Boxed(10, 10, 50, 50), adapter, encoder, CPU)
    photos = [np.full((80, 80, 3), value, np.uint8) for value in (20, 200)]
    found = prompt.states(photos, 64, 64)
    assert found.shape == (2, 5, 16)
    assert not torch.equal(found[0], found[1])
    assert prompt.empty().shape == (1, 5, 16)


@pytest.mark.parametrize("damage", ["missing", "text", "code", "another"])
def test_what_is_no_ip_adapter_is_told(encoder, tmp_path, damage):
    path = tmp_path / "ip.bin"
    if damage == "text":
        path.write_text("version https://git-lfs.github.com/spec/v1")
    elif damage == "code":
        torch.save({"image_proj": print}, path)
    elif damage == "another":
        torch.save({"unet.conv_in.weight": torch.zeros(1)}, path)
    with pytest.raises(WeightsError, match=r"ip-adapter-plus-face_sd15\.safetensors") as told:
        load_ip_adapter(Boxed(0, 0, 9, 9), path, encoder, CPU)
    assert str(path) in str(told.value)


def test_the_row_has_a_line_of_its_own_in_the_profile(tmp_path, monkeypatch):
    monkeypatch.setenv("PVBENCH_WEIGHTS", str(tmp_path))
    profile = load_profile("animatediff")
    assert METHODS.get("ip_adapter_face").asks(None) >= {"reward.ip_adapter", "image_prompt"}
    with pytest.raises(WeightsError, match=r"ip-adapter-plus-face_sd15\.safetensors of h94/IP-Adapter .* on hugg"):
        reward_signature(profile, "ip_adapter")
    without = dataclasses.replace(profile, rewards={**profile.rewards, "ip_adapter_file": 3})
    with pytest.raises(ProfileError, match="ip_adapter_file is 3; expected the path of"):
        load_photo_prompt(without, "cpu", "ip_adapter")
