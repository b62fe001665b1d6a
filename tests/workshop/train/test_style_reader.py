"""The reader of styles: what a step sees, what its card measures, the same network from the same command."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from pvbench.backbones.patch_autoencoder import PatchAutoencoder
from pvbench.features.mini.style_network import StyleReader
from pvbench.weights import weights_folder
from pvbench.world.style_reader import KINDS
from workshop.train import style_reader as training
from workshop.train.loop import Place, Plan

COLOURS = {"photo": 60, "video": 90, "cartoon": 160, "sketch": 220}


def pictures(kind, count=6):
    times = 3 if kind == "video" else 1
    frames = np.full((count, times, 64, 64, 3), COLOURS[kind], np.uint8)
    if kind == "video":
        frames[:, 1:] += np.arange(1, times, dtype=np.uint8)[:, None, None, None]
    return SimpleNamespace(frames=frames)


@pytest.fixture
def place(tmp_path, monkeypatch):
    asked = []

    def load(root, pool, kind):
        asked.append((pool, kind))
        return pictures(kind)

    monkeypatch.setattr(training.dataset, "load", load)
    return Place(tmp_path / "data", tmp_path / "out", torch.device("cpu"), 1, weights_folder("mini")), asked


def test_it_sees_nobody_whom_a_styles_lora_was_trained_on(place):
    where, asked = place
    training._pictures(where, "train-b")
    assert asked == [("train-b", "photo"), ("train-b", "video"), ("train-b", "cartoon"), ("train-b", "sketch")]


def test_photos_and_moments_of_videos_take_turns(place):
    found = training._pictures(place[0], "train-b")
    assert found["photo"].shape == (12, 64, 64, 3)
    # The moment wanders from video to video: the first frame of the first one, the second of the next.
    assert found["photo"][:6, 0, 0, 0].tolist() == [60, 90, 60, 91, 60, 92]
    assert list(found) == list(KINDS)


def test_the_same_command_makes_the_same_network_and_its_card(place, tmp_path):
    where, _ = place
    plan = Plan(steps=2, batch=8, rate=1e-3, precision="float32")

    def train(out):
        fresh = Place(where.data, tmp_path / out, where.device, 1)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(training, "load_vae", lambda _: Same())
            training.train_style_reader(fresh, plan)
        folder = fresh.out / "style_reader"
        return (folder / "model.safetensors").read_bytes(), json.loads((folder / "card.json").read_text())

    first, card = train("one")
    again, _ = train("two")
    assert first == again
    assert set(card["quality_on_held_out_people"]) == {name + way for name in KINDS for way in ("", "_decoded")}


class Same(PatchAutoencoder):
    """An autoencoder that loses nothing."""

    def encode(self, x, return_dict=True):
        return SimpleNamespace(latent_dist=SimpleNamespace(mean=x))

    def decode(self, z, return_dict=True, generator=None):
        return SimpleNamespace(sample=z)


def test_right_answers_are_counted_kind_by_kind_and_through_the_autoencoder():
    class Bright(StyleReader):
        """Says sketch of what is bright, and photo of everything else."""

        def forward(self, images):
            bright = images.mean(dim=(1, 2, 3)) > 0.5
            return torch.stack([~bright, torch.zeros_like(bright), bright], dim=1).float()

    class Dark(Same):
        def decode(self, z, return_dict=True, generator=None):
            return super().decode(z - 1)

    held = {"photo": pictures("photo").frames[:, 0], "cartoon": pictures("cartoon").frames[:, 0],
            "sketch": pictures("sketch").frames[:, 0]}  # fmt: skip
    found = training.measure_style_reader(Bright(len(KINDS)), held, Dark(), torch.device("cpu"))
    assert found == {
        "photo": 1.0, "photo_decoded": 1.0, "cartoon": 0.0, "cartoon_decoded": 0.0, "sketch": 1.0, "sketch_decoded": 0.0
    }  # fmt: skip
