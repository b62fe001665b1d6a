"""Attention by plain matrix products gives what torch's fused kernel gives, forwards and backwards."""

import pytest
import torch

from pvbench.backbones.attention import choose_attention


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
