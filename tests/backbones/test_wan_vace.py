"""VACE of Wan 2.1: the same numbers as diffusers' pipeline, with photos and without; the method; refusals."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_models import take_published_levels

from pvbench.backbone import SUBJECT
from pvbench.backbones.wan_loader import WanLoader, WanVaceLoader
from pvbench.backbones.wan_vace import WanVaceBackbone
from pvbench.errors import MethodError, SettingError, WeightsError
from pvbench.identity import load_identities
from pvbench.method import request_for
from pvbench.methods.wan_vace import WanVace, WanVaceSettings
from pvbench.profile import load_profile
from pvbench.prompt import load_prompts
from pvbench.variant import missing, parse_variant

TEXT = "a woman in a red coat on a beach"
PROMPT = load_prompts("mini_evaluation").prompts[0]


def photos(count=1, size=(40, 48)):
    rng = np.random.default_rng(3)
    return [rng.integers(0, 255, (*size, 3), dtype=np.uint8) for _ in range(count)]


@pytest.fixture
def levels(tiny_vace, monkeypatch):
    """The pipeline's Euler scheduler takes the levels that the published one has, and not those of its training."""
    take_published_levels(tiny_vace.pipe.scheduler, monkeypatch)


@pytest.mark.usefixtures("levels")
@torch.no_grad()
@pytest.mark.parametrize("guidance", [5.0, 1.0])
@pytest.mark.parametrize(("count", "size", "scale"), [(0, None, 1.0), (1, (40, 48), 1.0), (2, (64, 32), 0.6)])
def test_steps_end_where_the_pipeline_ends(tiny_vace, guidance, count, size, scale):
    backbone = WanVaceBackbone(
        tiny_vace.pipe, replace(tiny_vace.sampling, guidance=guidance), torch.device("cpu"), {}, tiny_vace.own_shift
    )
    sampling, noise = backbone.sampling, backbone.noise(3)
    words, shown = backbone.encode(TEXT), photos(count, size) if count else []
    start, given = noise, words
    if count:
        given = backbone.with_subject(words, shown, 3, scale)
        start = torch.cat([given.image["noise"], noise], dim=2)
    theirs = backbone.pipe(
        TEXT, "", reference_images=[Image.fromarray(photo) for photo in shown] or None, conditioning_scale=scale,
        height=sampling.height, width=sampling.width, num_frames=sampling.frames, latents=start,
        num_inference_steps=sampling.steps, guidance_scale=guidance, output_type="latent",
    ).frames  # fmt: skip
    ours = backbone.denoise(noise, given)
    assert ours.shape == noise.shape
    torch.testing.assert_close(ours, theirs[:, :, count:], rtol=0, atol=1e-5)


@torch.no_grad()
def test_a_photo_changes_the_video_and_leaves_nothing_behind(tiny_vace):
    words, noise = tiny_vace.encode(TEXT), tiny_vace.noise(3)
    plain = tiny_vace.denoise(noise, words)
    one = tiny_vace.denoise(noise, tiny_vace.with_subject(words, photos(), 3))
    other = tiny_vace.denoise(noise, tiny_vace.with_subject(words, photos(2)[1:], 3))
    assert not torch.allclose(one, plain, atol=1e-3)
    assert not torch.allclose(one, other, atol=1e-4)
    assert torch.equal(tiny_vace.denoise(noise, words), plain)
    again = tiny_vace.denoise(noise, tiny_vace.with_subject(words, photos(), 3))
    assert torch.equal(again, one)


def test_the_photos_noise_is_not_the_videos(tiny_vace):
    words = tiny_vace.with_subject(tiny_vace.encode(TEXT), photos(), 3)
    assert not torch.equal(words.image["noise"][:, :, 0], tiny_vace.noise(3)[:, :, 0])


def test_photos_go_through_all_steps_at_once(tiny_vace):
    words = tiny_vace.with_subject(tiny_vace.encode(TEXT), photos(), 3)
    with pytest.raises(MethodError, match="take all steps at once"):
        tiny_vace.denoise(tiny_vace.noise(3), words, 1)
    with pytest.raises(MethodError, match="expected at least one"):
        tiny_vace.with_subject(tiny_vace.encode(TEXT), [], 3)


def test_plain_wan_takes_no_photos(tiny_wan):
    with pytest.raises(MethodError, match="takes no photos of a subject"):
        tiny_wan.with_subject(tiny_wan.encode(TEXT), photos(), 3)


# The loader


def test_each_loader_refuses_the_others_folder(checkpoints, wan):
    with pytest.raises(WeightsError, match=r"holds Wan for text-to-video; this backbone is VACE of Wan 2\.1"):
        WanVaceLoader.signature(wan())
    with pytest.raises(WeightsError, match=r"holds Wan VACE; this backbone is Wan 2\.1 for text-to-video"):
        WanLoader.signature(wan(base=str(checkpoints / "vace")))
    found = WanVaceLoader.signature(wan(kind="wan_vace", base=str(checkpoints / "vace")))
    assert found["backbone"] == "wan_vace"
    assert SUBJECT in WanVaceLoader.offers


def test_the_profile_names_the_published_folder():
    profile = load_profile("wan-vace")
    assert profile.backbone["base"] == "Wan-AI/Wan2.1-VACE-1.3B-diffusers"
    assert profile.sampling == load_profile("wan").sampling
    assert WanVaceLoader.licence(profile) == "Wan 2.1: Apache-2.0"
    assert not missing(parse_variant("wan_vace"), profile)
    assert missing(parse_variant("wan_vace"), load_profile("wan")) == [SUBJECT]


# The method


@pytest.fixture
def film(tiny_vace):
    profile = replace(load_profile("mini"), sampling=tiny_vace.sampling)

    def film(identity, **settings):
        method = WanVace(WanVaceSettings(**settings), tiny_vace, profile)
        return next(method.generate(identity, None, [request_for(identity, PROMPT, 0)]))

    return film


def test_the_method_shows_the_first_photo_unless_more_are_asked_for(film, tiny_vace):
    ada, ben = load_identities(["ada", "ben"])
    found = film(ada)
    assert found.frames.shape == (9, 32, 32, 3)
    assert found.digest == film(replace(ada, images=ada.images[:1], captions=ada.captions[:1])).digest
    assert found.digest != film(ada, references=0).digest
    assert found.digest != film(replace(ada, images=ben.images)).digest
    assert found.digest != film(ada, scale=0.5).digest
    tiny_vace.reset()
    assert found.digest != tiny_vace.sample(PROMPT.render("woman"), request_for(ada, PROMPT, 0).noise_seed).digest


@pytest.mark.parametrize("settings", [{"scale": -0.1}, {"scale": 3.0}, {"references": -1}])
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(SettingError):
        WanVaceSettings(**settings)
