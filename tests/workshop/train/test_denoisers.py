"""The text-to-image side and the motion modules are trained by one recipe: on a GPU in bfloat16, with Muon."""

import json
import shutil
from dataclasses import asdict, replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

from pvbench.backbones.attention import _JointAttention
from pvbench.errors import PvbenchError
from pvbench.profile import load_profile
from pvbench.weights import weights_folder
from pvbench.world import vocabulary
from workshop import dataset
from workshop.commands import app
from workshop.train import motion, samples, text_to_image
from workshop.train.captions import MAX_TOKENS, random_caption, tokens
from workshop.train.loop import Place

CPU = torch.device("cpu")
SHORT = {"steps": 2, "batch": 2, "every": 1}


def shard(count, frames):
    """Noise around a face in the middle; sample i wears colour i."""
    rng = np.random.default_rng(0)
    labels = np.zeros((count, len(vocabulary.LABELS)), np.int8)
    labels[:, list(vocabulary.LABELS).index("colour")] = np.arange(count)
    marks = np.array([[24, 24], [40, 24], [32, 32], [26, 40], [38, 40]], np.float32)
    return dataset.Shard(
        frames=rng.integers(0, 256, (count, frames, 64, 64, 3), dtype=np.uint8),
        landmarks=np.tile(marks, (count, frames, 1, 1)),
        yaw=np.zeros((count, frames), np.float32),
        person=np.arange(count, dtype=np.int32),
        labels=labels,
        traits=np.zeros((count, 3), np.float32),
        parts=np.zeros((count, frames, 64, 64), np.uint8),
    )


def small_unet():
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel(
        sample_size=16, in_channels=12, out_channels=12, block_out_channels=(16, 16), layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D"), mid_block_type="UNetMidBlock2DCrossAttn",
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D"), cross_attention_dim=128, attention_head_dim=2,
        norm_num_groups=4,
    )  # fmt: skip


def small_motion_adapter():
    from diffusers import MotionAdapter

    return MotionAdapter(
        block_out_channels=(16, 16), motion_layers_per_block=1, motion_mid_block_layers_per_block=1,
        motion_num_attention_heads=2, motion_norm_num_groups=4, motion_max_seq_length=16,
    )  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder of trainings that has a VAE and a tokenizer."""
    out = tmp_path_factory.mktemp("trainings")
    for model in ("vae", "tokenizer"):
        shutil.copytree(weights_folder("mini") / model, out / model)
    return Place(out, out, CPU, 1)


@pytest.fixture(scope="module")
def tokenizer(place):
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast.from_pretrained(place.out / "tokenizer")


@pytest.fixture(scope="module")
def trained(place):
    """Both denoisers, as small ones, after two steps of the recipe for GPUs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_to_image, "make_unet", small_unet)
        patch.setattr(motion, "make_motion_adapter", small_motion_adapter)
        shown = {"photo": shard(8, 1), "video": shard(2, 8)}
        patch.setattr(dataset, "load", lambda root, pool, kind, samples=None: shown[kind])
        for module in (text_to_image, motion):
            module.train(place, replace(module.GPU_PLAN, **SHORT))
    return place.out


@pytest.mark.parametrize("model", ["text_encoder", "unet", "motion_adapter", "domain_adapter"])
def test_cards_of_the_recipe_tell_how_and_with_what_result(trained, model):
    card = json.loads((trained / model / "card.json").read_text())
    module = motion if model.endswith("adapter") else text_to_image
    assert card["plan"] == asdict(replace(module.GPU_PLAN, **SHORT))
    assert {"precision": "bfloat16", "optimiser": "muon", "muon_kernels": True}.items() <= card["plan"].items()
    assert card["quality_on_held_out_people"]["held_out_loss"] > 0
    assert card["torch"] == torch.__version__
    assert card["hardware"].startswith("CPU")
    assert card["ended_by"] == "the number of steps"
    assert card["steps"] == 2
    assert card.get("joint_attention") == (64 if module is motion else None)


def test_held_out_losses_are_logged(trained):
    for name in ("text_to_image", "motion"):
        lines = [json.loads(line) for line in (trained / f"{name}.log.jsonl").read_text().splitlines()]
        assert [line["step"] for line in lines] == [1, 2, 2]
        assert lines[-1]["held_out_loss"] > 0


def test_models_of_earlier_trainings_come_from_the_start_where_the_folder_has_none(trained, tmp_path):
    place = Place(tmp_path, tmp_path, CPU, 1, start=trained)
    assert place.finished("unet") == trained / "unet"
    (tmp_path / "unet").mkdir()
    assert place.finished("unet") == tmp_path / "unet"
    with pytest.raises(PvbenchError, match=r"no clip_reward in .*train it first"):
        place.finished("clip_reward")


def test_what_is_trained_is_saved_in_half_precision_and_finite(trained):
    for path in sorted(trained.glob("*/*.safetensors")):
        for name, value in load_file(path).items():
            assert value.dtype == torch.float16, (path, name)
            assert value.isfinite().all(), (path, name)
    unet = load_file(trained / "unet" / "diffusion_pytorch_model.safetensors")
    torch.manual_seed(0)
    assert any(not torch.equal(unet[name], value.half()) for name, value in small_unet().state_dict().items())
    positions = load_file(trained / "motion_adapter" / "diffusion_pytorch_model.safetensors")
    for name, value in small_motion_adapter().state_dict().items():
        if "pos_embed" in name:
            assert torch.equal(positions[name], value.half())


def test_motion_is_trained_with_the_attention_that_sampling_has(monkeypatch, tmp_path):
    monkeypatch.setattr(motion, "make_motion_adapter", small_motion_adapter)
    unet = motion.make_model(small_unet(), Place(tmp_path, tmp_path, CPU, 1))
    spatial = {name: p for name, p in unet.attn_processors.items() if ".attentions." in name and ".attn1." in name}
    assert spatial
    for processor in spatial.values():
        assert isinstance(processor, _JointAttention)
        assert processor.positions == load_profile("mini").backbone["joint_attention"]
    trained = {name for name, p in unet.named_parameters() if p.requires_grad}
    assert all("motion_modules" in name or "lora_" in name for name in trained)


def test_samples_are_drawn_by_the_generator_with_captions_of_their_own(place, tokenizer):
    found = samples.encode(text_to_image.load_vae(place), tokenizer, shard(9, 2), place, 0)
    assert found.latents.shape == (9, 12, 2, 16, 16)
    assert found.faces.shape == (9, 1, 2, 16, 16)
    assert found.words.shape == (9, samples.CAPTIONS, MAX_TOKENS)
    assert found.words.dtype == torch.int16
    first, same, other = (found.draw(400, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert all(torch.equal(a, b) for a, b in zip(first, same, strict=True))
    assert not torch.equal(first[2], other[2])
    latents, _, words = first
    silent = (words == found.no_words).all(dim=1)
    assert float(silent.float().mean()) == pytest.approx(samples.NO_CAPTION, abs=0.05)  # standard error 0.016
    picked = [int(((found.latents.float() - z).abs().sum(dim=(1, 2, 3, 4)) == 0).nonzero()) for z in latents]
    assert set(picked) == set(range(9))
    for i, text, quiet in zip(picked, words, silent, strict=True):
        assert quiet or any(torch.equal(text, own) for own in found.words[i].long())
    in_turn = [torch.cat(parts) for parts in zip(*found.split(4), strict=True)]
    assert torch.equal(in_turn[0], found.latents.float())
    assert torch.equal(in_turn[2], found.words[:, 0].long())
    rng = np.random.default_rng([0, 0])
    texts = [random_caption(shard(9, 2).labels[0], rng) for _ in range(samples.CAPTIONS)]
    assert torch.equal(found.words[0].long(), tokens(tokenizer, texts))


def test_captions_do_not_depend_on_the_processes_that_draw_them(monkeypatch, tokenizer):
    monkeypatch.setattr(samples, "_CHUNK", 4)
    labels = shard(9, 1).labels
    alone = samples.draw_words(tokenizer, labels, 0, 1)
    monkeypatch.setattr(samples, "_WORTH_A_PROCESS", 1)
    used = []

    class Pool:
        """Runs its jobs here."""

        def __init__(self, workers):
            used.append(workers)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def map(self, function, jobs):
            return [function(job) for job in jobs]

    monkeypatch.setattr(samples.multiprocessing, "get_context", lambda _: SimpleNamespace(Pool=Pool))
    assert torch.equal(samples.draw_words(tokenizer, labels, 0, 8), alone)
    assert used == [3]
    assert not torch.equal(samples.draw_words(tokenizer, labels, 1, 8), alone)


@pytest.mark.parametrize("module", [text_to_image, motion])
def test_the_command_takes_the_devices_plan_and_what_options_change(monkeypatch, module):
    name = module.__name__.rsplit(".", 1)[-1].replace("_", "-")
    taken = []
    monkeypatch.setattr(module, "train", lambda place, plan: taken.append(plan))
    monkeypatch.setattr("pvbench.machine.devices.torch_device", torch.device)

    def plan(*options):
        found = CliRunner().invoke(app, ["train", name, *options], catch_exceptions=False)
        assert found.exit_code == 0
        return taken.pop()

    assert plan("--device", "cpu") == module.PLAN
    assert plan("--device", "cuda") == module.GPU_PLAN
    changed = plan("--device", "cuda", "--seconds", "180", "--batch", "96", "--rate", "0.002")
    assert changed == replace(module.GPU_PLAN, steps=0, seconds=180.0, batch=96, rate=0.002)
    assert plan("--device", "cpu", "--steps", "7") == replace(module.PLAN, steps=7)
