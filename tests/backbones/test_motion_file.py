"""Motion modules out of AnimateDiff's own files: the renaming is diffusers', and what does not fit is refused."""

import pytest
import torch
from safetensors.torch import save_file

from pvbench.backbones.animatediff_loader import AnimateDiffLoader
from pvbench.backbones.motion_file import load_motion_file, longest_motion
from pvbench.errors import ProfileError, WeightsError

THEIRS = (
    (".attn1.", ".attention_blocks.0."),
    (".attn2.", ".attention_blocks.1."),
    (".norm1.", ".norms.0."),
    (".norm2.", ".norms.1."),
    (".norm3.", ".ff_norm."),
)


@pytest.fixture(scope="module", params=[True, False], ids=["with a middle", "without"])
def adapter(request):
    from diffusers import MotionAdapter

    with torch.random.fork_rng():
        torch.manual_seed(2)
        made = MotionAdapter(
            block_out_channels=(32, 64),
            motion_layers_per_block=1,
            motion_max_seq_length=12,
            use_motion_mid_block=request.param,
        )
        for parameter in made.parameters():
            parameter.data += 0.05 * torch.randn(parameter.shape)
    return made


def original(adapter):
    """An adapter's tensors as AnimateDiff's files have them: by hand, the other way round."""
    found = {}
    for name, value in adapter.state_dict().items():
        head, _, rest = name.partition(".motion_modules.")
        number, _, inner = rest.partition(".")
        key = f".{inner}"
        if key.endswith(".pos_embed.pe"):
            block = key.removesuffix(".pos_embed.pe")
            names = [f"{block}.attention_blocks.{half}.pos_encoder.pe" for half in (0, 1)]
        else:
            for ours, theirs in THEIRS:
                key = key.replace(ours, theirs)
            names = [key]
        for one in names:
            found[f"module.{head}.motion_modules.{number}.temporal_transformer{one}"] = value.clone()
    return found


@pytest.mark.parametrize("suffix", [".ckpt", ".safetensors"])
def test_a_file_is_the_adapter_that_it_was_written_from(adapter, tmp_path, suffix):
    path = tmp_path / f"mm{suffix}"
    if suffix == ".ckpt":
        torch.save({"epoch": 3, "state_dict": original(adapter)}, path)
    else:
        save_file(original(adapter), path)
    loaded = load_motion_file(path)
    assert dict(loaded.config)["block_out_channels"] == (32, 64)
    assert dict(loaded.config)["use_motion_mid_block"] is adapter.config.use_motion_mid_block
    assert longest_motion(path) == 12
    wanted = adapter.state_dict()
    assert set(loaded.state_dict()) == set(wanted)
    for name, value in loaded.state_dict().items():
        assert torch.equal(value, wanted[name]), name
    assert not any(parameter.requires_grad for parameter in loaded.parameters())


def test_the_renaming_is_diffusers_own(adapter, tmp_path):
    from diffusers.loaders.single_file_utils import convert_animatediff_checkpoint_to_diffusers

    save_file(original(adapter), tmp_path / "mm.safetensors")
    theirs = convert_animatediff_checkpoint_to_diffusers(
        {name.removeprefix("module."): value for name, value in original(adapter).items()}
    )
    loaded = load_motion_file(tmp_path / "mm.safetensors").state_dict()
    assert {name for name in loaded if not name.endswith(".pe")} == set(theirs)
    assert all(torch.equal(loaded[name], value) for name, value in theirs.items())


def test_a_missing_an_additional_and_a_wide_tensor_are_named(adapter, tmp_path):
    state = original(adapter)
    names = sorted(name for name in state if "to_q" in name)
    del state[names[0]]
    state[names[1]] = torch.zeros(3, 3)
    state["module.down_blocks.0.motion_modules.0.temporal_transformer.gate.weight"] = torch.zeros(2)
    save_file(state, tmp_path / "mm.safetensors")
    with pytest.raises(
        WeightsError, match=r"1 missing, .*to_q.*; 1 unexpected, .*gate.*; 1 mismatched, .*to_q"
    ) as told:
        load_motion_file(tmp_path / "mm.safetensors")
    assert "does not fit MotionAdapter" in str(told.value)


def test_a_file_without_motion_modules_is_refused(tmp_path):
    save_file({"unet.conv.weight": torch.zeros(2)}, tmp_path / "mm.safetensors")
    with pytest.raises(WeightsError, match=r"holds no motion modules; expected one of AnimateDiff's files"):
        load_motion_file(tmp_path / "mm.safetensors")


def test_a_profile_may_name_the_file_and_too_many_frames_are_refused(adapter, animatediff, tmp_path):
    save_file(original(adapter), tmp_path / "mm.safetensors")
    signature = AnimateDiffLoader.signature(animatediff(motion=str(tmp_path / "mm.safetensors")))
    assert len(signature["weights"]["motion_adapter"]) == 16
    with pytest.raises(ProfileError, match="frames is 13; this motion adapter knows places in time for 12"):
        AnimateDiffLoader.signature(animatediff({"frames": 13}, motion=str(tmp_path / "mm.safetensors")))


def test_motion_modules_of_another_model_are_refused(adapter, animatediff, tmp_path):
    from pvbench.backbone import load_backbone

    save_file(original(adapter), tmp_path / "mm.safetensors")
    with pytest.raises(
        WeightsError, match=r"has motion modules for levels of \[32, 64\] channels, and .* has \[16, 32\]"
    ):
        load_backbone(animatediff(motion=str(tmp_path / "mm.safetensors")), "cpu")
