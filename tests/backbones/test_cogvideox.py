"""CogVideoX and ConsisID: the same numbers as diffusers' pipelines, taken apart into steps and latents."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from pvbench.backbones.checkpointing import enable_checkpointing
from pvbench.backbones.cogvideox import CogVideoXBackbone, ConsisIdBackbone
from pvbench.errors import MethodError, ProfileError

TEXT = "a woman in a red coat on a beach"
_draw = torch.Generator().manual_seed(1)
IDENTITY = torch.randn(1, 6, generator=_draw)
STATES = [torch.randn(1, 9, 8, generator=_draw) for _ in range(2)]
PICTURE = torch.rand(1, 3, 32, 32, generator=_draw) * 2 - 1


def of(backbone, negative="", **sampling):
    """Another backbone around the same networks."""
    return type(backbone)(backbone.pipe, replace(backbone.sampling, **sampling), torch.device("cpu"), {}, negative)


@torch.no_grad()
@pytest.mark.parametrize(("guidance", "negative"), [(6.0, ""), (3.5, "blurry"), (1.0, "")])
def test_steps_by_index_end_where_the_pipeline_ends(tiny_cogvideox, guidance, negative):
    backbone = of(tiny_cogvideox, negative, guidance=guidance)
    sampling, noise = backbone.sampling, backbone.noise(3)
    theirs = backbone.pipe(
        TEXT, negative, height=sampling.height, width=sampling.width, num_frames=sampling.frames,
        latents=noise.transpose(1, 2), num_inference_steps=sampling.steps, guidance_scale=guidance,
        output_type="latent", max_sequence_length=40,
    ).frames  # fmt: skip
    ours = backbone.denoise(noise, backbone.encode(TEXT))
    torch.testing.assert_close(ours, theirs.transpose(1, 2), rtol=0, atol=1e-5)


@torch.no_grad()
def test_consisid_ends_where_its_pipeline_ends(tiny_consisid, monkeypatch):
    """The pipeline draws the head's latent from the autoencoder's distribution; ours is its mode, as for photos."""
    from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution

    monkeypatch.setattr(DiagonalGaussianDistribution, "sample", lambda self, generator=None: self.mode())
    backbone = of(tiny_consisid, guidance=6.0)
    sampling, noise = backbone.sampling, backbone.noise(3)
    theirs = backbone.pipe(
        [PICTURE[0] / 2 + 0.5], TEXT, height=sampling.height, width=sampling.width, num_frames=sampling.frames,
        latents=noise.transpose(1, 2), num_inference_steps=sampling.steps, guidance_scale=6.0, output_type="latent",
        max_sequence_length=40, id_vit_hidden=STATES, id_cond=IDENTITY,
    ).frames  # fmt: skip
    ours = backbone.denoise(noise, backbone.with_face(backbone.encode(TEXT), PICTURE, IDENTITY, STATES))
    torch.testing.assert_close(ours, theirs.transpose(1, 2), rtol=0, atol=1e-5)


@torch.no_grad()
def test_frames_are_those_of_the_whole_decoding(tiny_cogvideox):
    vae, latent = tiny_cogvideox.pipe.vae, tiny_cogvideox.noise(3)
    whole = vae.decode(latent / vae.config.scaling_factor).sample[0].transpose(0, 1)
    assert whole.shape[0] == 17
    assert tiny_cogvideox.frame_groups == (tuple(range(9)), tuple(range(9, 17)))
    assert torch.equal(tiny_cogvideox.decode(latent), whole)
    for group in tiny_cogvideox.frame_groups:
        assert torch.equal(tiny_cogvideox.decode(latent, group), whole[list(group)])
    assert torch.equal(tiny_cogvideox.decode(latent, [16, 0, 5]), whole[[16, 0, 5]])


@pytest.mark.parametrize(("frames", "groups"), [(1, [1]), (9, [9]), (25, [9, 8, 8]), (49, [9, 8, 8, 8, 8, 8])])
def test_pieces_of_any_length_are_the_autoencoders(tiny_cogvideox, frames, groups):
    backbone = of(tiny_cogvideox, frames=frames)
    assert [len(group) for group in backbone.frame_groups] == groups
    assert [frame for group in backbone.frame_groups for frame in group] == list(range(frames))
    if frames <= 25:
        latent, vae = backbone.noise(3), backbone.pipe.vae
        with torch.no_grad():
            whole = vae.decode(latent / vae.config.scaling_factor).sample[0].transpose(0, 1)
            torch.testing.assert_close(backbone.decode(latent), whole)


def test_a_frame_has_a_gradient_in_its_own_piece_alone(tiny_cogvideox):
    latent = tiny_cogvideox.noise(3).requires_grad_()
    tiny_cogvideox.decode(latent, [12]).square().sum().backward()
    assert (latent.grad.abs().amax(dim=(0, 1, 3, 4)) > 0).tolist() == [False] * 3 + [True] * 2
    latent.grad = None
    tiny_cogvideox.decode(latent, [4]).square().sum().backward()
    assert (latent.grad.abs().amax(dim=(0, 1, 3, 4)) > 0).tolist() == [True] * 3 + [False] * 2


@torch.no_grad()
def test_a_picture_is_a_video_of_one_frame(tiny_cogvideox):
    images = torch.rand(2, 3, 32, 32) * 2 - 1
    latents = tiny_cogvideox.encode_images(images)
    assert latents.shape == (2, 4, 1, 4, 4)
    pictures = tiny_cogvideox.decode(latents, side="image")
    assert pictures.shape == (2, 3, 32, 32)
    one = of(tiny_cogvideox, frames=1)
    for latent, picture in zip(latents, pictures, strict=True):
        torch.testing.assert_close(one.decode(latent[None], [0])[0], picture, rtol=0, atol=1e-5)


@torch.no_grad()
def test_words_are_the_pipelines(tiny_cogvideox):
    theirs, _ = tiny_cogvideox.pipe.encode_prompt(TEXT, do_classifier_free_guidance=False, max_sequence_length=40)
    assert torch.equal(tiny_cogvideox.encode(TEXT).tensors["states"], theirs)


def test_errors_are_those_of_the_velocity_and_a_perfect_model_has_none(tiny_cogvideox, monkeypatch):
    latents = tiny_cogvideox.encode_images(torch.rand(2, 3, 32, 32) * 2 - 1)
    words = [tiny_cogvideox.encode(TEXT)] * 2
    with torch.no_grad():
        found = tiny_cogvideox.errors(latents, words, torch.Generator().manual_seed(0))
    assert (found.shape, found.dtype) == (latents.shape, torch.float32)
    assert found.mean() > 0.1
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(latents.shape, generator=generator)
    times = torch.randint(1000, (2,), generator=generator)
    targets = iter(tiny_cogvideox.schedule.training_pair(latents, noise, times)[1].split(1))
    monkeypatch.setattr(tiny_cogvideox, "_output", lambda *given: next(targets))
    assert tiny_cogvideox.errors(latents, words, torch.Generator().manual_seed(0)).abs().max() == 0


def test_a_checkpointed_step_has_the_plain_ones_gradient_with_the_adapter_off_in_between(tiny_cogvideox):
    backbone = of(tiny_cogvideox)
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
        ({"frames": 13}, r"frames is 13 .*CogVideoX makes videos of 8 n \+ 1 frames"),
        ({"height": 40}, "the size 32x40; .*sides are multiples of 16"),
        ({"guidance_stop": 0.75}, r"guidance_stop is 0\.75"),
    ],
)
def test_a_profile_that_the_model_cannot_do_is_refused(tiny_cogvideox, wrong, message):
    with pytest.raises(ProfileError, match=message):
        of(tiny_cogvideox, **wrong)


def test_adapters_have_diffusers_names_and_load_into_the_pipeline(tiny_cogvideox):
    backbone = tiny_cogvideox
    backbone.reset()
    noise, words = backbone.noise(3), backbone.encode(TEXT)
    for parameter in backbone.add_lora(2, 2.0, "qkv", torch.Generator().manual_seed(0)):
        parameter.data += 0.05
    tensors = backbone.lora_tensors(2.0, 2)
    with torch.no_grad():
        tuned = backbone.denoise(noise, words, 0, 1)
        backbone.reset()
        # Two blocks, three projections, two matrices.
        assert len(tensors) == 12
        assert "transformer.transformer_blocks.0.attn1.to_q.lora_A.weight" in tensors
        backbone.pipe.load_lora_weights(dict(tensors), adapter_name="theirs")
        theirs = backbone.denoise(noise, words, 0, 1)
        backbone.pipe.unload_lora_weights()
        plain = backbone.denoise(noise, words, 0, 1)
    torch.testing.assert_close(theirs, tuned, rtol=0, atol=2e-5)
    assert (tuned - plain).abs().max() > 1e-3


@pytest.mark.parametrize("kind", [CogVideoXBackbone, ConsisIdBackbone])
def test_learned_words_are_refused(kind, tiny_cogvideox, tiny_consisid):
    backbone = tiny_consisid if kind is ConsisIdBackbone else tiny_cogvideox
    with pytest.raises(MethodError, match=f"{kind.model} takes no learned words"):
        backbone.encode("a <v> man", {"<v>": torch.zeros(1, 16)})


# ConsisID


@pytest.fixture
def consisid(tiny_consisid):
    tiny_consisid.reset()
    tiny_consisid.load_face_control({})
    yield tiny_consisid
    tiny_consisid.reset()


@torch.no_grad()
def test_each_branch_of_consisid_changes_the_video(consisid):
    words, noise = consisid.encode(TEXT), consisid.noise(3)
    both = consisid.denoise(noise, consisid.with_face(words, PICTURE, IDENTITY, STATES))
    face = consisid.denoise(noise, consisid.with_face(words, None, IDENTITY, STATES))
    other = consisid.denoise(noise, consisid.with_face(words, PICTURE, -IDENTITY, STATES))
    consisid.load_face_control({}, 0.0)
    head = consisid.denoise(noise, consisid.with_face(words, PICTURE, IDENTITY, STATES))
    found = [both, face, other, head]
    assert all((a - b).abs().max() > 1e-6 for i, a in enumerate(found) for b in found[i + 1 :])
    consisid.reset()
    again = consisid.denoise(noise, consisid.with_face(words, PICTURE, IDENTITY, STATES))
    assert torch.equal(again, both)


@torch.no_grad()
def test_without_a_face_zeros_stand_beside_the_latents_and_no_layer_attends_to_one(consisid):
    noise, words = consisid.noise(3), consisid.encode(TEXT)
    consisid.load_face_control({}, 0.0)
    neither = consisid.denoise(noise, consisid.with_face(words, None, IDENTITY, STATES))
    consisid.reset()
    assert torch.equal(consisid.denoise(noise, words), neither)
    both = consisid.denoise(noise, consisid.with_face(words, PICTURE, IDENTITY, STATES))
    assert not torch.equal(both, neither)
    assert torch.equal(consisid.denoise(noise, words), neither)
    assert consisid.sample(TEXT, 0).frames.shape == (17, 32, 32, 3)


def test_what_does_not_fit_consisid_is_told(consisid):
    words = consisid.encode(TEXT)
    with pytest.raises(MethodError, match=r"6 numbers and 1 states .*expected 6, 2 and 8"):
        consisid.with_face(words, PICTURE, IDENTITY, STATES[:1])
    with pytest.raises(MethodError, match="has its own face control"):
        consisid.load_face_control({"picture.weight": torch.zeros(1)})


def test_learned_positions_hold_for_one_size(tiny_consisid):
    pipe = tiny_consisid.pipe
    config = dict(pipe.transformer.config)
    pipe.transformer.register_to_config(use_learned_positional_embeddings=True)
    try:
        with pytest.raises(ProfileError, match="learned positions for 9 frames of 32x32 alone"):
            of(tiny_consisid)
        of(tiny_consisid, frames=9)
    finally:
        pipe.transformer.register_to_config(**config)


def test_a_video_is_bytes(consisid):
    words = consisid.with_face(consisid.encode(TEXT), PICTURE, IDENTITY, STATES)
    with torch.no_grad():
        video = consisid.video(consisid.denoise(consisid.noise(3), words))
    assert video.frames.shape == (17, 32, 32, 3)
    assert video.frames.dtype == np.uint8
