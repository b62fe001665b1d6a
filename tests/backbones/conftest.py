"""Tiny random backbones out of diffusers' own classes, with tokenizers that know every word as itself."""

import pytest
import torch
from tiny_models import (
    clip_text,
    frozen,
    write_motion_adapter,
    write_stable_diffusion,
    write_toml,
)

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
def checkpoints(tmp_path_factory):
    """A folder of tiny random checkpoints in the published layouts: `sd` and `motion`."""
    folder = tmp_path_factory.mktemp("checkpoints")
    write_stable_diffusion(folder / "sd")
    write_motion_adapter(folder / "motion")
    return folder


def animatediff_toml(path, checkpoints, sampling=(), **lines):
    """The profile of a tiny AnimateDiff: four frames of 64 pixels."""
    backbone = {"base": str(checkpoints / "sd"), "motion": str(checkpoints / "motion"), "precision": "float32"}
    size = {"steps": 4, "frames": 4, "height": 64, "width": 64}
    return write_toml(
        path,
        extends="animatediff",
        backbone={**backbone, **lines},
        sampling={**size, **dict(sampling)},
    )


@pytest.fixture(scope="session")
def tiny_animatediff(checkpoints):
    """Stable Diffusion 1.5 and a motion adapter, tiny and random, loaded out of their folders."""
    from pvbench.backbone import load_backbone
    from pvbench.profile import load_profile

    torch.set_num_threads(1)
    return load_backbone(load_profile(str(animatediff_toml(checkpoints / "tiny-animatediff.toml", checkpoints))), "cpu")


@pytest.fixture
def animatediff(checkpoints, tmp_path):
    """Makes the profile of a tiny AnimateDiff; `lines` are of its [backbone], `sampling` of that table."""
    from pvbench.profile import load_profile

    def make(sampling=(), **lines):
        return load_profile(str(animatediff_toml(tmp_path / "tiny.toml", checkpoints, sampling, **lines)))

    return make


@pytest.fixture
def no_network(monkeypatch):
    """Any attempt to reach another machine is an error."""
    import socket

    def refuse(*address):
        raise AssertionError(f"a connection to {address[1:]} was tried")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
