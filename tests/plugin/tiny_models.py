"""Small random networks of diffusers' and transformers' own classes, and folders of them as publishers lay them out."""

import json
import shutil

import torch

from pvbench.torchvision_shim import load_torchvision

load_torchvision()

LETTERS = [chr(code) for code in (*range(33, 127), *range(161, 173), *range(174, 256))]
"""The bytes that byte-level tokenizers show as themselves."""
MERGES = ["w o", "m a", "ma n</w>", "wo man</w>", "i n</w>"]


def alphabet():
    """The 256 letters of a byte-level tokenizer, as CLIP and LLaMA 3 have them."""
    return [*LETTERS, *(chr(256 + i) for i in range(256 - len(LETTERS)))]


def clip_words():
    """A vocabulary of CLIP's kind that can spell everything: letters, letters that end a word, and a few merges."""
    letters = alphabet()
    merged = ["".join(merge.split()) for merge in MERGES]
    return [*letters, *(f"{letter}</w>" for letter in letters), *merged, "<|startoftext|>", "<|endoftext|>"]


def write_clip_tokenizer(folder):
    """vocab.json and merges.txt, nothing else, as some publishers have them."""
    folder.mkdir(parents=True)
    (folder / "vocab.json").write_text(json.dumps({word: i for i, word in enumerate(clip_words())}))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(MERGES) + "\n")


def clip_text(width, tokens, length, ends=(2, 3)):
    from transformers import CLIPTextConfig, CLIPTextModel

    config = CLIPTextConfig(
        vocab_size=tokens, hidden_size=width, intermediate_size=2 * width, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=length, projection_dim=width, bos_token_id=ends[0], eos_token_id=ends[1],
        pad_token_id=0,
    )  # fmt: skip
    return CLIPTextModel(config)


def tiny_unet():
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel(
        sample_size=8, block_out_channels=(16, 32), layers_per_block=1, norm_num_groups=8, cross_attention_dim=16,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        attention_head_dim=2,
    )  # fmt: skip


def tiny_motion(channels=(16, 32)):
    from diffusers import MotionAdapter

    motion = MotionAdapter(
        block_out_channels=channels, motion_layers_per_block=1, motion_num_attention_heads=2, motion_norm_num_groups=8,
        motion_max_seq_length=8, use_motion_mid_block=False,
    )  # fmt: skip
    # Fresh motion modules end in zeros, which would hide what stands before.
    for parameter in motion.parameters():
        parameter.data += 0.05 * torch.randn(parameter.shape)
    return motion


def tiny_autoencoder():
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        block_out_channels=(8,) * 4, layers_per_block=1, norm_num_groups=4, latent_channels=4,
        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4)  # fmt: skip


def frozen(*modules):
    for module in modules:
        module.requires_grad_(False).eval()
    return modules


def write_stable_diffusion(folder):
    """A folder as stable-diffusion-v1-5 has it: the UNet in shards, the tokenizer without a configuration."""
    from diffusers import PNDMScheduler

    torch.manual_seed(0)
    words = len(clip_words())
    tiny_unet().save_pretrained(folder / "unet", max_shard_size="200KB")
    tiny_autoencoder().save_pretrained(folder / "vae")
    clip_text(16, words, 77, (words - 2, words - 1)).save_pretrained(folder / "text_encoder")
    write_clip_tokenizer(folder / "tokenizer")
    PNDMScheduler(beta_schedule="scaled_linear", skip_prk_steps=True, steps_offset=1).save_pretrained(
        folder / "scheduler"
    )
    parts = {
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "scheduler": ["diffusers", "PNDMScheduler"],
    }
    index = {"_class_name": "StableDiffusionPipeline", "_diffusers_version": "0.6.0", **parts}
    (folder / "model_index.json").write_text(json.dumps(index))
    return folder


def write_motion_adapter(folder, channels=(16, 32)):
    torch.manual_seed(1)
    tiny_motion(channels).save_pretrained(folder)
    return folder


def write_byte_tokenizer(folder):
    """tokenizer.json that spells every text byte by byte, under the class that LLaMA 3's is published with."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

    words = {word: i for i, word in enumerate(["<|begin_of_text|>", "<|end_of_text|>", *alphabet()])}
    made = Tokenizer(models.BPE(words, []))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens(["<|begin_of_text|>", "<|end_of_text|>"])
    made.post_processor = processors.TemplateProcessing(
        single="<|begin_of_text|> $A", special_tokens=[("<|begin_of_text|>", 0)]
    )
    folder.mkdir(parents=True)
    made.save(str(folder / "tokenizer.json"))
    told = {"tokenizer_class": "LlamaTokenizerFast", "bos_token": "<|begin_of_text|>", "eos_token": "<|end_of_text|>",
            "pad_token": "<|end_of_text|>", "padding_side": "right", "model_max_length": 256}  # fmt: skip
    (folder / "tokenizer_config.json").write_text(json.dumps(told))
    return len(words)


def write_hunyuan(folder):
    """A folder as hunyuanvideo-community/HunyuanVideo has it: transformer and LLaMA in shards."""
    from diffusers import (
        AutoencoderKLHunyuanVideo,
        FlowMatchEulerDiscreteScheduler,
        HunyuanVideoTransformer3DModel,
    )
    from transformers import LlamaConfig, LlamaModel

    torch.manual_seed(0)
    words, short = write_byte_tokenizer(folder / "tokenizer"), len(clip_words())
    write_clip_tokenizer(folder / "tokenizer_2")
    LlamaModel(LlamaConfig(
        vocab_size=words, hidden_size=16, intermediate_size=32, num_hidden_layers=4, num_attention_heads=2,
        num_key_value_heads=2, max_position_embeddings=1200, pad_token_id=1,
    )).save_pretrained(folder / "text_encoder", max_shard_size="20KB")  # fmt: skip
    clip_text(8, short, 77, (short - 2, short - 1)).save_pretrained(folder / "text_encoder_2")
    HunyuanVideoTransformer3DModel(
        in_channels=4, out_channels=4, num_attention_heads=2, attention_head_dim=16, num_layers=2,
        num_single_layers=2, num_refiner_layers=1, text_embed_dim=16, pooled_projection_dim=8, rope_axes_dim=(4, 6, 6),
    ).save_pretrained(folder / "transformer", max_shard_size="200KB")  # fmt: skip
    AutoencoderKLHunyuanVideo(
        block_out_channels=(8, 8, 8, 8), norm_num_groups=4, layers_per_block=1, latent_channels=4
    ).save_pretrained(folder / "vae")
    FlowMatchEulerDiscreteScheduler(shift=7.0).save_pretrained(folder / "scheduler")
    parts = {
        "transformer": ["diffusers", "HunyuanVideoTransformer3DModel"],
        "vae": ["diffusers", "AutoencoderKLHunyuanVideo"],
        "text_encoder": ["transformers", "LlamaModel"],
        "text_encoder_2": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "LlamaTokenizerFast"],
        "tokenizer_2": ["transformers", "CLIPTokenizer"],
        "scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"],
    }
    index = {"_class_name": "HunyuanVideoPipeline", "_diffusers_version": "0.32.0", **parts}
    (folder / "model_index.json").write_text(json.dumps(index))
    return folder


def write_piece_tokenizer(folder):
    """tokenizer.json with an end token after every text, as UMT5's has it; it spells byte by byte."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

    words = {word: i for i, word in enumerate(["<pad>", "</s>", *alphabet()])}
    made = Tokenizer(models.BPE(words, []))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens(["<pad>", "</s>"])
    made.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    folder.mkdir(parents=True)
    made.save(str(folder / "tokenizer.json"))
    told = {"tokenizer_class": "T5TokenizerFast", "eos_token": "</s>", "pad_token": "<pad>", "padding_side": "right",
            "model_max_length": 512}  # fmt: skip
    (folder / "tokenizer_config.json").write_text(json.dumps(told))
    return len(words)


def write_wan(folder, **transformer):
    """A folder as Wan-AI/Wan2.1-T2V-1.3B-Diffusers has it: the text encoder in shards, UniPC as scheduler.

    `transformer` changes the configuration of that network.
    """
    from diffusers import AutoencoderKLWan, UniPCMultistepScheduler, WanTransformer3DModel
    from transformers import UMT5Config, UMT5EncoderModel

    torch.manual_seed(0)
    words = write_piece_tokenizer(folder / "tokenizer")
    UMT5EncoderModel(UMT5Config(
        vocab_size=words, d_model=16, d_kv=8, d_ff=32, num_layers=2, num_heads=2, pad_token_id=0, eos_token_id=1,
    )).save_pretrained(folder / "text_encoder", max_shard_size="20KB")  # fmt: skip
    made = WanTransformer3DModel(**{
        "num_attention_heads": 2, "attention_head_dim": 12, "in_channels": 4, "out_channels": 4, "text_dim": 16,
        "freq_dim": 16, "ffn_dim": 32, "num_layers": 2, **transformer,
    })  # fmt: skip
    made.save_pretrained(folder / "transformer")
    AutoencoderKLWan(
        base_dim=8, z_dim=4, num_res_blocks=1, latents_mean=[0.1, -0.2, 0.0, 0.3], latents_std=[1.5, 2.0, 0.7, 1.0]
    ).save_pretrained(folder / "vae")
    UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0).save_pretrained(
        folder / "scheduler"
    )
    parts = {
        "transformer": ["diffusers", "WanTransformer3DModel"],
        "vae": ["diffusers", "AutoencoderKLWan"],
        "text_encoder": ["transformers", "UMT5EncoderModel"],
        "tokenizer": ["transformers", "T5TokenizerFast"],
        "scheduler": ["diffusers", "UniPCMultistepScheduler"],
    }
    index = {"_class_name": "WanPipeline", "_diffusers_version": "0.33.0", **parts}
    (folder / "model_index.json").write_text(json.dumps(index))
    return folder


def write_wan_vace(folder):
    """A folder as Wan-AI/Wan2.1-VACE-1.3B-diffusers has it: Wan's, with a transformer of two streams."""
    from diffusers import WanVACETransformer3DModel

    write_wan(folder)
    config = json.loads((folder / "transformer" / "config.json").read_text())
    known = {key: value for key, value in config.items() if not key.startswith("_")}
    torch.manual_seed(0)
    made = WanVACETransformer3DModel(**{**known, "vace_layers": [0, 1], "vace_in_channels": 2 * 4 + 64})
    shutil.rmtree(folder / "transformer")
    made.save_pretrained(folder / "transformer")
    index = json.loads((folder / "model_index.json").read_text())
    index |= {"_class_name": "WanVACEPipeline", "transformer": ["diffusers", "WanVACETransformer3DModel"]}
    (folder / "model_index.json").write_text(json.dumps(index))
    return folder


def write_spiece(folder):
    """spiece.model as T5's has it, of single letters; returns how many tokens there are with the hundred extra ones."""
    from transformers.utils import sentencepiece_model_pb2_new as pieces

    folder.mkdir(parents=True)
    model = pieces.ModelProto()
    kinds = pieces.ModelProto.SentencePiece
    special = (("<pad>", kinds.CONTROL), ("</s>", kinds.CONTROL), ("<unk>", kinds.UNKNOWN))
    for piece, kind in special:
        model.pieces.add(piece=piece, score=0.0, type=kind)
    letters = "\u2581" + "".join(chr(code) for code in range(33, 127))
    for i, letter in enumerate(letters):
        model.pieces.add(piece=letter, score=-float(i + 1), type=kinds.NORMAL)
    model.trainer_spec.model_type = 1
    model.trainer_spec.unk_id, model.trainer_spec.bos_id = 2, -1
    model.trainer_spec.eos_id, model.trainer_spec.pad_id = 1, 0
    model.normalizer_spec.name = "nmt_nfkc"
    (folder / "spiece.model").write_bytes(model.SerializeToString())
    told = {"tokenizer_class": "T5Tokenizer", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>",
            "extra_ids": 100, "model_max_length": 226}  # fmt: skip
    (folder / "tokenizer_config.json").write_text(json.dumps(told))
    return len(model.pieces) + 100


def write_cogvideox(folder, face=False, **transformer):
    """A folder as zai-org/CogVideoX-5b has it, or BestWishYsh/ConsisID-preview: T5 in shards, DPM as scheduler."""
    from diffusers import (
        AutoencoderKLCogVideoX,
        CogVideoXDPMScheduler,
        CogVideoXTransformer3DModel,
        ConsisIDTransformer3DModel,
    )
    from transformers import T5Config, T5EncoderModel

    torch.manual_seed(0)
    words = write_spiece(folder / "tokenizer")
    T5EncoderModel(T5Config(
        vocab_size=words, d_model=16, d_kv=8, d_ff=32, num_layers=2, num_heads=2, pad_token_id=0, eos_token_id=1,
    )).save_pretrained(folder / "text_encoder", max_shard_size="20KB")  # fmt: skip
    size = {
        "num_attention_heads": 2, "attention_head_dim": 16, "in_channels": 4, "out_channels": 4, "time_embed_dim": 8,
        "text_embed_dim": 16, "num_layers": 2, "sample_width": 4, "sample_height": 4, "sample_frames": 9,
        "max_text_seq_length": 40, "use_rotary_positional_embeddings": True,
    }  # fmt: skip
    kind = CogVideoXTransformer3DModel
    if face:
        kind = ConsisIDTransformer3DModel
        size |= {
            "in_channels": 8, "is_train_face": True, "cross_attn_interval": 1, "cross_attn_dim_head": 8,
            "cross_attn_num_heads": 2, "LFE_id_dim": 6, "LFE_vit_dim": 8, "LFE_depth": 2, "LFE_dim_head": 8,
            "LFE_num_heads": 2, "LFE_num_id_token": 2, "LFE_num_querie": 3, "LFE_output_dim": 21, "LFE_num_scale": 2,
        }  # fmt: skip
    kind(**{**size, **transformer}).save_pretrained(folder / "transformer", max_shard_size="60KB")
    AutoencoderKLCogVideoX(
        block_out_channels=(8, 8, 8, 8), down_block_types=("CogVideoXDownBlock3D",) * 4,
        up_block_types=("CogVideoXUpBlock3D",) * 4, latent_channels=4, layers_per_block=1, norm_num_groups=4,
        sample_height=32, sample_width=32, temporal_compression_ratio=4,
    ).save_pretrained(folder / "vae")  # fmt: skip
    CogVideoXDPMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False, snr_shift_scale=1.0,
        prediction_type="v_prediction", rescale_betas_zero_snr=True, timestep_spacing="trailing",
    ).save_pretrained(folder / "scheduler")  # fmt: skip
    name = "ConsisID" if face else "CogVideoX"
    parts = {
        "transformer": ["diffusers", f"{name}Transformer3DModel"],
        "vae": ["diffusers", "AutoencoderKLCogVideoX"],
        "text_encoder": ["transformers", "T5EncoderModel"],
        "tokenizer": ["transformers", "T5Tokenizer"],
        "scheduler": ["diffusers", "CogVideoXDPMScheduler"],
    }
    index = {"_class_name": f"{name}Pipeline", "_diffusers_version": "0.33.0", **parts}
    (folder / "model_index.json").write_text(json.dumps(index))
    return folder


def take_published_levels(scheduler, monkeypatch):
    """A pipeline's Euler scheduler takes evenly spread levels before its shift, and not those of its training."""
    plain = scheduler.set_timesteps

    def even(steps, device):
        plain(sigmas=[1 - step / steps for step in range(steps)], device=device)

    monkeypatch.setattr(scheduler, "set_timesteps", even)


def write_toml(path, **tables):
    """A profile: top-level values first, then its tables; `None` leaves a line out."""
    lines = [f"{name} = {json.dumps(value)}" for name, value in tables.items() if not isinstance(value, dict)]
    for name, table in tables.items():
        if isinstance(table, dict):
            lines += ["", f"[{name.replace('__', '.')}]", *(f"{key} = {json.dumps(v)}" for key, v in table.items())]
    path.write_text("\n".join(lines) + "\n")
    return path
