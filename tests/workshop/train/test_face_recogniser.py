"""What face recognisers are trained on: blurs beyond recognition, wiped features, attacks, traits of people."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from pvbench.errors import PvbenchError
from pvbench.features.face import CROP, TEMPLATE
from pvbench.features.mini.face_networks import PlainRecogniser
from pvbench.world import vocabulary
from workshop import dataset
from workshop.train import face_recogniser
from workshop.train.loop import Place


def test_a_strong_blur_keeps_the_mean_and_takes_the_features():
    """A Gaussian of at least two final pixels leaves less than 1 % of a wave of four pixels' power."""
    x = torch.arange(48)
    wave = torch.cos(2 * torch.pi * x / 6.0)  # four pixels of the 32-pixel crop are six of the 48-pixel one
    images = wave.expand(3, 3, 48, 48).clone() + 0.25
    blurred = face_recogniser.strong_blur(images, np.random.default_rng(0))
    inner = blurred[..., 12:36, 12:36]
    assert float((inner - 0.25).abs().max()) < 0.1
    assert CROP == 32


def test_a_strong_blur_leaves_flat_images_alone():
    images = torch.full((2, 3, 48, 48), 0.3)
    assert torch.allclose(face_recogniser.strong_blur(images, np.random.default_rng(1)), images, atol=1e-5)


def test_wiping_smears_eyes_or_mouth_and_leaves_the_rest():
    images = torch.rand(64, 3, 48, 48, generator=torch.Generator().manual_seed(0)) * 2 - 1
    wiped = face_recogniser.wiped(images, np.random.default_rng(2))

    def kept(rows):
        """Share of the detail that is left in some rows, by image."""
        return (wiped[:, :, rows, 16:32].std(dim=(1, 2, 3)) / images[:, :, rows, 16:32].std(dim=(1, 2, 3))).numpy()

    eyes, mouth, crown = kept(slice(18, 25)), kept(slice(33, 40)), kept(slice(0, 4))
    assert ((eyes < 0.5) | (mouth < 0.5)).all()
    assert 0.2 < (eyes < mouth).mean() < 0.6
    assert crown.mean() > 0.8


def portraits(count, frames=2):
    """A shard of grey portraits of people 0, 0, 1, 1, ... with random traits."""
    rng = np.random.default_rng(0)
    marks: Any = np.tile(np.array(TEMPLATE, np.float32) / 112 * 30 + 17, (count, frames, 1, 1))
    people = np.arange(count) // 2
    return dataset.Shard(
        frames=np.full((count, frames, 64, 64, 3), 128, np.uint8),
        landmarks=marks,
        yaw=np.zeros((count, frames), np.float32),
        person=people.astype(np.int32),
        labels=np.zeros((count, len(vocabulary.LABELS)), np.int8),
        traits=(rng.normal(size=(count // 2, 5)) * 3 + 7).astype(np.float32)[people],
        parts=np.zeros((count, frames, 64, 64), np.uint8),
    )


def test_recognisers_learn_from_crops_people_and_standardised_traits(tmp_path, monkeypatch):
    halves = [portraits(8), portraits(8)]
    monkeypatch.setattr(dataset, "shards", lambda root, pool, kind: iter(halves if kind == "portrait" else []))
    place = Place(tmp_path, tmp_path, torch.device("cpu"), 1)
    crops, people, traits = face_recogniser._crop_source(place, "train-a")
    assert crops.shape == (32, 3, 48, 48)
    assert crops.dtype == torch.uint8
    assert people.tolist() == [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3] * 2
    assert torch.equal(traits[people == 1][:4], traits[people == 1][:1].expand(4, -1))
    assert torch.allclose(traits.mean(dim=0), torch.zeros(5), atol=1e-5)
    assert torch.allclose(traits.std(dim=0), torch.ones(5), atol=1e-5)


def test_a_recogniser_without_portraits_is_told_how_to_make_them(tmp_path):
    place = Place(tmp_path, tmp_path, torch.device("cpu"), 1)
    with pytest.raises(PvbenchError, match="python -m workshop dataset --pool train-b --kind portrait"):
        face_recogniser._crop_source(place, "train-b")


@pytest.mark.parametrize("role", ["reward", "scoring"])
def test_a_recogniser_is_trained_saved_and_measured(tmp_path, monkeypatch, role):
    shown = {"portrait": portraits(8), "video": portraits(8), "photo": portraits(8, frames=1)}
    monkeypatch.setattr(dataset, "shards", lambda root, pool, kind: iter([shown[kind]]))
    monkeypatch.setattr(dataset, "load", lambda root, pool, kind, samples=None: shown[kind])
    place = Place(tmp_path, tmp_path, torch.device("cpu"), 1)
    plan = replace(face_recogniser.RECOGNISER_PLAN, steps=2, batch=32, every=1)
    face_recogniser.train_recogniser(place, role, plan)
    folder = tmp_path / f"face_recogniser_{role}"
    assert {path.name for path in folder.iterdir()} == {"card.json", "config.json", "model.safetensors"}
    card = json.loads((folder / "card.json").read_text())
    assert 0 <= card["quality_on_held_out_people"]["auc"] <= 1
    steps = [json.loads(line) for line in (tmp_path / f"face_recogniser_{role}.log.jsonl").read_text().splitlines()]
    assert steps[0]["total"] > steps[0]["named"] > 0
    assert steps[0]["traits"] > 0


def test_an_attack_moves_a_face_towards_others_by_no_more_than_it_may():
    torch.manual_seed(0)
    model = PlainRecogniser()
    images = torch.rand(6, 3, CROP, CROP) * 2 - 1
    goal = functional.normalize(torch.randn(1, 128), dim=-1)
    classes = torch.cat([goal, goal])  # the last class is nobody, and no goal

    def likeness(pictures):
        with torch.no_grad():
            return model.eval()(pictures) @ goal[0]

    attacked = face_recogniser.attacked(model, images, classes, np.random.default_rng(0))
    assert model.training
    assert not attacked.requires_grad
    assert (likeness(attacked) > likeness(images)).all()
    moved = (attacked - images).square().mean(dim=(1, 2, 3)).sqrt()
    assert (moved <= face_recogniser._ATTACK).all()
    assert moved.min() < 0.5 * moved.max()  # some hardly, some a lot
    assert all(parameter.grad is None for parameter in model.parameters())
