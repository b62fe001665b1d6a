"""Wan 2.1: the same numbers as diffusers' pipeline, taken apart into steps and latents."""

from dataclasses import replace

import pytest
import torch
from diffusers import UniPCMultistepScheduler
from tiny_models import take_published_levels

from pvbench.backbones.checkpointing import enable_checkpointing
from pvbench.backbones.wan import WanBackbone
from pvbench.errors import MethodError, ProfileError

TEXT = "a woman in a red coat on a beach"


def of(backbone, negative="", **sampling):
    """Another backbone around the same networks."""
    return WanBackbone(
        backbone.pipe, replace(backbone.sampling, **sampling), torch.device("cpu"), {}, backbone.own_shift, negative
    )


@pytest.fixture
def levels(tiny_wan, monkeypatch):
    """The pipeline's Euler scheduler takes the levels that the published one has, and not those of its training."""
    take_published_levels(tiny_wan.pipe.scheduler, monkeypatch)


@pytest.mark.usefixtures("levels")
@torch.no_grad()
@pytest.mark.parametrize(("guidance", "negative"), [(5.0, ""), (3.5, "blurry"), (1.0, "")])
def test_steps_by_index_end_where_the_pipeline_ends(tiny_wan, guidance, negative):
    """With Euler's steps in the pipeline too; its texts are padded before they are encoded, ours after."""
    backbone = of(tiny_wan, negative, guidance=guidance)
    sampling, noise = backbone.sampling, backbone.noise(3)
    theirs = backbone.pipe(
        TEXT, negative, height=sampling.height, width=sampling.width, num_frames=sampling.frames, latents=noise,
        num_inference_steps=sampling.steps, guidance_scale=guidance, output_type="latent",
    ).frames  # fmt: skip
    torch.testing.assert_close(backbone.denoise(noise, backbone.encode(TEXT)), theirs, rtol=0, atol=1e-5)


def test_levels_are_those_of_the_published_scheduler(tiny_wan):
    scheduler = UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0)
    scheduler.set_timesteps(50)
    ours = of(tiny_wan, steps=50).schedule.sigmas
    assert ours == pytest.approx(scheduler.sigmas.tolist(), abs=3e-3)


@torch.no_grad()
def test_words_are_cleaned_and_filled_up_as_in_the_pipeline(tiny_wan):
    text = "  a man &amp; a\n dog  "
    theirs, _ = tiny_wan.pipe.encode_prompt(text, do_classifier_free_guidance=False, max_sequence_length=512)
    found = tiny_wan.encode(text).tensors["states"]
    assert found.shape == (1, 512, 16)
    torch.testing.assert_close(found, theirs, rtol=0, atol=1e-6)
    assert not found[0, 20:].any()


@torch.no_grad()
def test_frames_are_those_of_the_whole_decoding(tiny_wan):
    vae, latent = tiny_wan.pipe.vae, 0.2 * tiny_wan.noise(3)
    mean, deviation = (torch.tensor(vae.config[name]).view(1, 4, 1, 1, 1) for name in ("latents_mean", "latents_std"))
    whole = vae.decode(latent * deviation + mean).sample[0].transpose(0, 1)
    assert whole.shape[0] == 9
    assert torch.equal(tiny_wan.decode(latent).clamp(-1, 1), whole)
    assert tiny_wan.frame_groups == ((0,), (1, 2, 3, 4), (5, 6, 7, 8))
    for group in tiny_wan.frame_groups:
        assert torch.equal(tiny_wan.decode(latent, group).clamp(-1, 1), whole[list(group)])
    assert torch.equal(tiny_wan.decode(latent, [7, 0, 2]).clamp(-1, 1), whole[[7, 0, 2]])


def test_a_frame_has_a_gradient_in_its_own_latent_and_none_is_clamped(tiny_wan):
    latent = (4 * tiny_wan.noise(3)).requires_grad_()
    frames = tiny_wan.decode(latent, [6])
    frames.square().sum().backward()
    times = latent.grad.abs().amax(dim=(0, 1, 3, 4))
    assert times[:2].tolist() == [0, 0]
    assert times[2] > 0
    latent.grad = None
    tiny_wan.decode(latent, [1, 6]).square().sum().backward()
    assert (latent.grad.abs().amax(dim=(0, 1, 3, 4)) > 0).tolist() == [False, True, True]


def test_no_latent_after_the_last_frame_is_decoded(tiny_wan, monkeypatch):
    decoder, calls = tiny_wan.pipe.vae.decoder, []
    forward = decoder.forward
    monkeypatch.setattr(decoder, "forward", lambda z, **more: (calls.append(z.shape[2]), forward(z, **more))[1])
    with torch.no_grad():
        for frames, cost in (([0], 1), ([3], 2), ([8, 0], 3)):
            calls.clear()
            tiny_wan.decode(tiny_wan.noise(3), frames)
            assert calls == [1] * cost


@torch.no_grad()
def test_a_picture_is_a_video_of_one_frame(tiny_wan):
    images = torch.rand(2, 3, 32, 32) * 2 - 1
    latents = tiny_wan.encode_images(images)
    assert latents.shape == (2, 4, 1, 4, 4)
    vae = tiny_wan.pipe.vae
    mean, deviation = (torch.tensor(vae.config[name]).view(1, 4, 1, 1, 1) for name in ("latents_mean", "latents_std"))
    torch.testing.assert_close(latents * deviation + mean, vae.encode(images[:, :, None]).latent_dist.mode())
    pictures = tiny_wan.decode(latents, side="image")
    assert pictures.shape == (2, 3, 32, 32)
    for latent, picture in zip(latents, pictures, strict=True):
        torch.testing.assert_close(tiny_wan.decode(latent[None], [0])[0], picture, rtol=0, atol=1e-5)


@torch.no_grad()
def test_guidance_costs_a_second_pass_only_where_there_is_some(tiny_wan, monkeypatch):
    transformer, calls = tiny_wan.pipe.transformer, []
    forward = transformer.forward
    monkeypatch.setattr(transformer, "forward", lambda **given: (calls.append(1), forward(**given))[1])
    for guidance, cost in ((5.0, 2), (1.0, 1)):
        backbone = of(tiny_wan, guidance=guidance)
        calls.clear()
        backbone.denoise(backbone.noise(3), backbone.encode(TEXT), 0, 1)
        assert len(calls) == cost


def test_a_checkpointed_step_has_the_plain_ones_gradient_with_the_adapter_off_in_between(tiny_wan):
    backbone = of(tiny_wan)
    words, noise = backbone.encode(TEXT), backbone.noise(3)

    def gradients():
        backbone.reset()
        parameters = backbone.add_lora(2, 2.0, "qkv", torch.Generator().manual_seed(0))
        for parameter in parameters:
            parameter.data += 0.02
        loss = backbone.clean(noise, words, 3, 4).square().sum()
        with backbone.without_lora():
            loss.backward()
        found = [parameter.grad.clone() for parameter in parameters]
        backbone.reset()
        return found

    plain = gradients()
    enable_checkpointing(backbone.pipe.transformer, (backbone._slots.recall,))
    try:
        checkpointed = gradients()
    finally:
        backbone.pipe.transformer.disable_gradient_checkpointing()
    for one, other in zip(plain, checkpointed, strict=True):
        torch.testing.assert_close(one, other)
        assert one.abs().max() > 0


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"frames": 10}, r"frames is 10 .*Wan makes videos of 4 n \+ 1 frames"),
        ({"height": 40}, "the size 32x40; .*sides are multiples of 16"),
        ({"guidance_stop": 0.75}, r"guidance_stop is 0\.75"),
        ({"motion_guidance": 2.0}, r"motion_guidance 2\.0"),
    ],
)
def test_a_profile_that_the_model_cannot_do_is_refused(tiny_wan, wrong, message):
    with pytest.raises(ProfileError, match=message):
        of(tiny_wan, **wrong)


def test_learned_words_are_refused(tiny_wan):
    with pytest.raises(MethodError, match="takes no learned words"):
        tiny_wan.encode("a <v> man", {"<v>": torch.zeros(1, 16)})


def test_adapters_have_diffusers_names_and_load_into_the_pipeline(tiny_wan):
    tiny_wan.reset()
    noise, words = tiny_wan.noise(3), tiny_wan.encode(TEXT)
    for parameter in tiny_wan.add_lora(2, 2.0, "qkv", torch.Generator().manual_seed(0)):
        parameter.data += 0.05
    tensors = tiny_wan.lora_tensors(2.0, 2)
    with torch.no_grad():
        tuned = tiny_wan.denoise(noise, words, 0, 1)
        tiny_wan.reset()
        plain = tiny_wan.denoise(noise, words, 0, 1)
        # Two blocks, two attentions, three projections, two matrices.
        assert len(tensors) == 24
        assert "transformer.blocks.0.attn1.to_q.lora_A.weight" in tensors
        assert "transformer.blocks.1.attn2.to_v.lora_B.weight" in tensors
        tiny_wan.pipe.load_lora_weights(dict(tensors), adapter_name="theirs")
        theirs = tiny_wan.denoise(noise, words, 0, 1)
        tiny_wan.pipe.unload_lora_weights()
    torch.testing.assert_close(theirs, tuned, rtol=0, atol=1e-6)
    assert (tuned - plain).abs().max() > 1e-3
