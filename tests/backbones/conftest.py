"""Tiny random backbones out of diffusers' own classes, with tokenizers that know every word as itself."""

import pytest
import torch

WORDS = ["a", "woman", "man", "in", "on", "the", "red", "coat", "beach", "snow", "video", "content", "user", "system"]


def tokenizer(length, pad="<pad>", ends=True):
    """Words by spaces and punctuation; unknown ones are one token."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    words = {word: i for i, word in enumerate([pad, "<unk>", "<s>", "</s>", *WORDS])}
    made = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    if ends:
        made.post_processor = processors.TemplateProcessing(
            single="<s> $A </s>", special_tokens=[("<s>", words["<s>"]), ("</s>", words["</s>"])]
        )
    return PreTrainedTokenizerFast(
        tokenizer_object=made, pad_token=pad, unk_token="<unk>", eos_token="</s>", bos_token="<s>",
        model_max_length=length, padding_side="right",
    )  # fmt: skip


def clip_text(width, tokens, length):
    from transformers import CLIPTextConfig, CLIPTextModel

    config = CLIPTextConfig(
        vocab_size=tokens, hidden_size=width, intermediate_size=2 * width, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=length, projection_dim=width, eos_token_id=3, bos_token_id=2, pad_token_id=0,
    )  # fmt: skip
    return CLIPTextModel(config)


def frozen(*modules):
    for module in modules:
        module.requires_grad_(False).eval()
    return modules


@pytest.fixture(scope="session")
def tiny_hunyuan():
    """29 frames of 32 pixels: three temporal tiles of the autoencoder."""
    from pvbench.backbones.hunyuan import HunyuanBackbone  # noqa: I001 - it makes torchvision importable
    from diffusers import (
        AutoencoderKLHunyuanVideo,
        FlowMatchEulerDiscreteScheduler,
        HunyuanVideoPipeline,
        HunyuanVideoTransformer3DModel,
    )
    from transformers import LlamaConfig, LlamaModel

    from pvbench.profile import Sampling

    torch.set_num_threads(1)
    torch.manual_seed(0)
    words, short = tokenizer(600, ends=False), tokenizer(77)
    llama = LlamaModel(LlamaConfig(
        vocab_size=len(words), hidden_size=16, intermediate_size=32, num_hidden_layers=4, num_attention_heads=2,
        num_key_value_heads=2, max_position_embeddings=600, pad_token_id=0))  # fmt: skip
    transformer = HunyuanVideoTransformer3DModel(
        in_channels=4, out_channels=4, num_attention_heads=2, attention_head_dim=16, num_layers=2,
        num_single_layers=2, num_refiner_layers=1, text_embed_dim=16, pooled_projection_dim=8, rope_axes_dim=(4, 6, 6),
    )  # fmt: skip
    vae = AutoencoderKLHunyuanVideo(
        block_out_channels=(8, 8, 8, 8), norm_num_groups=4, layers_per_block=1, latent_channels=4
    )
    clip = clip_text(8, len(short), 77)
    frozen(llama, transformer, vae, clip)
    pipe = HunyuanVideoPipeline(
        text_encoder=llama, tokenizer=words, transformer=transformer, vae=vae,
        scheduler=FlowMatchEulerDiscreteScheduler(shift=7.0), text_encoder_2=clip, tokenizer_2=short)  # fmt: skip
    pipe.set_progress_bar_config(disable=True)
    sampling = Sampling(steps=4, guidance=6.0, frames=29, height=32, width=32, fps=8.0)
    return HunyuanBackbone(pipe, sampling, torch.device("cpu"), {"backbone": "tiny hunyuan"})


@pytest.fixture(scope="session")
def tiny_animatediff():
    """Four frames of 64 pixels, the noise predicted: as Stable Diffusion 1.5 with AnimateDiff's schedule."""
    from pvbench.backbones.animatediff import AnimateDiffBackbone  # noqa: I001 - it makes torchvision importable
    from diffusers import (
        AnimateDiffPipeline,
        AutoencoderKL,
        DDIMScheduler,
        MotionAdapter,
        UNet2DConditionModel,
    )

    from pvbench.profile import Sampling

    torch.set_num_threads(1)
    torch.manual_seed(0)
    words = tokenizer(77)
    clip = clip_text(16, len(words), 77)
    unet = UNet2DConditionModel(
        sample_size=8, block_out_channels=(16, 32), layers_per_block=1, norm_num_groups=8, cross_attention_dim=16,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        attention_head_dim=2,
    )  # fmt: skip
    motion = MotionAdapter(
        block_out_channels=(16, 32), motion_layers_per_block=1, motion_num_attention_heads=2, motion_norm_num_groups=8,
        motion_max_seq_length=8, use_motion_mid_block=False,
    )  # fmt: skip
    # Fresh motion modules end in zeros, which would hide what stands before.
    for parameter in motion.parameters():
        parameter.data += 0.05 * torch.randn(parameter.shape)
    vae = AutoencoderKL(
        block_out_channels=(8,) * 4, layers_per_block=1, norm_num_groups=4, latent_channels=4,
        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4)  # fmt: skip
    frozen(clip, unet, motion, vae)
    scheduler = DDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="linear", steps_offset=1, clip_sample=False
    )
    pipe = AnimateDiffPipeline(
        vae=vae, text_encoder=clip, tokenizer=words, unet=unet, motion_adapter=motion, scheduler=scheduler
    )
    pipe.set_progress_bar_config(disable=True)
    frozen(pipe.unet)
    sampling = Sampling(steps=4, guidance=7.5, frames=4, height=64, width=64, fps=8.0)
    signature = {"backbone": "tiny animatediff", "weights": {"text_encoder": "random"}}
    return AnimateDiffBackbone(pipe, unet, sampling, torch.device("cpu"), signature)
