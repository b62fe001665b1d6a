"""AnimateDiff's sampler: spans of adapters, guidance, noise, and adapters that do not fit."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from pvbench.errors import MethodError
from pvbench.latent_backbone import centred


def test_a_fresh_adapter_leaves_every_video_as_it_is(short_backbone, ada):
    backbone = short_backbone
    backbone.reset()
    before = backbone.sample("a woman on a beach", 5)
    backbone.add_lora(4, 4.0, "qkv", torch.Generator().manual_seed(0))
    after = backbone.sample("a woman on a beach", 5)
    backbone.reset()
    assert before.digest == after.digest


def test_an_adapter_is_silent_before_its_span(short_backbone):
    backbone, generator = short_backbone, torch.Generator().manual_seed(0)
    backbone.reset()
    text = backbone.encode("a man in the snow")
    with torch.no_grad():
        plain = backbone.denoise(backbone.noise(3), text, 0, 3)
        for parameter in backbone.add_lora(4, 4.0, "qkv", generator):
            parameter.data.normal_(0, 0.5)
        with backbone.without_lora():
            silent = backbone.denoise(backbone.noise(3), text, 0, 3)
        loud = backbone.denoise(backbone.noise(3), text, 0, 3)
    backbone.reset()
    assert torch.equal(plain, silent)
    assert not torch.allclose(plain, loud, atol=1e-2)


def test_the_frozen_model_takes_the_grain_off_that_an_adapter_leaves(short_backbone, monkeypatch):
    """Noise of a third of the latent's size goes for the most part, and what it lay on comes back."""
    backbone = short_backbone
    backbone.reset()
    left, clean = {}, backbone.clean
    grain = torch.randn(backbone.latent_shape(), generator=torch.Generator().manual_seed(0))[None] / 3

    def with_grain(*args):
        left["plain"] = clean(*args)
        return left["plain"] + grain

    plain = backbone.sample("a man in the snow", 3, (0.5, 0.75), renew=True)
    monkeypatch.setattr(backbone, "clean", with_grain)
    finished, again = (backbone.sample("a man in the snow", 3, (0.5, 0.75), renew=True) for _ in range(2))
    before = backbone.video(left["plain"] + grain).frames.astype(float) - backbone.video(left["plain"]).frames
    after = finished.frames.astype(float) - plain.frames
    assert finished.digest == again.digest
    assert 0 < np.square(after).mean() < np.square(before).mean() / 3


def test_a_centred_video_is_the_frozen_models_but_for_what_changes_in_places(short_backbone, monkeypatch):
    """Whatever the adapter does, the median of a channel's change is none; the frozen model's own video stays."""
    backbone, text = short_backbone, "a man in the snow"
    backbone.reset()
    latents, video = [], backbone.video
    monkeypatch.setattr(backbone, "video", lambda latent: (latents.append(latent), video(latent))[1])
    backbone.sample(text, 3, (0.5, 1.0))
    backbone.add_lora(4, 4.0, "qkv", torch.Generator().manual_seed(0))
    drawn = torch.Generator().manual_seed(1)
    values = {name: torch.randn(one.shape, generator=drawn) * 0.1 for name, one in backbone.lora_values().items()}
    backbone.add_lora(4, 4.0, "qkv", drawn, values)
    for centre in (False, True):
        backbone.sample(text, 3, (0.5, 1.0), centre=centre)
    frozen, tuned, held = latents
    shifts = [float((one - frozen).flatten(2).median(dim=2).values.abs().max()) for one in (tuned, held)]
    assert shifts[0] > 1e-2 > 1e-5 > shifts[1]
    flat = [one - one.mean(dim=(2, 3, 4), keepdim=True) for one in (tuned, held)]
    torch.testing.assert_close(*flat)


def test_centring_takes_the_shift_and_leaves_the_person():
    """A change of a quarter of the places is no shift; and a shift alone has no gradient."""
    frozen = torch.randn(1, 3, 2, 4, 4, generator=torch.Generator().manual_seed(0))
    shift = torch.tensor([0.5, -2.0, 0.0])[None, :, None, None, None]
    person = torch.zeros_like(frozen)
    person[..., :2, :2] = 3.0
    torch.testing.assert_close(centred(frozen + shift + person, frozen), frozen + person)
    tuned = (frozen + person).requires_grad_()
    (centred(tuned, frozen) * torch.randn(1, 3, 2, 4, 4, generator=torch.Generator().manual_seed(1))).sum().backward()
    torch.testing.assert_close(tuned.grad.mean(dim=(2, 3, 4)), torch.zeros(1, 3))
    assert tuned.grad.abs().max() > 0.1


def test_noise_is_added_as_the_schedule_says(short_backbone):
    latent, noise = short_backbone.noise(1), short_backbone.noise(2)
    alpha = short_backbone.schedule.signal[short_backbone.schedule.times[3]]
    expected = alpha.sqrt() * latent + (1 - alpha).sqrt() * noise
    torch.testing.assert_close(short_backbone.noised(latent, 3, noise), expected)


def test_the_last_step_ends_in_the_clean_latent(short_backbone):
    text, latent = short_backbone.encode("a man in the snow"), short_backbone.noise(3)
    with torch.no_grad():
        torch.testing.assert_close(short_backbone.clean(latent, text, 2, 4), short_backbone.denoise(latent, text, 2))


@pytest.mark.parametrize(("share", "step"), [(0.0, 0), (0.5, 2), (0.75, 3), (1.0, 4)])
def test_a_span_begins_at_a_whole_step(short_backbone, share, step):
    assert short_backbone.first_step(share) == step


@pytest.mark.parametrize(
    ("span", "steps"),
    [((0.0, 1.0), (0, 4)), ((0.5, 0.75), (2, 3)), ((0.75, 0.9), (3, 4)), ((0.55, 0.6), (3, 4)), ((0.9, 1.0), (3, 4))],
)
def test_an_adapter_is_active_in_one_step_at_least(short_backbone, span, steps):
    """Spans shorter than a step too, so that what was tuned is also seen in sampling."""
    assert short_backbone.active_steps(span) == steps


def test_guidance_ends_where_the_profile_says(short_backbone, monkeypatch):
    backbone = short_backbone
    text, latent = backbone.encode("a man in the snow"), backbone.noise(3)

    def guided(scale, stop):
        sampling = replace(backbone.sampling, guidance=scale, guidance_stop=stop, motion_guidance=1.0)
        monkeypatch.setattr(backbone, "sampling", sampling)
        with torch.no_grad():
            return [backbone.predict(latent, step, text) for step in range(4)]

    halfway, all_along, never = guided(3.0, 0.5), guided(3.0, 1.0), guided(1.0, 1.0)
    for step in range(4):
        expected = all_along if step < 2 else never
        # bfloat16 rounds a batch of two otherwise than a batch of one.
        assert (halfway[step] - expected[step]).abs().mean() < 0.01
        assert (all_along[step] - never[step]).abs().mean() > 0.02


def test_motion_is_guided_by_a_scale_of_its_own(short_backbone, monkeypatch):
    """The frames' mean goes as far as before, what differs between them twice as far; images know no motion."""
    backbone, latent = short_backbone, short_backbone.noise(3)
    monkeypatch.setattr(backbone, "half", False)
    text = backbone.encode("a man turns his head to the left")

    def guided(guidance, ratio, z=latent, side="video"):
        sampling = replace(backbone.sampling, guidance=guidance, guidance_stop=1.0, motion_guidance=ratio)
        monkeypatch.setattr(backbone, "sampling", sampling)
        with torch.no_grad():
            return backbone.predict(z, 1, text, side)

    without, plain, more = guided(0.0, 1.0), guided(3.0, 1.0), guided(3.0, 2.0)
    torch.testing.assert_close(more.mean(2), plain.mean(2))
    moved = plain - without - (plain - without).mean(2, keepdim=True)
    assert moved.abs().max() > 0.01
    torch.testing.assert_close(more - plain, moved, atol=1e-5, rtol=1e-4)
    picture = latent[:, :, :1]
    assert torch.equal(guided(3.0, 2.0, picture, "image"), guided(3.0, 1.0, picture, "image"))


def test_every_method_starts_from_the_same_noise(short_backbone):
    assert torch.equal(short_backbone.noise(7), short_backbone.noise(7))
    assert not torch.equal(short_backbone.noise(7), short_backbone.noise(8))


@pytest.mark.parametrize(
    ("where", "told"),
    [
        ("unet.nowhere.to_q.lora", "does not fit this backbone: .*nowhere"),
        ("transformer.blocks.0.attn.to_q.lora", r"this backbone begin with 'unet\.': it was tuned on another one"),
    ],
)
def test_an_adapter_of_another_model_is_refused_and_the_next_one_works(short_backbone, where, told):
    wrong = {f"{where}_A.weight": torch.zeros(4, 8), f"{where}_B.weight": torch.zeros(8, 4)}
    with pytest.raises(MethodError, match=told):
        short_backbone.load_lora(wrong)
    assert short_backbone.add_lora(4, 4.0, "qkv", torch.Generator().manual_seed(0))
    short_backbone.reset()


def test_unknown_targets_are_told_with_the_known_ones(short_backbone):
    with pytest.raises(MethodError, match="no adapter targets 'kv'; known: qkv, qkvo, qkv_motion"):
        short_backbone.add_lora(4, 4.0, "kv", torch.Generator().manual_seed(0))


def test_two_adapters_add_up_and_each_is_switched_by_its_name(short_backbone):
    """As a style and a person: outside of the person's span the style stays."""
    backbone, generator = short_backbone, torch.Generator().manual_seed(0)
    backbone.reset()
    words, latent = backbone.encode("a man in the snow"), backbone.noise(3)

    def seen():
        with torch.no_grad():
            return backbone.predict(latent, 3, words)

    plain = seen()
    for parameter in backbone.add_lora(4, 4.0, "qkv", generator, name="style"):
        parameter.data.normal_(0, 0.3, generator=generator)
    style = seen()
    values = backbone.lora_values(name="style")
    for parameter in backbone.add_lora(2, 2.0, "qkv_motion", generator):
        parameter.data.normal_(0, 0.3, generator=generator)
    both = seen()
    with backbone.without_lora():
        assert torch.equal(seen(), style)
    with backbone.without_lora(name="style"):
        alone = seen()
    assert torch.equal(seen(), both)
    assert all(torch.equal(value, values[name]) for name, value in backbone.lora_values(name="style").items())
    different = (plain, style, alone, both)
    assert all((one - two).abs().max() > 0.01 for i, one in enumerate(different) for two in different[:i])
    backbone.remove_lora(name="identity")
    assert torch.equal(seen(), style)
    backbone.reset()
    assert torch.equal(seen(), plain)
