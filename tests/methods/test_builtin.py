"""The built-in methods keep the contract of all methods, and each does what its paper says."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from pvbench.errors import SettingError
from pvbench.method import Adapter, request_for, save_adapter, settings_from
from pvbench.prompt import load_prompts
from pvbench.registry import method_class
from pvbench.testing import MethodContract

EVALUATION = load_prompts("mini_evaluation").prompts
SIMULATED = load_prompts("mini_simulated")
SHORT = {"steps": 1, "warm_steps": 0, "prefixes": 1}


def quiet(step, total, losses):
    """Progress that nobody watches."""


def make(name, backbone, profile, **settings):
    cls = method_class(name)
    return cls(settings_from(cls.Settings, settings), backbone, profile)


class ShortContract(MethodContract):
    @pytest.fixture(scope="class")
    @classmethod
    def profile(cls, short_profile):
        return short_profile

    @pytest.fixture(scope="class")
    @classmethod
    def backbone(cls, short_backbone):
        return short_backbone


class TestBase(ShortContract):
    method = method_class("base")


class TestDreamBooth(ShortContract):
    method = method_class("dreambooth_lora")
    settings = {"steps": 2, "prior_images": 2}  # noqa: RUF012


class TestPersonalVideo(ShortContract):
    method = method_class("personalvideo")
    settings = {"steps": 2, "warm_steps": 2, "prefixes": 1}  # noqa: RUF012


class TestOracleOfShippedVideos:
    def test_it_shows_every_person_in_every_prompt(self, short_profile):
        from pvbench.identity import load_identities

        oracle = make("oracle", None, short_profile)
        for identity in load_identities():
            video = next(oracle.generate(identity, None, [request_for(identity, EVALUATION[-1], 0)]))
            assert video.frames.shape == (8, 64, 64, 3)

    def test_two_people_in_one_prompt_look_different(self, short_profile):
        from pvbench.identity import load_identities

        oracle = make("oracle", None, short_profile)
        shown = [
            next(oracle.generate(person, None, [request_for(person, EVALUATION[0], 0)])).frames.astype(float)
            for person in load_identities(["ada", "ben"])
        ]
        assert np.abs(shown[0] - shown[1]).mean() > 5

    def test_the_archive_is_what_the_renderer_draws(self, ada, short_profile):
        pytest.importorskip("anny", reason='rendering needs pip install "pvbench[world]"')
        from pvbench.world.benchmark import oracle_video, signal_to_noise
        from pvbench.world.figure import load_figure

        oracle = make("oracle", None, short_profile)
        shipped = next(oracle.generate(ada, None, [request_for(ada, EVALUATION[3], 0)]))
        drawn = oracle_video(load_figure(), ada, EVALUATION[3], 0)
        # 33 dB: H.265 at the archive's quality; another person or action falls below 20.
        assert signal_to_noise(shipped, drawn) > 33


def test_a_fresh_adapter_leaves_every_video_as_it_is(short_backbone, ada):
    backbone = short_backbone
    backbone.remove_lora(backbone.pipe.unet)
    before = backbone.sample("a woman on a beach", 5)
    backbone.add_lora(backbone.pipe.unet, 4, 4.0, "qkv", torch.Generator().manual_seed(0))
    after = backbone.sample("a woman on a beach", 5)
    backbone.remove_lora(backbone.pipe.unet)
    assert before.digest == after.digest


def test_an_adapter_is_silent_before_its_span(short_backbone):
    backbone, generator = short_backbone, torch.Generator().manual_seed(0)
    unet = backbone.pipe.unet
    backbone.remove_lora(unet)
    text = backbone.encode("a man in the snow")
    with torch.no_grad():
        plain = backbone.denoise(backbone.noise(3), text, 0, 3)
        for parameter in backbone.add_lora(unet, 4, 4.0, "qkv", generator):
            parameter.data.normal_(0, 0.5)
        with backbone.without_lora(unet):
            silent = backbone.denoise(backbone.noise(3), text, 0, 3)
        loud = backbone.denoise(backbone.noise(3), text, 0, 3)
    backbone.remove_lora(unet)
    assert torch.equal(plain, silent)
    assert not torch.allclose(plain, loud, atol=1e-2)


def test_the_frozen_model_takes_the_grain_off_that_an_adapter_leaves(short_backbone, monkeypatch):
    """Noise of a third of the latent's size goes for the most part, and what it lay on comes back."""
    backbone = short_backbone
    backbone.remove_lora(backbone.pipe.unet)
    left, clean = {}, backbone.clean
    grain = torch.randn(backbone.latent_shape, generator=torch.Generator().manual_seed(0))[None] / 3

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


def test_noise_is_added_as_the_schedule_says(short_backbone):
    latent, noise = short_backbone.noise(1), short_backbone.noise(2)
    alpha = short_backbone.pipe.scheduler.alphas_cumprod[int(short_backbone.timesteps[3])]
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
    backbone, unet = short_backbone, short_backbone.pipe.unet
    text, latent = backbone.encode("a man in the snow"), backbone.noise(3)

    def guided(scale, stop):
        sampling = replace(backbone.sampling, guidance=scale, guidance_stop=stop, motion_guidance=1.0)
        monkeypatch.setattr(backbone, "sampling", sampling)
        with torch.no_grad():
            return [backbone.predict(unet, latent, step, text) for step in range(4)]

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

    def guided(guidance, ratio, unet=None, z=latent):
        sampling = replace(backbone.sampling, guidance=guidance, guidance_stop=1.0, motion_guidance=ratio)
        monkeypatch.setattr(backbone, "sampling", sampling)
        with torch.no_grad():
            return backbone.predict(unet or backbone.pipe.unet, z, 1, text)

    without, plain, more = guided(0.0, 1.0), guided(3.0, 1.0), guided(3.0, 2.0)
    torch.testing.assert_close(more.mean(2), plain.mean(2))
    moved = plain - without - (plain - without).mean(2, keepdim=True)
    assert moved.abs().max() > 0.01
    torch.testing.assert_close(more - plain, moved, atol=1e-5, rtol=1e-4)
    picture = latent[:, :, 0]
    assert torch.equal(guided(3.0, 2.0, backbone.image_unet, picture), guided(3.0, 1.0, backbone.image_unet, picture))


def test_every_method_starts_from_the_same_noise(short_backbone):
    assert torch.equal(short_backbone.noise(7), short_backbone.noise(7))
    assert not torch.equal(short_backbone.noise(7), short_backbone.noise(8))


def test_diffusers_loads_the_adapter_and_computes_the_same(short_backbone, short_profile, ada, tmp_path):
    from pvbench.backbones import load_backbone

    method = make("personalvideo", short_backbone, short_profile, steps=2, warm_steps=0, prefixes=1)
    adapter = method.tune(ada, SIMULATED, seed=0, progress=quiet)
    save_adapter(tmp_path / "ada.safetensors", adapter)
    other = load_backbone(short_profile, "cpu")
    other.pipe.load_lora_weights(tmp_path, weight_name="ada.safetensors")
    short_backbone.load_lora(adapter.tensors)
    text, latent = short_backbone.encode("a woman"), short_backbone.noise(1)
    with torch.no_grad():
        ours = short_backbone.predict(short_backbone.pipe.unet, latent, 3, text)
        theirs = other.predict(other.pipe.unet, latent, 3, text)
        short_backbone.remove_lora(short_backbone.pipe.unet)
        untuned = short_backbone.predict(short_backbone.pipe.unet, latent, 3, text)
    assert torch.allclose(ours, theirs, atol=1e-4)
    assert (ours - untuned).abs().max() > 1e-3


@pytest.mark.parametrize(("span", "finish"), [(0.25, 0.0), (0.5, 0.25)])
def test_personalvideo_brings_the_face_nearer_to_the_references(short_backbone, short_profile, ada, span, finish):
    losses = []
    settings = {
        "span": span,
        "finish": finish,
        "steps": 16,
        "warm_steps": 0,
        "prefixes": 1,
        "scr": "off",
        "pixel_anchor": 0.0,
        "jitter": 0.0,
    }
    method = make("personalvideo", short_backbone, short_profile, **settings)
    method.tune(ada, SIMULATED, seed=0, progress=lambda step, total, found: losses.append(found.get("identity")))
    seen = [loss for loss in losses if loss is not None]
    # One prefix and no jitter: the same face again and again, so the loss has to fall.
    assert np.mean(seen[-4:]) < np.mean(seen[:4]) - 0.02


def test_the_anchor_lets_the_face_alone_become_lighter_or_darker():
    from pvbench.methods.personalvideo import _anchor

    flat = torch.full((1, 3, 16, 16), 0.2)
    tinted = flat * torch.tensor([1.0, 0.0, -1.0])[:, None, None]
    grain = flat * (torch.arange(16) % 2 * 2.0 - 1)
    on_the_face, elsewhere = torch.zeros(1, 1, 16, 16), torch.ones(1, 1, 16, 16)
    assert float(_anchor(flat, on_the_face)) < 1e-9
    assert float(_anchor(flat, elsewhere)) == pytest.approx(0.04)
    assert float(_anchor(tinted, on_the_face)) == pytest.approx(0.08 / 3)
    assert float(_anchor(grain, on_the_face)) > 0.01


def test_likeness_above_the_ceiling_earns_nothing(short_backbone, short_profile, ada, monkeypatch):
    backbone = short_backbone
    method = make("personalvideo", backbone, short_profile, ceiling=0.4, scr="off", pixel_anchor=0.0, **SHORT)
    reward, _ = method._load_rewards()
    reference = reward.reference(ada.references(), 64, 64)
    prefix = method._pool("t2v", ada.class_noun, SIMULATED, 0)[0]
    lost = torch.tensor([0.7, 0.6, 0.5, 0.1])
    monkeypatch.setattr(type(reward), "__call__", lambda *_: lost)
    total, told = method._loss(backbone.pipe.unet, prefix, reference, torch.Generator().manual_seed(0))
    # Of cosines 0.3, 0.4, 0.5 and 0.9 the first alone lies below 0.4; what is told is the loss itself.
    assert float(total) == pytest.approx(0.1 / 4)
    assert told["identity"] == pytest.approx(1.9 / 4)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"span": 0.25, "finish": 0.25}, r"finish is 0\.25.*below span, 0\.25"),
        ({"ceiling": 0.0}, r"ceiling is 0\.0; expected a cosine"),
        ({"video_rate": 0.0}, "video_rate must be positive"),
        ({"temperature": 0.0}, "temperature must be positive"),
        ({"jitter": -1.0}, "jitter.*cannot be negative"),
        ({"pixel_anchor": -2.0}, "pixel_anchor.*cannot be negative"),
        ({"scr_weight": -1.0}, "scr_weight.*cannot be negative"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(SettingError, match=message):
        method_class("personalvideo").Settings(**settings)


def test_prior_preservation_cannot_weigh_less_than_nothing():
    with pytest.raises(SettingError, match=r"prior_weight is -0\.5"):
        method_class("dreambooth_lora").Settings(prior_weight=-0.5)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("dreambooth_lora", {"steps": 1, "prior_images": 2}),
        ("personalvideo", {"steps": 1, "warm_steps": 1, "prefixes": 1, "scr": "off"}),
    ],
)
def test_what_rests_on_the_class_noun_is_made_once(short_backbone, short_profile, ada, name, settings, monkeypatch):
    """And the next identity of the class gets the adapter that it would have got alone."""
    sampled, denoise = [], short_backbone.denoise
    monkeypatch.setattr(short_backbone, "denoise", lambda latent, text, first=0, *rest, **more: (
        sampled.append(first), denoise(latent, text, first, *rest, **more))[1])
    method = make(name, short_backbone, short_profile, **settings)
    adapters = []
    for wholes in (True, False):
        sampled.clear()
        adapters.append(method.tune(ada, SIMULATED, seed=0, progress=lambda *_: None))
        # A trajectory from its first step on is one of those that are kept.
        assert (0 in sampled) is wholes
    for key, value in adapters[0].tensors.items():
        assert torch.equal(value, adapters[1].tensors[key]), key


def test_the_semantic_reward_is_asked_only_when_it_is_on(short_backbone, short_profile, ada):
    for switch, asked in (("on", True), ("off", False)):
        losses = []
        method = make("personalvideo", short_backbone, short_profile, scr=switch, **SHORT)
        method.tune(ada, SIMULATED, seed=0, progress=lambda step, total, found, kept=losses: kept.append(found))
        assert ("semantic" in losses[0]) is asked


def test_videos_go_on_from_what_pictures_taught(short_backbone, short_profile, ada):
    """The adapter of the warm steps moves into the video model as it is, and all steps are counted as one tuning."""
    told, backbone = [], short_backbone
    method = make("personalvideo", backbone, short_profile, steps=1, warm_steps=3, prefixes=1, scr="off", rate=1e-2)
    method.tune(ada, SIMULATED, seed=0, progress=lambda step, total, found: told.append((step, total)))
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]
    generator = torch.Generator().manual_seed(0)
    for parameter in backbone.add_lora(backbone.image_unet, 4, 4.0, "qkv", generator):
        parameter.data.normal_(0, 0.5, generator=generator)
    values = backbone.lora_values(backbone.image_unet)
    backbone.remove_lora(backbone.image_unet)
    backbone.add_lora(backbone.pipe.unet, 4, 4.0, "qkv", generator, values)
    moved = backbone.lora_values(backbone.pipe.unet)
    backbone.remove_lora(backbone.pipe.unet)
    assert moved.keys() == values.keys()
    assert all(torch.equal(moved[name], values[name]) for name in values)


def test_personalvideo_tunes_on_the_image_model_when_asked(short_backbone, short_profile, ada):
    method = make("personalvideo", short_backbone, short_profile, where="t2i", spa="off", **SHORT)
    adapter = method.tune(ada, SIMULATED, seed=0, progress=quiet)
    video = next(method.generate(ada, adapter, [request_for(ada, EVALUATION[0], 0)]))
    assert video.frames.shape == (8, 64, 64, 3)


def test_dreambooth_reconstructs_better_as_it_goes(short_backbone, short_profile, ada):
    losses = []
    method = make("dreambooth_lora", short_backbone, short_profile, steps=60, prior_weight=0.0, batch=8)
    method.tune(ada, SIMULATED, seed=0, progress=lambda step, total, found: losses.append(found["reconstruction"]))
    assert np.mean(losses[-20:]) < np.mean(losses[:20])


def test_an_adapter_of_another_model_is_refused(short_backbone):
    from pvbench.errors import MethodError

    where = "unet.nowhere.to_q.lora"
    wrong = Adapter({f"{where}_A.weight": torch.zeros(4, 8), f"{where}_B.weight": torch.zeros(8, 4)})
    with pytest.raises((MethodError, ValueError), match=r"nowhere|place|Target"):
        short_backbone.load_lora(wrong.tensors)
