"""What is added to PersonalVideo: pictures first, ceiling, anchor, finish."""

import numpy as np
import pytest
import torch
from short_contract import ShortContract

from pvbench.errors import SettingError
from pvbench.identity import load_identities
from pvbench.keyword import Keyword, photos_and_captions
from pvbench.method import Adapter, request_for
from pvbench.methods.dreambooth_lora import Photos
from pvbench.methods.personalvideo_plus import PersonalVideoPlus, PersonalVideoPlusSettings, pixel_anchor
from pvbench.pixels import photo_tensor
from pvbench.profile import load_profile
from pvbench.prompt import load_prompts

SIMULATED = load_prompts("mini_simulated")
SHORT = {"steps": 1, "photo_steps": 0, "photo_teacher": "off", "prefixes": 1, "token_steps": 2}


class TestContract(ShortContract):
    method = PersonalVideoPlus
    settings = {  # noqa: RUF012
        "steps": 1, "warm_steps": 1, "photo_steps": 1, "photo_teacher": "on", "centre": "on", "prefixes": 1,
        "token_steps": 2, "targets": "qkv_motion",
    }  # fmt: skip


def test_the_frozen_model_takes_a_step_of_the_shipped_profile():
    """And a finish that is shorter than a step is not a finish: it is refused."""
    profile, ada = load_profile("mini"), load_identities(["ada"])
    steps = profile.sampling.steps
    assert 0.125 * steps == 1
    with pytest.raises(SettingError, match=r"finish is 0\.1, less than one of the profile's 8 steps; set it to 0\.125"):
        PersonalVideoPlus.check(PersonalVideoPlusSettings(finish=0.1, photo_teacher=False), profile, ada, SIMULATED)
    for finish in (0.0, 0.125):
        settings = PersonalVideoPlusSettings(finish=finish, photo_teacher=False)
        PersonalVideoPlus.check(settings, profile, ada, SIMULATED)


def test_it_says_that_it_is_not_the_paper():
    assert "not the paper" in PersonalVideoPlus.summary


def test_it_brings_the_face_nearer_to_the_references_through_a_finish(make, ada):
    losses = []
    settings = {"span": 0.5, "finish": 0.25, "steps": 10, "scr": "off", "pixel_anchor": 0.0, "jitter": 0.0,
                "crop_jitter": 0.0, "rate": 8e-3}  # fmt: skip
    method = make("personalvideo_plus", **{**SHORT, **settings})
    method.tune(ada, SIMULATED, seed=0, progress=lambda step, total, found: losses.append(found.get("identity")))
    seen = [loss for loss in losses if loss is not None]
    # One prefix and no jitter: the same face again and again, so the loss has to fall.
    assert np.mean(seen[-3:]) < np.mean(seen[:3]) - 0.02


def test_the_anchor_lets_the_face_alone_become_lighter_or_darker():
    flat = torch.full((1, 3, 16, 16), 0.2)
    tinted = flat * torch.tensor([1.0, 0.0, -1.0])[:, None, None]
    grain = flat * (torch.arange(16) % 2 * 2.0 - 1)
    on_the_face, elsewhere = torch.zeros(1, 1, 16, 16), torch.ones(1, 1, 16, 16)
    assert float(pixel_anchor(flat, on_the_face)) < 1e-9
    assert float(pixel_anchor(flat, elsewhere)) == pytest.approx(0.04)
    assert float(pixel_anchor(tinted, on_the_face)) == pytest.approx(0.08 / 3)
    assert float(pixel_anchor(grain, on_the_face)) > 0.01


def test_likeness_above_the_ceiling_earns_nothing(make, ada, monkeypatch):
    method = make("personalvideo_plus", ceiling=0.4, scr="off", pixel_anchor=0.0, **SHORT)
    reward, _ = method.rewards()
    reference = reward.reference(ada.references(), 64, 64)
    prefix = method._pool("video", ada.class_noun, Keyword(), SIMULATED, 0)[0]
    lost = torch.tensor([0.7, 0.6, 0.5, 0.1])
    monkeypatch.setattr(type(reward), "__call__", lambda *_: lost)
    loss, told = method.loss(prefix, reference, torch.Generator().manual_seed(0))
    # Of cosines 0.3, 0.4, 0.5 and 0.9 the first alone lies below 0.4; what is told is the loss itself.
    assert float(loss) == pytest.approx(0.1 / 4)
    assert told["identity"] == pytest.approx(1.9 / 4)


def test_videos_go_on_from_what_pictures_taught(make, short_backbone, ada):
    """The adapter of the warm steps moves into the video model as it is, and all steps are counted as one tuning."""
    told, backbone = [], short_backbone
    method = make("personalvideo_plus", token="none", scr="off", **{**SHORT, "warm_steps": 3})
    method.tune(ada, SIMULATED, seed=0, progress=lambda step, total, found: told.append((step, total)))
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]
    generator = torch.Generator().manual_seed(0)
    for parameter in backbone.add_lora(4, 4.0, "qkv", generator, side="image"):
        parameter.data.normal_(0, 0.5, generator=generator)
    values = backbone.lora_values("image")
    backbone.add_lora(4, 4.0, "qkv", generator, values)
    moved = backbone.lora_values()
    backbone.reset()
    assert moved.keys() == values.keys()
    assert all(torch.equal(moved[name], values[name]) for name in values)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"span": 0.25, "finish": 0.25, "photo_teacher": False}, r"finish is 0\.25.*below span, 0\.25"),
        ({"ceiling": 0.0}, r"ceiling is 0\.0; expected a cosine"),
        ({"warm_rate": 0.0}, "warm_rate must be positive"),
        ({"photo_rate": 0.0}, "photo_rate must be positive"),
        ({"photo_steps": -1}, "photo_steps.*cannot be negative"),
        ({"photo_steps": 0}, "photo_teacher needs photo_steps and prefixes above 0; set these, or photo_teacher=off"),
        ({"finish": 0.125}, "photo_teacher and finish end a video differently"),
        ({"prefixes": 0}, "photo_teacher needs photo_steps and prefixes"),
        ({"crop_jitter": -1.0}, "crop_jitter.*cannot be negative"),
        ({"pixel_anchor": -2.0}, "pixel_anchor.*cannot be negative"),
        ({"scr_weight": -1.0}, "scr_weight.*cannot be negative"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(SettingError, match=message):
        PersonalVideoPlusSettings(**settings)


@pytest.mark.parametrize("side", ["video", "image"])
def test_what_is_rewarded_is_centred(make, ada, monkeypatch, side):
    """A shift of a whole channel, added to what the tuned model makes, is gone before it is decoded."""
    method = make("personalvideo_plus", token="none", finish=0.0, centre="on", **SHORT)
    prefix = method._prefix(side, ada.class_noun, Keyword(), SIMULATED, 0, 0)
    shift = torch.zeros_like(prefix.ending)
    shift[:, 3] = 0.7
    monkeypatch.setattr(method, "_end", lambda given: given.ending + shift)
    decoded = []

    def through(latent, numbers, score, side):
        decoded.append(latent)
        return latent.sum()

    monkeypatch.setattr(method.backbone, "through_pixels", through)
    method.loss(prefix, None, torch.Generator().manual_seed(0))
    torch.testing.assert_close(decoded[0], prefix.ending)


def test_photos_come_first_and_the_rewards_go_on_from_them(make, short_backbone, ada, monkeypatch):
    """The adapter of these steps is where the next stage begins, and all steps are one tuning."""
    told, begun, backbone = [], [], short_backbone
    method = make("personalvideo_plus", token="none", photo_steps=2, warm_steps=1, steps=1, prefixes=1, scr="off")
    add_lora = backbone.add_lora

    def seen(rank, alpha, targets, generator, values=None, side="video"):
        begun.append((side, values))
        return add_lora(rank, alpha, targets, generator, values, side)

    monkeypatch.setattr(backbone, "add_lora", seen)
    method.tune(ada, SIMULATED, seed=0, progress=lambda step, total, found: told.append((step, total)))
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]
    # Of the photos; then, for pictures and for videos, of the teacher and of what is tuned.
    assert [side for side, _ in begun] == ["image", "image", "image", "video", "video"]
    (_, nothing), (_, taught), (_, values), (_, again), (_, tuned) = begun
    assert nothing is None
    assert all(torch.equal(one[name], values[name]) for one in (taught, again) for name in values)
    assert any(not torch.equal(tuned[name], values[name]) for name in values)
    assert max(float(value.abs().max()) for name, value in values.items() if "lora_B" in name) > 1e-3


def test_the_photos_are_reconstructed_better_than_by_the_untuned_model(make, short_backbone, ada):
    backbone = short_backbone
    method = make("personalvideo_plus", photo_steps=20, photo_rate=4e-3)
    photos, captions = photos_and_captions(ada, 0)
    latents = backbone.encode_images(photo_tensor(photos, 64, 64, backbone.device))
    words = [backbone.encode(Keyword().render(caption, ada.class_noun)) for caption in captions]

    def error():
        with torch.no_grad():
            return float(backbone.errors(latents, words, torch.Generator().manual_seed(1)).mean())

    backbone.reset()
    untuned = error()
    values = method.first_values(ada, Keyword(), torch.Generator().manual_seed(0), lambda *_: None)
    assert error() == untuned
    backbone.add_lora(16, 16.0, "qkv", torch.Generator().manual_seed(0), values, "image")
    assert error() < 0.97 * untuned


def test_the_teacher_is_the_frozen_model_or_what_the_photos_made_of_it(make, short_backbone, ada):
    """Up to the adapter's first step both are the frozen model; afterwards the photos' adapter works, and then goes."""
    backbone, found = short_backbone, {}
    backbone.reset()
    backbone.add_lora(4, 4.0, "qkv", torch.Generator().manual_seed(0), side="image")
    drawn = torch.Generator().manual_seed(1)
    values = {name: torch.randn(one.shape, generator=drawn) / 10 for name, one in backbone.lora_values("image").items()}
    backbone.reset()
    for taught in ("off", "on"):
        method = make("personalvideo_plus", token="none", rank=4, photo_steps=1, photo_teacher=taught, prefixes=1)
        with method.teacher(values, "video"):
            found[taught] = method._pool("video", ada.class_noun, Keyword(), SIMULATED, 0)[0]
        assert not backbone.lora_values("video")
        assert method._pools is None
    torch.testing.assert_close(found["on"].latent, found["off"].latent)
    assert float((found["on"].ending - found["off"].ending).abs().max()) > 1e-2
    plain = make("personalvideo", token="none", prefixes=1)
    frozen = plain._pool("video", ada.class_noun, Keyword(), SIMULATED, 0)[0]
    torch.testing.assert_close(found["off"].ending, frozen.ending)


def test_a_teacher_leaves_when_something_fails(make, short_backbone):
    backbone = short_backbone
    backbone.reset()
    backbone.add_lora(4, 4.0, "qkv", torch.Generator().manual_seed(0))
    values = backbone.lora_values()
    backbone.reset()
    method = make("personalvideo_plus", rank=4, photo_steps=1, prefixes=1)
    with pytest.raises(RuntimeError, match="stopped"), method.teacher(values, "video"):
        assert backbone.lora_values()
        raise RuntimeError("stopped")
    assert not backbone.lora_values()


@pytest.mark.parametrize("centre", [False, True])
def test_videos_are_centred_where_that_is_asked_for(make, ada, monkeypatch, centre):
    method, asked = make("personalvideo_plus", centre=centre), []
    monkeypatch.setattr(method.backbone, "sample", lambda *_, **named: asked.append(named["centre"]))
    request = request_for(ada, SIMULATED.prompts[0], 0)
    method.sampled("a woman", request, Adapter({}, (0.75, 1.0)), Keyword())
    assert asked == [centre]


def test_photos_are_shown_in_the_mirror_too(short_backbone, ada):
    photos = Photos.of(ada, 2, Keyword(), short_backbone)
    assert len(photos.latents) == len(photos.words) == 4
    images = photo_tensor(ada.references()[:2], 64, 64, short_backbone.device)
    torch.testing.assert_close(photos.latents[2:], short_backbone.encode_images(images.flip(-1)))


def test_without_photo_steps_nothing_is_drawn_before_the_first_stage(make, ada):
    method, generator = make("personalvideo_plus", **SHORT), torch.Generator().manual_seed(0)
    before = generator.get_state()
    assert method.first_values(ada, Keyword(), generator, lambda *_: None) == {}
    assert torch.equal(generator.get_state(), before)
