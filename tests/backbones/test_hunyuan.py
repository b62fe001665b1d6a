"""HunyuanVideo: the same numbers as diffusers' pipeline, taken apart into steps and tiles."""

from dataclasses import replace

import pytest
import torch

from pvbench.backbone import load_backbone
from pvbench.backbones.attention import drop_masks
from pvbench.backbones.hunyuan import HunyuanBackbone
from pvbench.backbones.steps import FlowSteps
from pvbench.errors import MethodError, ProfileError
from pvbench.method import Adapter, save_adapter

TEXT = "a woman in a red coat on a beach"


@pytest.fixture
def masked(tiny_hunyuan, monkeypatch):
    """The backbone whose transformer's attention takes a mask, as diffusers' pipeline needs it for padded texts."""
    transformer = tiny_hunyuan.pipe.transformer
    before = transformer.attn_processors
    transformer.set_attn_processor({name: getattr(one, "own", one) for name, one in before.items()})
    yield tiny_hunyuan
    transformer.set_attn_processor(before)


@torch.no_grad()
def test_steps_by_index_end_where_the_pipeline_ends(masked):
    """Its texts are padded to 256 words and masked, ours are cut to their own length."""
    backbone, sampling = masked, masked.sampling
    backbone.reset()
    noise = backbone.noise(3)
    theirs = backbone.pipe(
        TEXT, height=sampling.height, width=sampling.width, num_frames=sampling.frames, latents=noise,
        num_inference_steps=sampling.steps, guidance_scale=sampling.guidance, output_type="latent",
        prompt_template=template(backbone),
    ).frames  # fmt: skip
    torch.testing.assert_close(backbone.denoise(noise, backbone.encode(TEXT)), theirs, rtol=0, atol=1e-5)


@torch.no_grad()
def test_a_mask_that_masks_nothing_may_be_dropped(masked):
    words, noise = masked.encode(TEXT), masked.noise(3)
    with_mask = masked.denoise(noise, words)
    drop_masks(masked.pipe.transformer)
    torch.testing.assert_close(masked.denoise(noise, words), with_mask, rtol=0, atol=1e-6)


@torch.no_grad()
def test_no_block_is_given_a_mask(tiny_hunyuan, monkeypatch):
    """A fast kernel of attention takes none."""
    given, plain = [], torch.nn.functional.scaled_dot_product_attention

    def seen(query, key, value, attn_mask=None, **more):
        given.append(attn_mask)
        return plain(query, key, value, attn_mask=attn_mask, **more)

    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", seen)
    tiny_hunyuan.denoise(tiny_hunyuan.noise(3), tiny_hunyuan.encode(TEXT), 0, 1)
    masks = [mask for mask in given if mask is not None]
    # Two dual and two single blocks without one; the token refiner keeps its own.
    assert len(given) >= 4
    assert len(given) - len(masks) >= 4


def test_text_encoders_are_on_the_device_only_while_texts_are_encoded(tiny_hunyuan, monkeypatch):
    """LLaMA would take 15 GB of it."""
    moves = []
    for name in ("text_encoder", "text_encoder_2"):
        encoder = getattr(tiny_hunyuan.pipe, name)
        monkeypatch.setattr(encoder, "to", lambda where, name=name: moves.append((name, str(where))))
    monkeypatch.setattr(tiny_hunyuan, "_encoders_are_here", False)
    monkeypatch.setattr(tiny_hunyuan, "_kept", {})
    tiny_hunyuan.prepare(["a man", TEXT])
    assert moves == [("text_encoder", "cpu"), ("text_encoder_2", "cpu")] * 2
    moves.clear()
    tiny_hunyuan.encode(TEXT)
    assert moves == []
    tiny_hunyuan.encode("a woman")
    assert len(moves) == 4


def template(backbone):
    """diffusers' template with the length that this tokenizer makes of it."""
    from diffusers.pipelines.hunyuan_video.pipeline_hunyuan_video import DEFAULT_PROMPT_TEMPLATE

    head = DEFAULT_PROMPT_TEMPLATE["template"].partition("{}")[0]
    return {**DEFAULT_PROMPT_TEMPLATE, "crop_start": len(backbone.pipe.tokenizer(head).input_ids)}


def test_tiles_give_the_frames_of_the_whole_decoding(tiny_hunyuan):
    vae = tiny_hunyuan.pipe.vae
    noise = tiny_hunyuan.noise(3)
    assert [len(group) for group in tiny_hunyuan.frame_groups] == [13, 12, 4]
    with torch.no_grad():
        whole = vae.decode(noise / vae.config.scaling_factor).sample[0].transpose(0, 1)
        for group in tiny_hunyuan.frame_groups:
            assert torch.equal(tiny_hunyuan.decode(noise, group), whole[list(group)])


@pytest.fixture
def overlapping(hunyuan, monkeypatch):
    """In double precision: frames of 64 pixels in pieces of 32, which begin every 24 pixels, and two temporal tiles."""
    backbone = load_backbone(hunyuan({"frames": 17, "height": 64, "width": 64}), "cpu")
    backbone.pipe.vae.double().enable_tiling(
        tile_sample_min_height=32, tile_sample_min_width=32, tile_sample_stride_height=24, tile_sample_stride_width=24
    )
    # Frames become float32 at last, which a difference of two of them would show.
    monkeypatch.setattr(torch.Tensor, "float", torch.Tensor.double)
    return backbone


BLENDED = (*range(24, 32), *range(48, 56))
"""Rows and columns of pixels that lie in two pieces."""


@pytest.mark.parametrize(("frames", "checkpointing"), [([2, 9], False), ([14], True)])
def test_gradients_through_blended_pieces_are_the_differences(overlapping, frames, checkpointing):
    """Of a weighted sum of the pixels that two pieces or more have a part in; frame 14 is in two temporal tiles."""
    pieces = []
    overlapping.pipe.vae.post_quant_conv.register_forward_hook(
        lambda module, given, piece: pieces.append(piece.shape[-2:].numel())
    )
    if checkpointing:
        overlapping.enable_checkpointing()
    generator = torch.Generator().manual_seed(0)

    def drawn(*shape):
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    latent, direction = (drawn(1, *overlapping.latent_shape()) for _ in range(2))
    weights = drawn(len(frames), 3, 64, 64)
    once = [place for place in range(64) if place not in BLENDED]
    weights[:, :, torch.tensor(once)[:, None], torch.tensor(once)] = 0

    def summed(moved):
        return (overlapping.decode(moved, frames) * weights).sum()

    (gradient,) = torch.autograd.grad(summed(latent.requires_grad_()), latent)
    assert len(pieces) == 9 * (1 if max(frames) < 13 else 2)
    assert sum(pieces[:9]) > 8 * 8
    with torch.no_grad():
        step = 1e-5
        difference = (summed(latent + step * direction) - summed(latent - step * direction)) / (2 * step)
    assert float((gradient * direction).sum()) == pytest.approx(float(difference), rel=1e-7)
    assert abs(float(difference)) > 0.1


def test_a_group_of_frames_costs_two_tiles_at_most(tiny_hunyuan, monkeypatch):
    decoder, calls = tiny_hunyuan.pipe.vae.decoder, []
    forward = decoder.forward
    monkeypatch.setattr(decoder, "forward", lambda z: (calls.append(z.shape[2]), forward(z))[1])
    with torch.no_grad():
        for group, cost in zip(tiny_hunyuan.frame_groups, (1, 2, 2), strict=True):
            calls.clear()
            tiny_hunyuan.decode(tiny_hunyuan.noise(3), group)
            assert len(calls) == cost
        calls.clear()
        tiny_hunyuan.decode(tiny_hunyuan.noise(3), [20])
        assert len(calls) == 1


def test_prompts_are_as_long_as_they_are(tiny_hunyuan):
    short, long = (tiny_hunyuan.encode(text).tensors["states"] for text in ("a man", TEXT))
    assert short.shape[1] < long.shape[1] < 256


def test_the_shift_moves_the_levels_towards_noise():
    assert FlowSteps.of(4, 1.0).sigmas == (1.0, 0.75, 0.5, 0.25, 0.0)
    assert FlowSteps.of(4, 7.0).sigmas == pytest.approx((1.0, 21 / 22, 7 / 8, 7 / 10, 0.0))
    with pytest.raises(ProfileError, match=r"shift is 0; expected a number above 0"):
        FlowSteps.of(4, 0)


def test_noise_is_told_as_a_share_of_the_power(tiny_hunyuan, monkeypatch):
    """Of the last quarter's first step with a shift of 7: .7 of noise and .3 of data are .845 of the power."""
    monkeypatch.setattr(tiny_hunyuan, "schedule", FlowSteps.of(4, 7.0))
    assert tiny_hunyuan.noise_power(3) == pytest.approx(0.49 / (0.49 + 0.09))
    assert tiny_hunyuan.first_step_below(0.85) == 3
    assert tiny_hunyuan.first_step_below(0.1) == tiny_hunyuan.steps - 1


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"frames": 30}, r"frames is 30 .*videos of 4 n \+ 1 frames"),
        ({"height": 40}, "the size 32x40; .*sides are multiples of 16"),
        ({"guidance_stop": 0.75}, r"guidance_stop is 0\.75"),
        ({"motion_guidance": 2.0}, r"motion_guidance 2\.0"),
    ],
)
def test_a_profile_that_the_model_cannot_do_is_refused(tiny_hunyuan, wrong, message):
    sampling = replace(tiny_hunyuan.sampling, **wrong)
    with pytest.raises(ProfileError, match=message):
        HunyuanBackbone(tiny_hunyuan.pipe, sampling, torch.device("cpu"), {})


def test_learned_words_are_refused(tiny_hunyuan):
    with pytest.raises(MethodError, match="takes no learned words"):
        tiny_hunyuan.encode("a <v> man", {"<v>": torch.zeros(1, 16)})
    with pytest.raises(MethodError, match="takes no learned words"):
        tiny_hunyuan.word_vectors("man")


def test_adapters_have_diffusers_names(tiny_hunyuan):
    tiny_hunyuan.add_lora(2, 2.0, "qkv", torch.Generator().manual_seed(0))
    names = set(tiny_hunyuan.lora_tensors(2.0, 2))
    tiny_hunyuan.reset()
    assert "transformer.transformer_blocks.0.attn.to_q.lora_A.weight" in names
    assert "transformer.single_transformer_blocks.1.attn.to_v.lora_B.weight" in names
    # Two dual and two single blocks, three projections and two matrices each; the text's stream and refiner stay out.
    assert len(names) == 24


@pytest.fixture
def adapted(tiny_hunyuan):
    """The backbone with an adapter of rank 2 and strength 2, whose values half precision holds."""
    tiny_hunyuan.reset()
    generator = torch.Generator().manual_seed(0)
    for parameter in tiny_hunyuan.add_lora(2, 4.0, "qkv", generator):
        parameter.data.copy_(torch.randn(parameter.shape, generator=generator).mul(0.2).half())
    yield tiny_hunyuan
    tiny_hunyuan.reset()


@torch.no_grad()
def seen_by(transformer):
    """What a transformer makes of a latent and of words that are always the same."""
    generator, config = torch.Generator().manual_seed(1), transformer.config
    return transformer(
        hidden_states=torch.randn(1, config.in_channels, 2, 4, 4, generator=generator),
        timestep=torch.tensor([700.0]),
        encoder_hidden_states=torch.randn(1, 5, config.text_embed_dim, generator=generator),
        encoder_attention_mask=torch.ones(1, 5),
        pooled_projections=torch.randn(1, config.pooled_projection_dim, generator=generator),
        guidance=torch.tensor([6000.0]),
    ).sample


@pytest.mark.usefixtures("no_network")
def test_diffusers_pipeline_loads_an_adapter_as_it_is_saved(adapted, checkpoints, tmp_path):
    """Out of the file, into a pipeline that pvbench had no part in."""
    path = tmp_path / "adapter.safetensors"
    save_adapter(path, Adapter(adapted.lora_tensors(4.0, 2), (0.0, 1.0)))
    from diffusers import HunyuanVideoPipeline

    theirs = HunyuanVideoPipeline.from_pretrained(
        checkpoints / "hunyuan", text_encoder=None, tokenizer=None, text_encoder_2=None, tokenizer_2=None,
        local_files_only=True,
    )  # fmt: skip
    plain = seen_by(theirs.transformer)
    theirs.load_lora_weights(str(path))
    tuned = seen_by(theirs.transformer)
    torch.testing.assert_close(tuned, seen_by(adapted.pipe.transformer), rtol=0, atol=1e-6)
    assert (tuned - plain).abs().max() > 0.01
    with adapted.without_lora():
        torch.testing.assert_close(plain, seen_by(adapted.pipe.transformer), rtol=0, atol=1e-6)
