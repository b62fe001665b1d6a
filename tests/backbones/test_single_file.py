"""Stable Diffusion 1.5 as one file, in its authors' names: written backwards here, read forwards by the loader."""

import re

import pytest
import torch
from safetensors.torch import load_file, save_file

from pvbench.backbone import load_backbone
from pvbench.backbones.animatediff_loader import AnimateDiffLoader
from pvbench.errors import WeightsError

pytestmark = pytest.mark.usefixtures("no_network")

RESNET = {
    "norm1": "in_layers.0", "conv1": "in_layers.2", "time_emb_proj": "emb_layers.1", "norm2": "out_layers.0",
    "conv2": "out_layers.3", "conv_shortcut": "skip_connection",
}  # fmt: skip
AROUND = {
    "conv_in": "input_blocks.0.0", "time_embedding.linear_1": "time_embed.0", "time_embedding.linear_2": "time_embed.2",
    "conv_norm_out": "out.0", "conv_out": "out.2", "mid_block.resnets.0": "middle_block.0",
    "mid_block.attentions.0": "middle_block.1", "mid_block.resnets.1": "middle_block.2",
}  # fmt: skip
ATTENTION = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}


def of_unet(key):
    """The authors' name of a tensor of the tiny UNet, whose levels have one layer each."""
    for ours, theirs in AROUND.items():
        if key.startswith(f"{ours}."):
            return renamed(key.replace(ours, theirs, 1), RESNET if "resnets" in key else {})
    way, level, kind, layer, rest = re.fullmatch(r"(down|up)_blocks\.(\d)\.(\w+)\.(\d)\.(.*)", key).groups()
    level, layer = int(level), int(layer)
    if kind == "downsamplers":
        return f"input_blocks.{2 * level + 2}.0.op.{rest.removeprefix('conv.')}"
    if kind == "upsamplers":
        return f"output_blocks.{2 * level + 1}.1.{rest}"
    number = 2 * level + layer + (1 if way == "down" else 0)
    place = 0 if kind == "resnets" else 1
    return renamed(
        f"{'input' if way == 'down' else 'output'}_blocks.{number}.{place}.{rest}", RESNET if place == 0 else {}
    )


def of_autoencoder(key):
    """The authors' name of a tensor of the autoencoder, which counts upwards blocks from the finest."""
    key = key.replace("mid_block.resnets.0", "mid.block_1").replace("mid_block.resnets.1", "mid.block_2")
    key = key.replace("mid_block.attentions.0", "mid.attn_1").replace("conv_norm_out", "norm_out")
    key = re.sub(r"down_blocks\.(\d)\.resnets\.(\d)", r"down.\1.block.\2", key)
    key = re.sub(r"down_blocks\.(\d)\.downsamplers\.0", r"down.\1.downsample", key)
    key = re.sub(r"up_blocks\.(\d)\.resnets\.(\d)", lambda m: f"up.{3 - int(m[1])}.block.{m[2]}", key)
    key = re.sub(r"up_blocks\.(\d)\.upsamplers\.0", lambda m: f"up.{3 - int(m[1])}.upsample", key)
    return renamed(key.replace("conv_shortcut", "nin_shortcut"), ATTENTION if "attn_1" in key else {})


def renamed(key, names):
    for ours, theirs in names.items():
        key = re.sub(rf"(?<=\.){re.escape(ours)}(?=\.)", theirs, key)
    return key


def single_file(folder):
    """All tensors of a folder in diffusers' layout under their authors' names, with what such files hold besides."""
    tensors = {"model_ema.decay": torch.tensor(0.9)}
    for shard in (folder / "unet").glob("*.safetensors"):
        tensors |= {f"model.diffusion_model.{of_unet(key)}": value for key, value in load_file(shard).items()}
    for key, value in load_file(folder / "vae" / "diffusion_pytorch_model.safetensors").items():
        # The authors compute the autoencoder's attention by 1 x 1 convolutions.
        flat = "attentions" in key and "group_norm" not in key and value.ndim == 2
        tensors[f"first_stage_model.{of_autoencoder(key)}"] = value[:, :, None, None] if flat else value
    for key, value in load_file(folder / "text_encoder" / "model.safetensors").items():
        tensors[f"cond_stage_model.transformer.text_model.{key}"] = value
    tensors["cond_stage_model.transformer.text_model.embeddings.position_ids"] = torch.arange(77)[None]
    return {key: value.contiguous() for key, value in tensors.items()}


@pytest.fixture(scope="module")
def tensors(checkpoints):
    return single_file(checkpoints / "sd")


@pytest.fixture
def written(tensors, tmp_path):
    """Writes the file, changed, and returns its path."""

    def write(change=lambda state: state, name="realistic.safetensors"):
        state = change(dict(tensors))
        if name.endswith(".safetensors"):
            save_file(state, tmp_path / name)
        else:
            torch.save({"state_dict": state, "global_step": 7}, tmp_path / name)
        return str(tmp_path / name)

    return write


@pytest.mark.parametrize("name", ["realistic.safetensors", "realistic.ckpt"])
def test_a_single_file_gives_the_model_of_the_folder(animatediff, checkpoints, written, name):
    folder = load_backbone(animatediff(), "cpu")
    loaded = load_backbone(animatediff(base=written(name=name), layout=str(checkpoints / "sd")), "cpu")
    for part in ("unet", "vae", "text_encoder"):
        expected, found = getattr(folder.pipe, part).state_dict(), getattr(loaded.pipe, part).state_dict()
        assert expected.keys() == found.keys()
        assert all(torch.equal(expected[key], found[key]) for key in expected), part
    assert loaded.signature["weights"]["unet"] != folder.signature["weights"]["unet"]


def test_half_precision_is_computed_in_full(animatediff, checkpoints, written):
    base = written(lambda state: {key: value.half() for key, value in state.items()})
    loaded = load_backbone(animatediff(base=base, layout=str(checkpoints / "sd")), "cpu")
    assert {loaded.pipe.unet.dtype, loaded.pipe.vae.dtype, loaded.pipe.text_encoder.dtype} == {torch.float32}


UNET, VAE, TEXT = "model.diffusion_model.", "first_stage_model.", "cond_stage_model.transformer.text_model."


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: without(state, f"{UNET}out.0.bias"), "its unet"),
        (lambda state: {**state, f"{UNET}extra.weight": torch.zeros(3)}, "its unet"),
        (lambda state: without(state, f"{VAE}encoder.mid.attn_1.q.bias"), "its vae"),
        (lambda state: without(state, f"{TEXT}final_layer_norm.bias"), "1 missing, such as final_layer_norm.bias"),
        (lambda state: {**state, f"{TEXT}more": torch.zeros(3)}, "1 unexpected, such as more"),
        (lambda state: {k: v for k, v in state.items() if not k.startswith(VAE)}, "its vae"),
        (lambda state: {k: v for k, v in state.items() if not k.startswith(UNET)}, "expected a whole checkpoint"),
        (lambda state: {**state, f"{UNET}out.0.bias": torch.full((16,), torch.inf)}, "numbers that are not finite"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(animatediff, checkpoints, written, change, message):
    with pytest.raises(WeightsError) as told:
        load_backbone(animatediff(base=written(change), layout=str(checkpoints / "sd")), "cpu")
    assert message in str(told.value)
    assert "realistic.safetensors" in str(told.value)


def without(state, key):
    assert key in state
    return {name: value for name, value in state.items() if name != key}


def test_a_ckpt_with_code_is_refused_and_nothing_of_it_is_run(animatediff, checkpoints, tmp_path):
    torch.save({"state_dict": {}, "callbacks": pytest.raises}, tmp_path / "old.ckpt")
    with pytest.raises(WeightsError, match=r"old.ckpt holds code beside its tensors.*take the checkpoint as .safe"):
        load_backbone(animatediff(base=str(tmp_path / "old.ckpt"), layout=str(checkpoints / "sd")), "cpu")


def test_a_file_of_another_kind_is_told(animatediff, checkpoints, tmp_path):
    (tmp_path / "model.gguf").write_bytes(b"x")
    with pytest.raises(WeightsError, match=r"model\.gguf is not a checkpoint"):
        AnimateDiffLoader.signature(animatediff(base=str(tmp_path / "model.gguf"), layout=str(checkpoints / "sd")))
