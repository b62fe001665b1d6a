"""What the CLIP trainings show their models: faces from close by, pictures that are worn less than a recogniser's."""

import numpy as np
import pytest
import torch

from pvbench.features.mini.clip_networks import ClipModel
from pvbench.weights import weights_folder
from pvbench.world.judge import sentence_embeddings, sentences
from pvbench.world.vocabulary import LABELS
from workshop.dataset import Shard
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


def people_with(beards):
    """A shard of empty pictures of people who wear these beards, as many of each as is said."""
    n = sum(beards)
    labels = np.zeros((n, len(LABELS)), np.int8)
    labels[:, list(LABELS).index("beard")] = np.repeat(np.arange(len(LABELS["beard"])), beards)
    nothing = np.zeros((n, 1), np.float32)
    return Shard(
        frames=np.zeros((n, 1, 4, 4, 3), np.uint8),
        landmarks=np.zeros((n, 1, 5, 2), np.float32),
        yaw=nothing,
        person=np.arange(n, dtype=np.int32),
        labels=labels,
        traits=nothing,
        parts=np.zeros((n, 1, 4, 4), np.uint8),
    )


def test_beards_are_drawn_oftener_than_they_are_worn():
    shard = people_with([75, 8, 4, 5, 8])
    chance = clip._odds(shard, clip._TAUGHT["scoring"])
    drawn = np.bincount(shard.label("beard"), weights=chance)
    assert drawn == pytest.approx([0.4, 0.15, 0.15, 0.15, 0.15])


def test_a_beard_that_no_picture_has_leaves_the_others_their_chances():
    chance = clip._odds(people_with([6, 2, 0, 1, 1]), clip._TAUGHT["scoring"])
    assert chance.sum() == pytest.approx(1)
    assert chance[:6] == pytest.approx(np.full(6, 0.4 / 0.85 / 6))


def test_who_is_not_taught_beards_draws_pictures_as_they_come():
    assert clip._odds(people_with([75, 8, 4, 5, 8]), clip._TAUGHT["reward"]) == pytest.approx(np.full(100, 0.01))


def test_a_beard_is_named_as_often_as_it_is_met_and_not_as_it_is_drawn():
    """A model that sees nothing does best with the shares of the world: the correction makes them those drawn."""
    met = torch.as_tensor(clip._beard_shares(), dtype=torch.float32)
    drawn = (met.log() + clip._more_often("beard")).softmax(dim=-1)
    np.testing.assert_allclose(drawn, clip._drawn_shares(), rtol=1e-5)
    assert clip._beard_shares() == pytest.approx([0.75, 0.08, 0.04, 0.045, 0.085])
    assert not clip._more_often("glasses").any()


@pytest.fixture(scope="module")
def scoring():
    return ClipModel.load(weights_folder("mini"), "scoring", torch.device("cpu"))


@pytest.mark.parametrize("name", clip._TAUGHT["scoring"])
def test_a_picture_that_looks_like_another_value_costs_in_every_label(scoring, name):
    taught = {name: 1.0}
    truth = rows(**{name: LABELS[name][:3]})

    def cost(values):
        found = {
            "image_features": torch.from_numpy(sentence_embeddings(scoring, name)[values]),
            "logit_scale": scoring.model.logit_scale.exp(),
        }
        rng = np.random.default_rng(0)
        with torch.no_grad():
            return float(clip._attributes(scoring.model, found, truth, scoring.tokenizer, taught, rng))

    assert cost([0, 1, 2]) + 1 < cost([1, 2, 0])
