"""A style's LoRA: captions that name it, files that diffusers reads, a training that goes on where it stopped."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from pvbench.weights import weights_folder
from pvbench.world.vocabulary import LABELS, STYLES
from workshop.dataset import Shard
from workshop.train import style as training
from workshop.train.loop import Place, Plan
from workshop.train.motion import load_sides
from workshop.train.samples import draw_words


@pytest.fixture
def small(tmp_path, monkeypatch):
    """Eight dark pictures in the place of a style's photos, beside the shipped backbone."""
    rng = np.random.default_rng(0)
    labels = np.stack([rng.integers(len(values), size=8) for values in LABELS.values()], axis=1).astype(np.int8)
    points = np.array([[24, 28], [40, 28], [32, 36], [27, 44], [37, 44]], np.float32)
    shard = Shard(
        frames=rng.integers(0, 40, (8, 1, 64, 64, 3)).astype(np.uint8),
        landmarks=np.broadcast_to(points, (8, 1, 5, 2)).copy(),
        yaw=np.zeros((8, 1), np.float32),
        person=np.arange(8, dtype=np.int32),
        labels=labels,
        traits=np.zeros((8, 3), np.float32),
        parts=np.zeros((8, 1, 64, 64), np.uint8),
    )
    asked = []

    def load(root, pool, kind, samples=None):
        asked.append((pool, kind))
        return shard

    monkeypatch.setattr(training.dataset, "load", load)
    place = Place(tmp_path / "data", tmp_path / "out", torch.device("cpu"), 1, weights_folder("mini"))
    place.out.mkdir()
    return place, asked


@pytest.fixture
def undrawn(monkeypatch):
    """No sheet of samples is drawn while a training is looked at: it costs more than the training."""
    monkeypatch.setattr(training, "sample", lambda *_: torch.zeros(1))
    monkeypatch.setattr(training, "sample_sheet", lambda *_, **__: None)


@pytest.mark.parametrize("style", STYLES)
def test_captions_end_in_the_styles_words(style):
    from transformers import PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast.from_pretrained(weights_folder("mini") / "tokenizer")
    labels = np.zeros((40, len(LABELS)), np.int8)
    plain, ended = (draw_words(tokenizer, labels, 3, 1, ending) for ending in ("", STYLES[style]))
    texts = [tokenizer.decode(row, skip_special_tokens=True) for row in ended.flatten(0, 1)]
    # A caption that fills the text encoder's length loses its end; it has to be rare.
    assert np.mean([text.endswith(STYLES[style]) for text in texts]) > 0.97
    before = [tokenizer.decode(row, skip_special_tokens=True) for row in plain.flatten(0, 1)]
    assert np.mean([text == f"{one} {STYLES[style]}" for text, one in zip(texts, before, strict=True)]) > 0.97


def test_a_short_training_ends_in_a_file_that_diffusers_reads(small, short_backbone):
    place, asked = small
    plan = Plan(steps=12, batch=4, rate=5e-3, precision="float32", average=0.0, warmup=1)
    training.train("sketch", place, plan)
    assert set(asked) == {("train-a", "sketch"), ("held-out", "sketch")}
    folder = place.out / "style_sketch"
    card = json.loads((folder / "card.json").read_text())
    measured = card["quality_on_held_out_people"]
    assert measured["held_out_loss"] < measured["loss_without"]
    assert (card["rank"], card["words"]) == (16, STYLES["sketch"])
    assert (place.out / "style_sketch-000012.png").is_file()

    pipe, tensors = short_backbone.pipe, load_file(folder / training.LORA)
    assert all(key.startswith("unet.") and ".attn" in key for key in tensors)
    pipe.load_lora_weights(folder, adapter_name="style")
    try:
        assert pipe.unet.active_adapters() == ["style"]
        loaded = {name for name, _ in pipe.unet.named_parameters() if ".style." in name}
        assert len(loaded) == len(tensors)
    finally:
        pipe.unload_lora_weights()


def test_a_training_that_was_stopped_ends_as_one_that_was_not(small, undrawn, tmp_path):
    place, _ = small
    whole = Plan(steps=4, batch=2, rate=1e-3, precision="float32", decay=0.0, warmup=1)
    training.train("cartoon", place, whole)
    other = Place(place.data, tmp_path / "other", place.device, 1, place.start)
    training.train("cartoon", other, Plan(steps=2, batch=2, rate=1e-3, precision="float32", decay=0.0, warmup=1))
    training.train("cartoon", other, whole)
    found, expected = (load_file(one.out / "style_cartoon" / training.LORA) for one in (other, place))
    assert all(torch.equal(found[key], value) for key, value in expected.items())


def test_the_backbone_itself_stays_as_it_is(small, undrawn):
    place, _ = small
    _, _, before = load_sides(place)
    kept = {name: value.clone() for name, value in before.state_dict().items()}
    training.train("cartoon", place, Plan(steps=1, batch=2, rate=1e-3, precision="float32"))
    state = torch.load(place.out / "style_cartoon.checkpoint.pt", weights_only=True)["modules"]["unet"]
    assert all("lora_" in name for name in state)
    _, _, after = load_sides(place)
    assert all(torch.equal(kept[name], value) for name, value in after.state_dict().items())
