"""DreamBooth reconstructs the photos, is called what it is, and notices when it diverged."""

import numpy as np
import pytest
import torch
from short_contract import ShortContract

from pvbench.errors import MethodError, SettingError
from pvbench.identity import load_identities
from pvbench.method import request_for
from pvbench.methods import dreambooth_lora
from pvbench.methods.dreambooth_lora import DreamBoothLoRA, DreamBoothSettings
from pvbench.prompt import load_prompts
from pvbench.video import Video

EVALUATION = load_prompts("mini_evaluation").prompts
SIMULATED = load_prompts("mini_simulated")
STILL = Video(np.zeros((8, 64, 64, 3), np.uint8), 8.0)


class TestContract(ShortContract):
    method = DreamBoothLoRA
    settings = {"steps": 2, "token": "inverted", "token_steps": 2}  # noqa: RUF012


def test_prior_preservation_is_off_as_in_diffusers_and_has_a_hundred_pictures_when_on():
    assert DreamBoothSettings().prior_weight == 0
    assert DreamBoothSettings().prior_images == 100


def test_it_reconstructs_better_as_it_goes(make, ada):
    losses = []
    method = make("dreambooth_lora", steps=30, batch=8, rate=5e-3, rank=16, token="rare")
    adapter = method.tune(
        ada, SIMULATED, seed=0, progress=lambda step, total, found: losses.append(found["reconstruction"])
    )
    assert np.mean(losses[-8:]) < np.mean(losses[:8])
    # The same noise before and after says it without chance.
    assert adapter.info["photo_error"] < 0.9
    assert adapter.info["attempts"] == 1


def test_photos_are_described_in_their_own_words(make, ada, quiet, monkeypatch):
    method, asked = make("dreambooth_lora", steps=1, references=2, token="rare"), []
    encode = method.backbone.encode
    monkeypatch.setattr(method.backbone, "encode", lambda text, *rest: (asked.append(text), encode(text, *rest))[1])
    method.tune(ada, SIMULATED, seed=0, progress=quiet)
    captions = [text for text in asked if "sks" in text]
    assert "a sks woman in a blue T-shirt in an office" in captions
    assert "a sks woman in a white jacket with a smiling face in a garden" in captions
    assert not any("green turtleneck" in text and "library" in text for text in captions)


def test_words_are_encoded_without_what_another_row_left_in_the_text_encoder(make, ada, monkeypatch):
    """A LoRA of another trainer may have a part for it, and stays until the next row takes it out."""
    method = make("dreambooth_lora", steps=1, references=1, batch=1, token="rare")
    backbone = method.backbone
    plain = backbone.encode("a sks woman").tensors["states"]
    layer = backbone.pipe.text_encoder.encoder.layers[0].self_attn.q_proj
    key = "text_encoder.text_model.encoder.layers.0.self_attn.q_proj"
    down, up = torch.ones(1, layer.in_features), torch.ones(layer.out_features, 1)
    backbone.load_foreign_lora({f"{key}.lora_A.weight": down, f"{key}.lora_B.weight": up})
    assert not torch.equal(backbone.encode("a sks woman").tensors["states"], plain)
    held, material = [], DreamBoothLoRA._material
    monkeypatch.setattr(DreamBoothLoRA, "_material", lambda self, *args: held.append(material(self, *args)) or held[0])
    method.tune(ada, SIMULATED, seed=0, progress=lambda *_: None)
    assert torch.equal(held[0].class_text.tensors["states"], backbone.encode("a woman").tensors["states"])


@pytest.mark.parametrize("references", [1, 3, 5])
def test_so_many_photos_are_reconstructed(make, ada, references):
    material = make("dreambooth_lora", references=references)._material(ada, dreambooth_lora.Keyword("sks"), 0)
    assert len(material.photos.latents) == len(material.photos.words) == 2 * references


def test_a_tuning_that_diverged_is_done_again_at_half_the_rate_and_says_so(make, ada, quiet, monkeypatch):
    rates, trial = [], DreamBoothLoRA._trial

    def diverging(self, material, keyword, texts, untuned, seed, rate, report):
        rates.append(rate)
        found = trial(self, material, keyword, texts, untuned, seed, rate, report)
        return found if rate < 2e-3 else dreambooth_lora._Trial(found.tensors, 3.0, 1.0)

    monkeypatch.setattr(DreamBoothLoRA, "_trial", diverging)
    adapter = make("dreambooth_lora", steps=1, rate=4e-3, token="rare").tune(ada, SIMULATED, seed=0, progress=quiet)
    assert rates == [4e-3, 2e-3, 1e-3]
    assert adapter.info["rate"] == 1e-3
    assert adapter.info["attempts"] == 3


def test_a_rate_far_too_high_diverges_and_is_an_error_where_halving_does_not_help(make, ada, quiet):
    with pytest.raises(MethodError, match=r"'ada': the tuning diverged at rate 1000 .* down to 250; set a lower rate"):
        make("dreambooth_lora", steps=3, rate=1e3, token="rare").tune(ada, SIMULATED, seed=0, progress=quiet)


@pytest.mark.parametrize(
    ("photos", "prompts", "diverged"),
    [(0.5, 1.0, False), (1.2, 1.0, True), (0.5, 0.7, True), (float("nan"), 1.0, True), (0.5, float("nan"), True)],
)
def test_photos_and_prompts_both_tell_a_divergence(photos, prompts, diverged):
    assert dreambooth_lora._Trial({}, photos, prompts).diverged is diverged


def test_pictures_of_a_class_noun_are_drawn_once(make, ada, monkeypatch):
    """And the next identity of the class gets the adapter that it would have got alone."""
    settings = {"steps": 1, "prior_weight": 1.0, "prior_images": 2, "token": "rare"}
    alone = make("dreambooth_lora", **settings).tune(ada, SIMULATED, seed=0, progress=lambda *_: None)
    method, drawn = make("dreambooth_lora", **settings), []
    prior = DreamBoothLoRA._drawn
    monkeypatch.setattr(DreamBoothLoRA, "_drawn", lambda self, *args: (drawn.append(args), prior(self, *args))[1])
    # Two prompts before and after the tuning show whether it diverged.
    for person, expected in ((load_identities(["chloe"])[0], 2 + 4), (ada, 4)):
        drawn.clear()
        adapter = method.tune(person, SIMULATED, seed=0, progress=lambda *_: None)
        assert len(drawn) == expected
    for key, value in alone.tensors.items():
        assert torch.equal(value, adapter.tensors[key]), key


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"prior_weight": -0.5}, r"prior_weight cannot be negative; it is -0\.5"),
        ({"prior_weight": 1.0, "prior_images": 0}, "prior_images must be positive"),
        ({"rate": 0.0}, "rate must be positive"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(SettingError, match=message):
        DreamBoothSettings(**settings)


def test_its_videos_hold_the_keyword_in_every_step(make, ada, quiet, monkeypatch):
    method, asked = make("dreambooth_lora", steps=1, token="rare"), []
    adapter = method.tune(ada, SIMULATED, seed=0, progress=quiet)
    monkeypatch.setattr(
        method.backbone, "sample", lambda text, seed, span, tokens: (asked.append((text, span)), STILL)[1]
    )
    list(method.generate(ada, adapter, [request_for(ada, EVALUATION[1], 0)]))
    assert asked == [(EVALUATION[1].render("woman", "sks"), (0.0, 1.0))]
