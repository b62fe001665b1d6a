"""The photo prompt's training: which photo stands beside a sample, names that diffusers reads, a loss that falls."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from pvbench.rewards.face_adapter import ADAPTER, LORA
from pvbench.weights import weights_folder
from pvbench.world.vocabulary import LABELS
from workshop.dataset import Shard
from workshop.train import face_adapter, image_encoder
from workshop.train.face_adapter import AdapterInTraining, Prompted, Resampler, own_looks, partners
from workshop.train.loop import Place, Plan
from workshop.train.motion import load_sides
from workshop.train.samples import Samples

PEOPLE = np.array([0, 0, 0, 0, 1, 1, 1, 1], np.int32)


def test_every_second_sample_of_a_person_has_the_own_look():
    assert own_looks(PEOPLE).tolist() == [0, 2, 4, 6]
    assert own_looks(PEOPLE[[0, 4, 1, 5, 2]]).tolist() == [0, 1, 4]


def test_beside_a_photo_stands_another_one_of_the_person_with_the_same_look():
    kept = own_looks(PEOPLE)
    assert partners(PEOPLE[kept], PEOPLE, kept).tolist() == [2, 0, 6, 4]


def test_beside_a_video_stands_a_photo_of_the_person():
    found = partners(np.array([1, 0, 1], np.int32), PEOPLE)
    assert [int(PEOPLE[i]) for i in found] == [1, 0, 1]
    assert set(found.tolist()) <= {0, 2, 4, 6}


def test_a_person_with_one_photo_stands_beside_it():
    assert partners(PEOPLE[:1], PEOPLE[:1], np.array([0])).tolist() == [0]
    with pytest.raises(ValueError, match="person 7 has no photo"):
        partners(np.array([7], np.int32), PEOPLE)


def test_the_resampler_is_the_one_that_diffusers_reads():
    from diffusers import UNet2DConditionModel

    torch.manual_seed(0)
    ours = Resampler().eval()
    state = dict(ours.state_dict())
    converted = UNet2DConditionModel._convert_ip_adapter_image_proj_to_diffusers
    theirs = converted(torch.nn.Module(), state, low_cpu_mem_usage=False).eval()
    states = torch.randn(3, 65, 128)
    with torch.no_grad():
        torch.testing.assert_close(theirs(states), ours(states), atol=2e-5, rtol=1e-4)


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A data set of eight pictures of two people, and a place that begins from the shipped backbone."""
    rng = np.random.default_rng(0)
    labels = np.stack([rng.integers(len(values), size=8) for values in LABELS.values()], axis=1).astype(np.int8)
    points = np.array([[24, 28], [40, 28], [32, 36], [27, 44], [37, 44]], np.float32)

    def shard(frames):
        shape = (8, frames, 64, 64)
        return Shard(
            frames=rng.integers(0, 255, (*shape, 3)).astype(np.uint8),
            landmarks=np.broadcast_to(points, (8, frames, 5, 2)).copy(),
            yaw=np.zeros((8, frames), np.float32),
            person=PEOPLE,
            labels=labels,
            traits=np.zeros((8, 3), np.float32),
            parts=np.zeros(shape, np.uint8),
        )

    made = {"photo": shard(1), "video": shard(8)}
    monkeypatch.setattr(face_adapter.dataset, "load", lambda root, pool, kind, samples=None: made[kind])
    return Place(tmp_path / "data", tmp_path / "out", torch.device("cpu"), 1, weights_folder("mini"))


def test_three_stages_end_in_files_that_the_backbone_takes(small, short_backbone):
    plan = Plan(steps=2, batch=2, rate=1e-3, precision="float32")
    place = Place(small.data, small.out, small.device, 1, small.start)
    image_encoder.train_image_encoder(place, plan)
    face_adapter.train_pictures(place, plan)
    face_adapter.train_videos(place, plan)
    folder = small.out / "face_adapter"
    card = json.loads((folder / "card.json").read_text())
    assert set(card["quality_on_held_out_people"]) == {"own_photo", "another_photo", "no_photo"}
    assert (small.out / "face_image_encoder" / "config.json").is_file()
    before = load_file(small.out / "face_adapter_pictures" / ADAPTER)
    after = load_file(folder / ADAPTER)
    assert {key for key in after if not torch.equal(before[key], after[key])}
    short_backbone.reset()
    short_backbone.load_image_prompt(after, 0.8)
    short_backbone.load_lora(load_file(folder / LORA), "photo prompt")
    short_backbone.reset()


def test_keys_and_values_begin_as_those_of_the_text(small):
    _, _, unet = load_sides(small)
    model = AdapterInTraining(unet)
    tensors = model.tensors()
    layer = unet.get_submodule("down_blocks.0.attentions.0.transformer_blocks.0.attn2")
    torch.testing.assert_close(tensors["ip_adapter.1.to_k_ip.weight"].float(), layer.to_k.weight, atol=1e-3, rtol=1e-2)
    other = AdapterInTraining(unet)
    other.take(tensors)
    assert all(torch.equal(other.tensors()[key], value) for key, value in tensors.items())


def test_some_samples_go_without_photo_and_some_without_text():
    few = Samples(
        torch.zeros(4, 1, 1, 2, 2),
        torch.ones(4, 1, 1, 2, 2),
        torch.ones(4, 2, 5, dtype=torch.int16),
        torch.zeros(5, dtype=torch.int16),
    )
    data = Prompted(few, torch.ones(3, 1, 1), torch.zeros(4, dtype=torch.int64), torch.zeros(1, 1, 1))
    _, _, words, states = data.draw(4000, torch.Generator().manual_seed(0))
    blind, silent = (states == 0).all(dim=(1, 2)), (words == 0).all(dim=1)
    assert blind.float().mean() == pytest.approx(0.10, abs=0.02)
    assert silent.float().mean() == pytest.approx(0.10, abs=0.02)
    assert (blind & silent).float().mean() == pytest.approx(0.05, abs=0.015)
