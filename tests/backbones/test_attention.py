"""Attention by plain matrix products gives what torch's fused kernel gives; frames see each other where asked."""

import pytest
import torch

from pvbench.backbones.attention import choose_attention, see_all_frames


@pytest.fixture
def unet():
    from diffusers import UNet2DConditionModel

    torch.manual_seed(3)
    return UNet2DConditionModel(
        sample_size=8,
        in_channels=4,
        out_channels=4,
        block_out_channels=(16, 32),
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        layers_per_block=1,
        norm_num_groups=8,
        cross_attention_dim=24,
        attention_head_dim=8,
    )


def test_plain_and_fused_attention_agree(unet):
    """In float32, where rounding is small; the gradient is that of the picture."""
    generator = torch.Generator().manual_seed(5)
    picture = torch.randn(2, 4, 8, 8, generator=generator, requires_grad=True)
    words = torch.randn(2, 7, 24, generator=generator)

    def both() -> tuple[torch.Tensor, torch.Tensor]:
        found = unet(picture, 300, words).sample
        return found, torch.autograd.grad(found.square().sum(), picture)[0]

    fused, fused_gradient = both()
    kinds = {type(p).__name__ for p in unet.attn_processors.values()}
    choose_attention(unet, torch.device("cpu"))
    assert kinds == {"AttnProcessor2_0"}
    assert {type(p).__name__ for p in unet.attn_processors.values()} == {"AttnProcessor"}
    plain, plain_gradient = both()
    torch.testing.assert_close(plain, fused, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(plain_gradient, fused_gradient, atol=1e-5, rtol=1e-4)


def test_other_devices_keep_the_fused_kernel(unet):
    choose_attention(unet, torch.device("cuda"))
    assert {type(p).__name__ for p in unet.attn_processors.values()} == {"AttnProcessor2_0"}


# Frames that see each other

STATES = torch.randn(6, 7, 24, generator=torch.Generator().manual_seed(7))


@pytest.fixture
def video_unet(unet):
    """Of two levels, 64 and 16 positions, with attention on both."""
    from diffusers import MotionAdapter, UNet2DConditionModel, UNetMotionModel

    made = UNet2DConditionModel.from_config(
        {
            **unet.config,
            "down_block_types": ("CrossAttnDownBlock2D",) * 2,
            "up_block_types": ("CrossAttnUpBlock2D",) * 2,
        }
    )
    motion = MotionAdapter(
        block_out_channels=(16, 32), motion_layers_per_block=1, motion_num_attention_heads=4, motion_norm_num_groups=8
    )
    return UNetMotionModel.from_unet2d(made, motion).eval()


def video(frames, seed=5):
    return torch.randn(1, 4, frames, 8, 8, generator=torch.Generator().manual_seed(seed))


def made_by(unet, given):
    with torch.no_grad():
        return unet(given, 300, STATES[: given.shape[2]]).sample


def test_a_single_frame_gives_what_it_gave(video_unet):
    before = made_by(video_unet, video(1))
    see_all_frames(video_unet, 64)
    torch.testing.assert_close(made_by(video_unet, video(1)), before)


def test_zero_changes_nothing(video_unet):
    before = made_by(video_unet, video(6))
    see_all_frames(video_unet, 0)
    assert torch.equal(made_by(video_unet, video(6)), before)


def test_coarse_levels_attend_to_all_frames_and_fine_ones_to_their_own(video_unet):
    see_all_frames(video_unet, 16)
    made_by(video_unet, video(6))
    # A guided step has the video twice, one behind the other.
    for block, positions, joined in ((0, 64, (12, 64)), (1, 16, (2, 96))):
        attention = video_unet.down_blocks[block].attentions[0].transformer_blocks[0].attn1
        tokens = torch.randn(12, positions, (16, 32)[block])
        plain = attention.processor.own(attention, tokens.reshape(*joined, -1)).reshape(tokens.shape)
        torch.testing.assert_close(attention(tokens), plain)
        other = tokens.clone()
        other[5] += 1
        moved = (attention(other) - attention(tokens)).abs().amax(dim=(1, 2)) > 1e-6
        assert moved.tolist() == [(block == 1 and k < 6) or k == 5 for k in range(12)]


def test_motion_modules_and_words_keep_their_attention(video_unet):
    see_all_frames(video_unet, 64)
    for name, processor in video_unet.attn_processors.items():
        spatial = ".attentions." in name and ".attn1." in name
        assert (type(processor).__name__ == "_JointAttention") == spatial, name
