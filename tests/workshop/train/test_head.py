"""Training on doubles: what a step is made of, and what is measured on people who look alike."""

import json

import numpy as np
import pytest
import torch

from pvbench.features.face import TEMPLATE
from pvbench.features.mini.head_networks import HeadRecogniser, LookReader, crop_heads
from pvbench.features.mini.part import HEAD_SIDE
from pvbench.world.vocabulary import LABELS
from workshop.dataset import DOUBLES, Shard
from workshop.train import head
from workshop.train.loop import Place, Plan

PLAN = Plan(steps=2, batch=16, rate=1e-3, precision="float32")
VALUES = {name: len(LABELS[name]) for name in head.LOOKS}


def doubles(groups=4, times=2):
    """Pictures of a colour for each person, all with a face in the middle, and labels that the colour does not tell."""
    rng = np.random.default_rng(0)
    people = groups * DOUBLES
    colour = rng.integers(0, 255, (people, 1, 1, 1, 3))
    points = np.array(TEMPLATE, np.float32) * (24 / 112) + 20
    labels = np.stack([rng.integers(len(values), size=people) for values in LABELS.values()], axis=1)
    return Shard(
        frames=np.broadcast_to(colour, (people, times, 64, 64, 3)).astype(np.uint8),
        landmarks=np.broadcast_to(points, (people, times, 5, 2)).astype(np.float32),
        yaw=np.zeros((people, times), np.float32),
        person=np.arange(people, dtype=np.int32),
        labels=labels.astype(np.int8),
        traits=np.zeros((people, 3), np.float32),
        parts=np.zeros((people, times, 64, 64), np.uint8),
    )


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setattr(head.dataset, "load", lambda *_: doubles())
    return Place(tmp_path / "data", tmp_path / "out", torch.device("cpu"), 1)


@pytest.mark.parametrize("train", [head.train_head_recogniser, head.train_look_reader])
def test_the_same_command_makes_the_same_network_and_its_card(place, train, tmp_path):
    train(place, PLAN)
    folder = next(path for path in place.out.iterdir() if path.is_dir())
    first = (folder / "model.safetensors").read_bytes()
    card = json.loads((folder / "card.json").read_text())
    assert "train-b" in card["data"]
    assert card["quality_on_held_out_people"]
    train(Place(place.data, tmp_path / "again", place.device, 1), PLAN)
    assert (tmp_path / "again" / folder.name / "model.safetensors").read_bytes() == first


class Colour(HeadRecogniser):
    """Knows people by their colour alone."""

    def features(self, crops):
        return torch.nn.functional.pad(crops.mean(dim=(2, 3)), (0, 125))


def test_a_double_is_told_from_the_person_where_the_network_sees_the_difference():
    found = head.measure_head_recogniser(Colour(), doubles(), torch.device("cpu"))
    assert {found[f"auc_{kind}"] for kind in ("other_look", "look_alike", "other_skin", "stranger")} == {1.0}
    assert found["same"] == pytest.approx(1, abs=1e-5)
    assert found["look_alike"] < 0.99


def test_one_face_with_two_looks_is_two_people():
    shard = doubles()
    shard.frames[1::DOUBLES] = shard.frames[0::DOUBLES]
    found = head.measure_head_recogniser(Colour(), shard, torch.device("cpu"))
    assert found["other_look"] == pytest.approx(found["same"], abs=1e-5)
    assert found["auc_other_skin"] == 1


def test_what_a_reader_tells_is_counted_label_by_label():
    class Right(LookReader):
        """Says of everybody that the hair is the first style, and is right about nothing else."""

        def forward(self, crops):
            return {
                name: torch.eye(count)[torch.zeros(len(crops), dtype=torch.int64)] for name, count in VALUES.items()
            }

    shard = doubles()
    shard.labels[:] = 1
    shard.labels[:, list(LABELS).index("hair")] = 0
    found = head.measure_look_reader(Right(VALUES), shard, torch.device("cpu"))
    assert found == {"hair": 1.0, "hair_colour": 0.0, "beard": 0.0, "glasses": 0.0}


def test_a_crop_of_a_head_is_wider_than_that_of_a_face():
    image = torch.zeros(1, 3, 64, 64)
    image[..., 12:, :] = 1  # hair ends where row 12 begins
    points = torch.tensor(np.array(TEMPLATE, np.float32) * (24 / 112) + 20)[None]
    crop = crop_heads(image, points)
    assert crop.shape == (1, 3, HEAD_SIDE, HEAD_SIDE)
    assert crop[0, 0, 0].max() < 0.5
    assert crop[0, 0, HEAD_SIDE // 4 :].min() > 0.5
