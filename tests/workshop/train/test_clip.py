"""What the CLIP trainings show their models: faces from close by, pictures that are worn less than a recogniser's."""

import numpy as np
import pytest
import torch

from pvbench.world.judge import sentences
from pvbench.world.vocabulary import LABELS
from workshop.train import clip
from workshop.train.clip import _nearer
from workshop.train.disturb import disturb

SIDE = 64


def spots(n):
    """Black pictures with a white spot of 4 pixels around (20, 40), where the landmarks lie."""
    images = torch.full((n, 3, SIDE, SIDE), -1.0)
    images[:, :, 38:42, 18:22] = 1.0
    return images, torch.tensor([20.0, 40.0]).expand(n, 5, 2)


def test_zooming_in_keeps_the_face_where_it_is_and_makes_it_larger():
    images, marks = spots(3)
    found = (_nearer(images, marks, np.array([1.0, 2.0, 3.5])) + 1) / 2
    weight = found[:, 0] / found[:, 0].sum(dim=(1, 2), keepdim=True)
    axis = torch.arange(SIDE) + 0.5
    assert torch.allclose((weight.sum(dim=1) * axis).sum(dim=1), torch.tensor(20.0), atol=0.2)
    assert torch.allclose((weight.sum(dim=2) * axis).sum(dim=1), torch.tensor(40.0), atol=0.2)
    area = found[:, 0].sum(dim=(1, 2))
    torch.testing.assert_close(area, torch.tensor([16.0, 64.0, 196.0]), rtol=0.05, atol=0)
    torch.testing.assert_close(found[0] * 2 - 1, images[0], rtol=0, atol=1e-4)


def test_pictures_that_are_not_worn_keep_their_colours():
    images = torch.full((200, 3, 16, 16), -0.6)
    images[:, 0] = 0.8

    def greyest(worn):
        found = disturb(images, np.random.default_rng(1), 0.0, worn).mean(dim=(2, 3))
        return float((found[:, 0] - found[:, 1]).min())

    assert greyest(0.0) > 1.2
    assert greyest(1.0) < 0.3


def rows(**values):
    """Labels of three pictures, all zero but those that are named."""
    labels = np.zeros((3, len(LABELS)), np.int8)
    for name, of_rows in values.items():
        labels[:, list(LABELS).index(name)] = [LABELS[name].index(value) for value in of_rows]
    return list(labels)


def test_what_a_cap_hides_and_what_an_action_moves_is_not_asked_for():
    labels = rows(cap=["", "red", ""], action=["still", "still", "smile"])
    assert clip._shown(labels, "hair").tolist() == [0, 2]
    assert clip._shown(labels, "hair_colour").tolist() == [0, 2]
    assert clip._shown(labels, "expression").tolist() == [0, 1]
    assert clip._shown(labels, "glasses").tolist() == [0, 1, 2]


@pytest.mark.parametrize("name", ["scene", "colour", "expression", "hair", "hair_colour", "beard", "glasses"])
def test_every_value_of_a_label_has_a_sentence_of_its_own(name):
    found = sentences(name)
    assert len(set(found)) == len(found) == len(LABELS[name])
    assert all(text.startswith("a person ") for text in found)


def test_only_the_scoring_clip_is_taught_looks():
    looks = {"hair", "hair_colour", "beard", "glasses"}
    assert looks <= set(clip._TAUGHT["scoring"])
    assert not looks & set(clip._TAUGHT["reward"])
    for taught in clip._TAUGHT.values():
        assert sum(taught.values()) == pytest.approx(1)
