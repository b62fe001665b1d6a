"""The published networks at their full size, on the meta device: their tensors, and which layers an adapter is put on.

A release of diffusers that renames or reshapes a tensor would not load the published files any more.
"""

import hashlib
import re

import pytest
import torch

from pvbench.torchvision_shim import load_torchvision

load_torchvision()

from diffusers import (  # noqa: E402
    AutoencoderKL,
    AutoencoderKLCogVideoX,
    AutoencoderKLHunyuanVideo,
    AutoencoderKLWan,
    CogVideoXTransformer3DModel,
    ConsisIDTransformer3DModel,
    HunyuanVideoTransformer3DModel,
    MotionAdapter,
    UNet2DConditionModel,
    WanTransformer3DModel,
    WanVACETransformer3DModel,
)

from pvbench.backbones import animatediff, cogvideox, hunyuan, wan  # noqa: E402

MODELS = {
    "Stable Diffusion 1.5": lambda: UNet2DConditionModel(sample_size=64, cross_attention_dim=768, attention_head_dim=8),
    "Stable Diffusion's autoencoder": lambda: AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(128, 256, 512, 512),
        layers_per_block=2,
    ),
    "motion adapter v1-5-3": lambda: MotionAdapter(use_motion_mid_block=False, motion_max_seq_length=32),
    "motion adapter v1-5-2": lambda: MotionAdapter(motion_max_seq_length=32),
    "HunyuanVideo": lambda: HunyuanVideoTransformer3DModel(guidance_embeds=True),
    "HunyuanVideo's autoencoder": AutoencoderKLHunyuanVideo,
    "Wan 2.1 1.3B": lambda: WanTransformer3DModel(num_attention_heads=12, ffn_dim=8960, num_layers=30),
    "Wan 2.1 14B": WanTransformer3DModel,
    "Wan 2.1 VACE 1.3B": lambda: WanVACETransformer3DModel(
        num_attention_heads=12, ffn_dim=8960, num_layers=30, vace_layers=list(range(0, 30, 2))
    ),
    "Wan 2.1 VACE 14B": WanVACETransformer3DModel,
    "Wan's autoencoder": AutoencoderKLWan,
    "CogVideoX 2B": CogVideoXTransformer3DModel,
    "CogVideoX 5B": lambda: CogVideoXTransformer3DModel(
        num_attention_heads=48, num_layers=42, use_rotary_positional_embeddings=True
    ),
    "CogVideoX's autoencoder": lambda: AutoencoderKLCogVideoX(
        down_block_types=("CogVideoXDownBlock3D",) * 4,
        up_block_types=("CogVideoXUpBlock3D",) * 4,
        block_out_channels=(128, 256, 256, 512),
    ),
    "ConsisID": lambda: ConsisIDTransformer3DModel(
        num_attention_heads=48,
        num_layers=42,
        in_channels=32,
        out_channels=16,
        is_train_face=True,
        use_rotary_positional_embeddings=True,
        use_learned_positional_embeddings=True,
    ),
}


@pytest.fixture(scope="module")
def models():
    """Makes a network on the meta device, which holds shapes and no numbers; each once."""
    made = {}

    def make(name):
        if name not in made:
            with torch.device("meta"):
                made[name] = MODELS[name]()
        return made[name]

    return make


def digest_of_shapes(model):
    lines = (f"{name} {tuple(tensor.shape)}" for name, tensor in sorted(model.state_dict().items()))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


@pytest.mark.parametrize(
    ("name", "parameters", "tensors", "digest"),
    [
        ("Stable Diffusion 1.5", 859_520_964, 686, "5159ace1d6e60acb"),
        ("Stable Diffusion's autoencoder", 83_653_863, 248, "600696bc94ffc80f"),
        ("motion adapter v1-5-3", 417_137_600, 540, "4d60c69412ff1d17"),
        ("motion adapter v1-5-2", 453_209_280, 567, "f4c8d5244ce8856a"),
        ("HunyuanVideo", 12_821_012_544, 1264, "fde2d6a46540060b"),
        ("HunyuanVideo's autoencoder", 246_478_803, 248, "17569677cc0fb8d2"),
        ("Wan 2.1 1.3B", 1_418_996_800, 825, "b2eaf9531529e021"),
        ("Wan 2.1 14B", 14_288_491_584, 1095, "ad7258a9920ce3dd"),
        ("Wan 2.1 VACE 1.3B", 2_153_972_032, 1264, "c7ccfe99c1bd69b5"),
        ("Wan 2.1 VACE 14B", 17_337_592_896, 1331, "65ff411c6ab07ba4"),
        ("Wan's autoencoder", 126_892_531, 194, "d7d79a2ea173562d"),
        ("CogVideoX 2B", 1_693_783_872, 736, "11cfec1bab69c004"),
        ("CogVideoX 5B", 5_570_283_072, 1024, "ce0b44ab80a43a43"),
        ("CogVideoX's autoencoder", 215_583_907, 436, "d6831129fbec253c"),
        ("ConsisID", 6_162_495_040, 1344, "371c137d23aa58ab"),
    ],
)
def test_tensors_keep_their_number_names_and_shapes(models, name, parameters, tensors, digest):
    model = models(name)
    assert sum(parameter.numel() for parameter in model.parameters()) == parameters
    assert len(model.state_dict()) == tensors
    assert digest_of_shapes(model) == digest


@pytest.mark.parametrize(
    ("name", "targets", "kind", "layers", "millions"),
    [
        ("Stable Diffusion 1.5", animatediff.TARGETS, "qkv", 96, 2.39),
        ("Stable Diffusion 1.5", animatediff.TARGETS, "qkvo", 128, 3.19),
        ("HunyuanVideo", hunyuan.TARGETS, "qkv", 180, 17.7),
        ("HunyuanVideo", hunyuan.TARGETS, "qkvo", 200, 19.7),
        ("HunyuanVideo", hunyuan.TARGETS, "qkv_text", 240, 23.6),
        ("Wan 2.1 1.3B", wan.TARGETS, "qkv", 180, 8.85),
        ("Wan 2.1 14B", wan.TARGETS, "qkv", 240, 39.3),
        ("Wan 2.1 14B", wan.TARGETS, "qkvo", 320, 52.4),
        ("Wan 2.1 14B", wan.TARGETS, "qkv_video", 120, 19.7),
        ("CogVideoX 5B", cogvideox.TARGETS, "qkv", 126, 12.4),
        ("CogVideoX 5B", cogvideox.TARGETS, "qkvo", 168, 16.5),
    ],
)
def test_adapters_are_put_on_the_layers_that_are_meant(models, name, targets, kind, layers, millions):
    """Of rank 16: how many layers, and millions of parameters."""
    found = [module for key, module in models(name).named_modules() if re.fullmatch(targets[kind].rstrip("$"), key)]
    assert len(found) == layers
    parameters = sum(16 * (module.in_features + module.out_features) for module in found)
    assert parameters / 1e6 == pytest.approx(millions, rel=0.005)
