"""ID-Animator: contract, what a photo changes, nothing that stays behind; with tensors that are not trained."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from short_contract import ShortContract

from pvbench import photo_method
from pvbench.errors import FaceError, SettingError
from pvbench.identity import load_identities
from pvbench.method import request_for
from pvbench.methods.id_animator import IdAnimator, IdAnimatorSettings
from pvbench.prompt import load_prompts
from pvbench.reward import PhotoPrompt
from pvbench.rewards.face_adapter import FaceAdapter
from pvbench.variant import missing, parse_variant

PROMPT = load_prompts("mini_evaluation").prompts[0]


class Means(PhotoPrompt):
    """Untrained tensors; a photo is known by its mean colour."""

    def __init__(self, tensors, lora):
        self.tensors, self.lora = tensors, lora

    def states(self, photos, height, width):
        means = torch.tensor(np.array([photo.mean(axis=(0, 1)) for photo in photos]), dtype=torch.float32) / 255
        return means.repeat(1, 43)[:, None, :128].expand(-1, 5, -1).contiguous()

    def empty(self):
        return torch.zeros(1, 5, 128)


@pytest.fixture(scope="module")
def prompt():
    from pvbench.weights import weights_folder
    from workshop.train.face_adapter import AdapterInTraining
    from workshop.train.loop import Place
    from workshop.train.motion import load_sides

    torch.manual_seed(0)
    _, _, unet = load_sides(Place(Path(), Path(), torch.device("cpu"), 1, weights_folder("mini")))
    tensors = {key: value.float() for key, value in AdapterInTraining(unet).tensors().items()}
    layer = "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_q"
    lora = {f"{layer}.lora_A.weight": torch.randn(2, 80) / 9, f"{layer}.lora_B.weight": torch.randn(80, 2) / 9}
    return Means(tensors, lora)


@pytest.fixture(scope="module", autouse=True)
def shipped(prompt):
    """The profile's adapter is the untrained one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(photo_method, "load_photo_prompt", lambda profile, device, role: prompt)
        yield


class TestContract(ShortContract):
    method = IdAnimator

    @pytest.fixture(scope="class")
    @classmethod
    def profile(cls, short_profile):
        return replace(short_profile, rewards={**short_profile.rewards, "image_prompt": "mini_face_adapter"})


@pytest.fixture
def film(short_backbone, short_profile):
    def film(identity, backbone=None, **settings):
        method = IdAnimator(IdAnimatorSettings(**settings), backbone or short_backbone, short_profile)
        return next(method.generate(identity, None, [request_for(identity, PROMPT, 0)])).frames

    return film


@pytest.fixture(scope="module")
def shown(short_backbone, short_profile, ada):
    """What it makes of ada by its defaults."""
    method = IdAnimator(IdAnimatorSettings(), short_backbone, short_profile)
    return next(method.generate(ada, None, [request_for(ada, PROMPT, 0)])).frames


@pytest.fixture(scope="module")
def ben():
    return load_identities(["ben"])[0]


def test_without_scale_it_is_the_untuned_model_byte_for_byte(film, ada, shown, short_backbone):
    short_backbone.reset()
    plain = short_backbone.sample(PROMPT.render("woman"), request_for(ada, PROMPT, 0).noise_seed)
    assert np.array_equal(film(ada, scale=0.0), plain.frames)
    assert not np.array_equal(shown, plain.frames)


def test_nothing_stays_behind_for_the_next_method_or_person(film, ada, ben, shown, short_backbone):
    seed = request_for(ada, PROMPT, 0).noise_seed
    short_backbone.reset()
    before = short_backbone.sample(PROMPT.render("woman"), seed).frames
    film(ben)
    assert np.array_equal(film(ada), shown)
    short_backbone.reset()
    assert np.array_equal(short_backbone.sample(PROMPT.render("woman"), seed).frames, before)


def test_another_photo_makes_another_video(film, ada, ben, shown):
    swapped = replace(ada, images=ben.images)
    assert not np.array_equal(film(swapped), shown)


def test_one_photo_counts_unless_more_are_asked_for(film, ada, shown):
    first = replace(ada, images=ada.images[:1], captions=ada.captions[:1])
    assert np.array_equal(film(first), shown)
    every = film(ada, references=0)
    assert not np.array_equal(every, shown)
    assert np.array_equal(every, film(ada, references=5))


def test_a_larger_scale_changes_more(film, ada):
    plain = film(ada, scale=0.0).astype(float)
    small, large = (np.abs(film(ada, scale=scale) - plain).mean() for scale in (0.3, 1.2))
    assert 0 < small < large


def test_the_lora_takes_part(film, ada, shown, prompt, monkeypatch):
    monkeypatch.setattr(prompt, "lora", {})
    assert not np.array_equal(film(ada), shown)


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"scale": -0.1}, "scale cannot be negative"), ({"scale": 3.0}, "expected 0 to 2"),
     ({"references": -1}, "references cannot be negative")],
)  # fmt: skip
def test_settings_out_of_range_are_told(settings, message):
    with pytest.raises(SettingError, match=message):
        IdAnimatorSettings(**settings)


def test_a_profile_without_such_an_adapter_is_told(short_profile):
    rewards = {role: name for role, name in short_profile.rewards.items() if role != "image_prompt"}
    assert missing(parse_variant("id_animator"), replace(short_profile, rewards=rewards)) == ["reward.image_prompt"]


class TestTheAdapter:
    """Out of an image encoder of transformers' own class."""

    @pytest.fixture(scope="class")
    @classmethod
    def adapter(cls):
        from pvbench.features.mini.face_extractor import load_detector
        from pvbench.weights import weights_folder
        from workshop.train.image_encoder import make_image_encoder

        torch.manual_seed(0)
        detector = load_detector(weights_folder("mini"), torch.device("cpu"))
        return FaceAdapter(detector, make_image_encoder().eval(), {}, {}, 1.0, torch.device("cpu"))

    def test_each_photo_becomes_states(self, adapter, ada):
        states = adapter.states(ada.references(), 64, 64)
        assert states.shape == (5, 65, 128)
        torch.testing.assert_close(adapter.states(ada.references()[1:2], 64, 64), states[1:2], atol=1e-4, rtol=1e-3)
        assert adapter.empty().shape == (1, 65, 128)

    def test_a_photo_without_a_face_is_told(self, adapter, ada):
        with pytest.raises(FaceError, match="reference photo 2 of 2 shows no face"):
            adapter.states([ada.references()[0], np.full((64, 64, 3), 90, np.uint8)], 64, 64)
