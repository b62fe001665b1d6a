"""HunyuanVideo's transformer in its authors' file: written backwards here, read forwards by the loader."""

import re

import pytest
import torch
from safetensors.torch import save_file

from pvbench.backbone import load_backbone, with_checkpoint
from pvbench.backbones.hunyuan_file import _renamed
from pvbench.backbones.hunyuan_loader import HunyuanLoader
from pvbench.errors import WeightsError
from pvbench.runner.weights import with_own_weights
from pvbench.style import Style

pytestmark = pytest.mark.usefixtures("no_network")
TEXT = "a woman in a red coat on a beach"
NAME = "mp_rank_00_model_states.pt"

AROUND = {
    "x_embedder": "img_in", "norm_out.linear": "final_layer.adaLN_modulation.1", "proj_out": "final_layer.linear",
    "time_text_embed.timestep_embedder.linear_1": "time_in.mlp.0",
    "time_text_embed.timestep_embedder.linear_2": "time_in.mlp.2",
    "time_text_embed.guidance_embedder.linear_1": "guidance_in.mlp.0",
    "time_text_embed.guidance_embedder.linear_2": "guidance_in.mlp.2",
    "time_text_embed.text_embedder.linear_1": "vector_in.in_layer",
    "time_text_embed.text_embedder.linear_2": "vector_in.out_layer",
}  # fmt: skip
TEXTS = {
    "context_embedder": "txt_in", "proj_in": "input_embedder", "time_text_embed.text_embedder": "c_embedder",
    "time_text_embed.timestep_embedder.linear_1": "t_embedder.mlp.0",
    "time_text_embed.timestep_embedder.linear_2": "t_embedder.mlp.2",
    "token_refiner.refiner_blocks": "individual_token_refiner.blocks", "norm_out.linear": "adaLN_modulation.1",
    "attn.to_q": "self_attn_qkv", "attn.to_out.0": "self_attn_proj", "ff.net.0.proj": "mlp.fc1", "ff.net.2": "mlp.fc2",
}  # fmt: skip
DOUBLE = {
    "transformer_blocks": "double_blocks", "norm1.linear": "img_mod.linear", "norm1_context.linear": "txt_mod.linear",
    "attn.to_q": "img_attn_qkv", "attn.add_q_proj": "txt_attn_qkv", "attn.norm_q": "img_attn_q_norm",
    "attn.norm_k": "img_attn_k_norm", "attn.norm_added_q": "txt_attn_q_norm", "attn.norm_added_k": "txt_attn_k_norm",
    "attn.to_out.0": "img_attn_proj", "attn.to_add_out": "txt_attn_proj", "ff.net.0.proj": "img_mlp.fc1",
    "ff.net.2": "img_mlp.fc2", "ff_context.net.0.proj": "txt_mlp.fc1", "ff_context.net.2": "txt_mlp.fc2",
}  # fmt: skip
SINGLE = {
    "single_transformer_blocks": "single_blocks", "norm.linear": "modulation.linear", "attn.to_q": "linear1",
    "proj_out": "linear2", "attn.norm_q": "q_norm", "attn.norm_k": "k_norm",
}  # fmt: skip
TABLES = {"context_embedder": TEXTS, "transformer_blocks": DOUBLE, "single_transformer_blocks": SINGLE}


def original(state):
    """A transformer's tensors as its authors have them: queries, keys and values in one, a shift before its scale."""
    found = {}
    for key, value in state.items():
        first = key.partition(".")[0]
        if re.search(r"\.(to_[kv]|add_[kv]_proj|proj_mlp)\.", key):
            continue
        if re.search(r"\.(to_q|add_q_proj)\.", key):
            more = [re.sub(r"(to|add)_q", rf"\1_{letter}", key) for letter in "kv"]
            more += [key.replace("attn.to_q", "proj_mlp")] if first.startswith("single") else []
            value = torch.cat([value, *(state[one] for one in more)])
        if first == "norm_out":
            value = torch.cat(value.chunk(2)[::-1])
        for ours, theirs in TABLES.get(first, AROUND).items():
            key = re.sub(rf"(?<![^.]){re.escape(ours)}(?=\.)", theirs, key)
        found[key] = value.clone()
    return found


@pytest.fixture(scope="module")
def tensors(tiny_hunyuan):
    """Another transformer of the tiny folder's configuration, in its authors' names."""
    from diffusers import HunyuanVideoTransformer3DModel

    with torch.random.fork_rng():
        torch.manual_seed(5)
        return original(HunyuanVideoTransformer3DModel.from_config(tiny_hunyuan.pipe.transformer.config).state_dict())


@pytest.fixture
def written(tensors, tmp_path):
    """Writes the file, changed, and returns its path."""

    def write(change=lambda state: state, name=NAME):
        state = change(dict(tensors))
        if name.endswith(".safetensors"):
            save_file(state, tmp_path / name)
        else:
            torch.save({"module": state} if name == NAME else state, tmp_path / name)
        return str(tmp_path / name)

    return write


@torch.no_grad()
@pytest.mark.parametrize("name", [NAME, "plain.pt", "hunyuan_video.safetensors"])
def test_the_file_is_the_transformer_that_it_was_written_from(hunyuan, written, name):
    """Tensors and outputs are those of a folder's transformer, and nothing is left of the folder's."""
    # Loaded anew: the tests' shared one may have an adapter's layers.
    own = load_backbone(hunyuan(), "cpu")
    kept = {key: value.clone() for key, value in own.pipe.transformer.state_dict().items()}
    path = written(lambda _: original(kept), name)
    loaded = load_backbone(hunyuan(transformer=path), "cpu")
    found = loaded.pipe.transformer.state_dict()
    assert found.keys() == kept.keys()
    assert all(torch.equal(found[key], kept[key]) for key in kept)
    assert not any(parameter.requires_grad for parameter in loaded.pipe.transformer.parameters())
    noise = loaded.noise(3)
    expected = own.denoise(noise, own.encode(TEXT), 0, 2)
    assert torch.equal(loaded.denoise(noise, loaded.encode(TEXT), 0, 2), expected)
    other = load_backbone(hunyuan(transformer=written()), "cpu")
    assert not torch.equal(other.denoise(noise, other.encode(TEXT), 0, 2), expected)


def test_the_renaming_is_diffusers_own():
    """At the published width, which its own conversion takes for granted; columns play no part and are cut to one."""
    from diffusers import HunyuanVideoTransformer3DModel
    from diffusers.loaders.single_file_utils import convert_hunyuan_video_transformer_to_diffusers

    with torch.device("meta"):
        own = HunyuanVideoTransformer3DModel(num_layers=2, num_single_layers=2).state_dict()
    generator = torch.Generator().manual_seed(0)
    given = original({key: torch.randn(len(value), 1, generator=generator) for key, value in own.items()})
    found, theirs = dict(_renamed(given, own)), convert_hunyuan_video_transformer_to_diffusers(dict(given))
    assert found.keys() == theirs.keys() == own.keys()
    assert all(torch.equal(found[key], theirs[key]) for key in found)


def test_the_precision_is_the_profiles(hunyuan, written):
    path = written(lambda state: {key: value.bfloat16() for key, value in state.items()})
    for precision in ("float32", "bfloat16"):
        loaded = load_backbone(hunyuan(transformer=path, precision=precision), "cpu")
        kinds = {parameter.dtype for parameter in loaded.pipe.transformer.parameters()}
        assert kinds == {getattr(torch, precision)}


def test_the_file_is_in_the_signature_and_the_folders_weights_are_not(hunyuan, checkpoints, written, tmp_path):
    """The folder need not have them at all."""
    plain, path = HunyuanLoader.signature(hunyuan())["weights"], written()
    changed = HunyuanLoader.signature(hunyuan(transformer=path))["weights"]
    assert changed["transformer"] != plain["transformer"]
    assert {key: changed[key] for key in set(plain) - {"transformer"}} == {
        key: plain[key] for key in set(plain) - {"transformer"}
    }
    written(lambda state: {**state, "img_in.proj.bias": state["img_in.proj.bias"] + 1})
    assert HunyuanLoader.signature(hunyuan(transformer=path))["weights"]["transformer"] != changed["transformer"]
    bare = tmp_path / "bare"
    bare.mkdir()
    for part in (checkpoints / "hunyuan").iterdir():
        if part.name != "transformer":
            (bare / part.name).symlink_to(part)
    (bare / "transformer").mkdir()
    with pytest.raises(WeightsError, match=r"transformer/: config\.json"):
        HunyuanLoader.signature(hunyuan(base=str(bare), transformer=path))
    (bare / "transformer" / "config.json").symlink_to(checkpoints / "hunyuan" / "transformer" / "config.json")
    profile = hunyuan(base=str(bare), transformer=path)
    assert HunyuanLoader.located(profile) == f"{bare}, {path}"
    assert load_backbone(profile, "cpu").signature["weights"]["layout"] == changed["layout"]
    # The tiny networks are less than a MiB; what is counted is the file.
    assert HunyuanLoader.memory_gib(profile, gradient=False) > HunyuanLoader.memory_gib(
        hunyuan(base=str(bare), transformer=written(lambda state: {"img_in.proj.bias": torch.zeros(1)}, "a.pt")),
        gradient=False,
    )


def test_a_run_may_name_the_file_and_a_styles_checkpoint_replaces_it(hunyuan, written, checkpoints):
    path = written()
    profile = with_own_weights(hunyuan(), [f"transformer={path}"])
    assert profile.backbone["transformer"] == path
    styled = with_checkpoint(profile, Style("ink", checkpoint=str(checkpoints / "hunyuan")))
    assert "transformer" not in styled.backbone
    assert HunyuanLoader.signature(styled) == HunyuanLoader.signature(hunyuan())


def without(key):
    def change(state):
        assert key in state
        return {name: value for name, value in state.items() if name != key}

    return change


BIAS = "double_blocks.1.txt_attn_qkv.bias"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without(BIAS), "3 missing, such as transformer_blocks.1.attn.add_k_proj.bias"),
        (lambda one: {**one, "extra.weight": torch.zeros(3)}, "1 unexpected, such as extra.weight"),
        (lambda one: {**one, "proj_out.bias": torch.zeros(3)}, "1 unexpected, such as proj_out.bias (in diffusers'"),
        (lambda one: {**one, "double_blocks.2.img_mod.linear.bias": torch.zeros(192)}, "1 unexpected, such as double_"),
        (lambda one: {**one, BIAS: one[BIAS][1:]}, f"1 unexpected, such as {BIAS}"),
        (lambda one: {**one, "img_in.proj.bias": torch.zeros(3)}, "1 mismatched, such as x_embedder.proj.bias"),
        (lambda one: {**one, "img_in.proj.bias": torch.tensor(0.0)}, "1 missing, such as x_embedder.proj.bias"),
        (lambda one: {**one, BIAS: one[BIAS] * torch.nan}, "numbers that are not finite"),
        (lambda one: {**one, BIAS: one[BIAS].to(torch.float8_e4m3fn)}, "float8_e4m3fn, whose scale lies elsewhere"),
        (lambda one: {"transformer_blocks.0.attn.to_q.bias": torch.zeros(3)}, "holds no double_blocks.*; expected"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(hunyuan, written, change, message):
    with pytest.raises(WeightsError) as told:
        load_backbone(hunyuan(transformer=written(change)), "cpu")
    assert message in str(told.value)
    assert NAME in str(told.value)


def test_code_in_a_file_is_not_run(hunyuan, tmp_path):
    torch.save({"module": {}, "callbacks": pytest.raises}, tmp_path / NAME)
    with pytest.raises(WeightsError, match=rf"{NAME} holds code beside its tensors.*nothing of it was run"):
        load_backbone(hunyuan(transformer=str(tmp_path / NAME)), "cpu")


def test_a_file_that_is_none_is_told(hunyuan, tmp_path):
    with pytest.raises(WeightsError, match=r"\[backbone\] transformer: there is no 'nowhere.pt'"):
        HunyuanLoader.signature(hunyuan(transformer="nowhere.pt"))
    for name in ("model.gguf", "folder.pt"):
        (tmp_path / name).mkdir() if name == "folder.pt" else (tmp_path / name).touch()
        with pytest.raises(WeightsError, match=rf"{name} is not a checkpoint; expected a file in the names of"):
            HunyuanLoader.signature(hunyuan(transformer=str(tmp_path / name)))
