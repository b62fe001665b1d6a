"""PersonalVideo is what the paper prints."""

import dataclasses

import numpy as np
import pytest
import torch
from short_contract import ShortContract

from pvbench.ablation.study import shipped_studies
from pvbench.backbone import backbone_loader
from pvbench.errors import SettingError
from pvbench.identity import load_identities
from pvbench.method import request_for, save_adapter
from pvbench.methods.personalvideo import PersonalVideo, PersonalVideoSettings, Stage
from pvbench.methods.personalvideo_plus import PersonalVideoPlusSettings
from pvbench.profile import load_profile
from pvbench.prompt import load_prompts
from pvbench.reward import Jitter
from pvbench.variant import parse_variant
from pvbench.video import Video

EVALUATION = load_prompts("mini_evaluation").prompts
SIMULATED = load_prompts("mini_simulated")
STILL = Video(np.zeros((8, 64, 64, 3), np.uint8), 8.0)
SHORT = {"steps": 1, "prefixes": 1, "token": "rare"}


class TestContract(ShortContract):
    method = PersonalVideo
    settings = {"steps": 2, "prefixes": 1, "token_steps": 2}  # noqa: RUF012


class TestPrinted:
    """Every value that the paper prints."""

    settings = PersonalVideoSettings()

    def test_only_videos_are_tuned_on(self, make):
        """Section 4.1: the text-to-video model, and no picture."""
        assert self.settings.where == "t2v"
        stages = make("personalvideo").stages()
        assert stages == (Stage("video", self.settings.steps, self.settings.rate),)

    def test_tuning_starts_from_pure_noise(self, make, ada, monkeypatch):
        """Section 4.1: no photo is encoded, and the trajectory begins at the first step from the initial noise."""
        method, begun = make("personalvideo", **SHORT), []
        backbone, denoise = method.backbone, method.backbone.denoise
        monkeypatch.setattr(backbone, "encode_images", lambda *_: pytest.fail("a photo was encoded"))
        monkeypatch.setattr(
            backbone,
            "denoise",
            lambda latent, states, first=0, *rest: (
                begun.append((first, float(latent.std()))),
                denoise(latent, states, first, *rest),
            )[1],
        )
        method.tune(ada, SIMULATED, seed=0, progress=lambda *_: None)
        assert begun[0][0] == 0
        assert begun[0][1] == pytest.approx(1, abs=0.05)

    def test_one_random_frame_carries_the_identity_reward(self, make, ada, monkeypatch):
        """Eq. 2; over several steps it is not the same one."""
        method = make("personalvideo", **SHORT, scr="off")
        prefix = method._pool("video", "woman", _rare(), SIMULATED, 0)[0]
        seen, through = [], method.backbone.through_pixels
        monkeypatch.setattr(
            method.backbone,
            "through_pixels",
            lambda latent, frames, *rest: (seen.append(frames), through(latent, frames, *rest))[1],
        )
        reference = method.rewards()[0].reference(ada.references(), 64, 64)
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for _ in range(6):
                method.loss(prefix, reference, generator)
        assert {len(frames) for frames in seen} == {1}
        assert len({frames[0] for frames in seen}) > 1

    def test_references_alone_are_jittered_in_colour(self, make, ada, monkeypatch):
        method = make("personalvideo", **SHORT, jitter=0.3)
        reward, jitters = method.rewards()[0], []
        call = type(reward).__call__
        monkeypatch.setattr(
            type(reward),
            "__call__",
            lambda self, images, reference, jitter, generator: (
                jitters.append(jitter),
                call(self, images, reference, jitter, generator),
            )[1],
        )
        method.tune(ada, SIMULATED, seed=0, progress=lambda *_: None)
        assert jitters == [Jitter(reference=0.3, image=0.0, crop=0.0)]

    def test_both_rewards_weigh_the_same(self, make, ada):
        """Eq. 5: the loss is 1 - cos plus the divergence, and nothing else."""
        method = make("personalvideo", **SHORT)
        prefix = method._pool("video", "woman", _rare(), SIMULATED, 0)[0]
        reference = method.rewards()[0].reference(ada.references(), 64, 64)
        generator = torch.Generator().manual_seed(0)
        for parameter in method.backbone.add_lora(4, 4.0, "qkv", generator):
            parameter.data.normal_(0, 0.3, generator=generator)
        loss, told = method.loss(prefix, reference, generator)
        method.backbone.reset()
        assert told["semantic"] > 1e-5
        assert float(loss.detach()) == pytest.approx(told["identity"] + told["semantic"], rel=1e-5)

    def test_a_keyword_stands_in_the_prompts(self, make, ada, monkeypatch):
        """In tuning and in sampling."""
        assert self.settings.token in ("rare", "inverted")
        method, asked = make("personalvideo", **SHORT), []
        backbone, encode = method.backbone, method.backbone.encode
        monkeypatch.setattr(backbone, "encode", lambda text, *rest: (asked.append(text), encode(text, *rest))[1])
        adapter = method.tune(ada, SIMULATED, seed=0, progress=lambda *_: None)
        next(method.generate(ada, adapter, [request_for(ada, EVALUATION[0], 0)]))
        assert sum("sks woman" in text for text in asked) == 2
        assert all("sks woman" in text for text in asked if text)

    def test_prompts_are_simulated_ones(self, make):
        """Section 4.3."""
        assert self.settings.spa
        prefix = make("personalvideo", **SHORT)._pool("video", "woman", _rare(), SIMULATED, 0)[0]
        assert prefix.text in {prompt.render("woman") for prompt in SIMULATED.prompts}

    def test_the_semantic_reward_is_on(self):
        assert self.settings.scr

    def test_the_adapter_is_active_in_the_last_quarter_of_the_steps(self, make, ada, monkeypatch):
        """Section 4.4, in tuning and in sampling, to the last step."""
        assert self.settings.span == 0.25
        method = make("personalvideo", **SHORT)
        adapter = method.tune(ada, SIMULATED, seed=0, progress=lambda *_: None)
        assert adapter.span == (0.75, 1.0)
        spans = []
        monkeypatch.setattr(
            method.backbone, "sample", lambda text, seed, span, **more: (spans.append((span, more)), STILL)[1]
        )
        list(method.generate(ada, adapter, [request_for(ada, EVALUATION[0], 0)]))
        assert spans == [((0.75, 1.0), {"tokens": {}})]

    def test_the_span_can_be_said_in_noise(self, make):
        """The share of noise at which HunyuanVideo's last quarter begins, whatever steps this backbone takes."""
        method = make("personalvideo", **SHORT, span_noise=0.845)
        begin, end = method.active
        first, _ = method.backbone.active_steps((begin, end))
        powers = [method.backbone.noise_power(step) for step in range(method.backbone.steps)]
        assert powers == sorted(powers, reverse=True)
        assert powers[first] <= 0.845 < powers[first - 1]
        assert end == 1.0
        assert make("personalvideo", **SHORT).active == (0.75, 1.0)

    def test_in_the_mini_profile_the_study_begins_where_the_last_quarter_of_hunyuanvideo_does(self):
        """By a shift of 7, sigma is .7 after three quarters of the time: .49 of the power beside .09 of the video's."""
        left = 7 * 0.25 / (1 + 6 * 0.25)
        there = left**2 / (left**2 + (1 - left) ** 2)
        mini = load_profile("mini")
        backbone = backbone_loader(mini).load(mini, "cpu")
        row = parse_variant(shipped_studies()["span_noise"].rows["from .86"])
        here = backbone.noise_power(backbone.first_step_below(float(row.overrides["span_noise"])))
        assert there == pytest.approx(0.845, abs=1e-3)
        assert here == pytest.approx(there, abs=0.01)

    def test_a_span_in_noise_is_a_share(self):
        with pytest.raises(SettingError, match=r"span_noise is 1\.2; expected a share of the power"):
            PersonalVideoSettings(span_noise=1.2)

    def test_queries_keys_and_values_are_adapted(self, make, ada):
        assert self.settings.targets in ("qkv", "qkv_motion")
        adapter = make("personalvideo", **SHORT).tune(ada, SIMULATED, seed=0, progress=lambda *_: None)
        adapted = {name.split(".lora_")[0].rsplit(".", 1)[-1] for name in adapter.tensors}
        assert adapted == {"to_q", "to_k", "to_v"}

    def test_nothing_of_ours_is_a_setting_of_it(self):
        """What the paper does not have is another method's."""
        names = {field.name for field in dataclasses.fields(PersonalVideoSettings)}
        ours = {field.name for field in dataclasses.fields(PersonalVideoPlusSettings)} - names
        assert {"warm_steps", "ceiling", "finish", "pixel_anchor", "photo_steps", "centre"} <= ours
        assert PersonalVideo.taught.fget(None) is False


def test_without_its_word_a_prompt_asks_for_anybody(make, ada, monkeypatch):
    """What then is seen of the person has leaked into everybody."""
    method, asked = make("personalvideo", **SHORT, named="off"), []
    adapter = method.tune(ada, SIMULATED, seed=0, progress=lambda *_: None)
    monkeypatch.setattr(method.backbone, "sample", lambda text, *rest, **more: (asked.append(text), STILL)[1])
    list(method.generate(ada, adapter, [request_for(ada, EVALUATION[0], 0)]))
    assert asked == [EVALUATION[0].render("woman")]


def _rare():
    from pvbench.keyword import Keyword

    return Keyword("sks")


def test_it_brings_the_face_nearer_to_the_references(make, ada):
    losses = []
    method = make("personalvideo", steps=10, prefixes=1, token="none", scr="off", jitter=0.0, gradient_steps=0)
    method.tune(ada, SIMULATED, seed=0, progress=lambda step, total, found: losses.append(found.get("identity")))
    seen = [loss for loss in losses if loss is not None]
    # One prefix and no jitter: the same few frames again and again, so the loss has to fall.
    assert np.mean(seen[-3:]) < np.mean(seen[:3]) - 0.02


def test_motion_modules_are_adapted_when_asked(make, ada, quiet):
    adapter = make("personalvideo", **SHORT, targets="qkv_motion").tune(ada, SIMULATED, seed=0, progress=quiet)
    assert any("motion_modules" in name for name in adapter.tensors)
    assert any(".attentions." in name for name in adapter.tensors)


def test_diffusers_loads_the_adapter_and_computes_the_same(make, short_backbone, short_profile, ada, quiet, tmp_path):
    from pvbench.backbone import load_backbone

    adapter = make("personalvideo", steps=2, prefixes=1, token="none").tune(ada, SIMULATED, seed=0, progress=quiet)
    save_adapter(tmp_path / "ada.safetensors", adapter)
    other = load_backbone(short_profile, "cpu")
    other.pipe.load_lora_weights(tmp_path, weight_name="ada.safetensors")
    short_backbone.load_lora(adapter.tensors)
    text, latent = short_backbone.encode("a woman"), short_backbone.noise(1)
    with torch.no_grad():
        ours = short_backbone.predict(latent, 3, text)
        theirs = other.predict(latent, 3, other.encode("a woman"))
        short_backbone.reset()
        untuned = short_backbone.predict(latent, 3, text)
    assert torch.allclose(ours, theirs, atol=1e-4)
    assert (ours - untuned).abs().max() > 1e-3


def test_trajectories_of_a_class_noun_are_computed_once(make, ada, monkeypatch):
    """And the next identity of the class gets the adapter that it would have got alone."""
    alone = make("personalvideo", **SHORT).tune(ada, SIMULATED, seed=0, progress=lambda *_: None)
    method, begun = make("personalvideo", **SHORT), []
    denoise = method.backbone.denoise
    monkeypatch.setattr(
        method.backbone,
        "denoise",
        lambda latent, states, first=0, *rest: (begun.append(first), denoise(latent, states, first, *rest))[1],
    )
    for person, wholes in ((load_identities(["chloe"])[0], True), (ada, False)):
        begun.clear()
        adapter = method.tune(person, SIMULATED, seed=0, progress=lambda *_: None)
        assert (0 in begun) is wholes
    for key, value in alone.tensors.items():
        assert torch.equal(value, adapter.tensors[key]), key


def test_trajectories_of_a_learned_word_are_each_persons_own(make, ada, monkeypatch):
    method, begun = make("personalvideo", steps=1, prefixes=1, token="inverted", token_steps=1), []
    denoise = method.backbone.denoise
    monkeypatch.setattr(
        method.backbone,
        "denoise",
        lambda latent, states, first=0, *rest: (begun.append(first), denoise(latent, states, first, *rest))[1],
    )
    for _ in range(2):
        begun.clear()
        method.tune(ada, SIMULATED, seed=0, progress=lambda *_: None)
        assert 0 in begun


def test_the_semantic_reward_is_asked_only_when_it_is_on(make, ada):
    for switch, asked in (("on", True), ("off", False)):
        losses = []
        method = make("personalvideo", scr=switch, **SHORT)
        method.tune(ada, SIMULATED, seed=0, progress=lambda step, total, found, kept=losses: kept.append(found))
        assert ("semantic" in losses[0]) is asked


def test_it_tunes_on_the_image_model_when_asked(make, ada, quiet):
    method = make("personalvideo", where="t2i", spa="off", **SHORT)
    adapter = method.tune(ada, SIMULATED, seed=0, progress=quiet)
    video = next(method.generate(ada, adapter, [request_for(ada, EVALUATION[0], 0)]))
    assert video.frames.shape == (4, 64, 64, 3)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"span": 0.0}, r"span is 0\.0; expected a share"),
        ({"temperature": 0.0}, "temperature must be positive"),
        ({"jitter": -1.0}, "jitter.*cannot be negative"),
        ({"steps": 0}, "steps must be positive"),
        ({"rate": float("inf")}, "rate must be positive; it is inf"),
        ({"scr_frames": 1}, "scr_frames is 1; a softmax over one frame is constant"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(SettingError, match=message):
        PersonalVideoSettings(**settings)
