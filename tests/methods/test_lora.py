"""LoRAs of the user's own: which file is a person's, what it does, and what is refused."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file

from pvbench.errors import MethodError, SettingError, WeightsError
from pvbench.identity import load_identities
from pvbench.method import METHODS, request_for, settings_from
from pvbench.methods.lora import lora_file
from pvbench.profile import load_profile
from pvbench.prompt import load_prompts
from pvbench.runner.plan import Choice, make_plan
from pvbench.testing import MethodContract
from pvbench.variant import select_variants

Lora = METHODS.get("lora")
PROMPT = load_prompts("mini_evaluation").prompts[0]


def tensors_for(backbone, seed=0):
    """A LoRA for the backbone, that does something."""
    generator = torch.Generator().manual_seed(seed)
    backbone.reset()
    for parameter in backbone.add_lora(4, 4.0, "qkv", generator):
        parameter.data.normal_(0, 0.2, generator=generator)
    found = backbone.lora_tensors(4.0, 4)
    backbone.reset()
    return found


class TestLora(MethodContract):
    method = Lora

    @pytest.fixture(scope="class")
    @classmethod
    def profile(cls, short_profile):
        return short_profile

    @pytest.fixture(scope="class")
    @classmethod
    def backbone(cls, short_backbone, tmp_path_factory):
        folder = tmp_path_factory.mktemp("loras")
        save_file(tensors_for(short_backbone), folder / "ada.safetensors")
        cls.settings = {"path": str(folder), "keyword": "sks"}
        return short_backbone


def settings(folder, **more):
    return settings_from(Lora.Settings, {"path": str(folder), **more})


def made(backbone, folder, **more):
    (video,) = Lora(settings(folder, **more), backbone, load_profile("mini")).generate(
        load_identities(["ada"])[0], None, [request_for(load_identities(["ada"])[0], PROMPT, 0)]
    )
    return video.digest


def test_scale_and_span_change_the_video_and_the_place_does_not(short_backbone, tmp_path):
    save_file(tensors_for(short_backbone), tmp_path / "ada.safetensors")
    (tmp_path / "ada").mkdir()
    elsewhere = tmp_path / "other"
    (elsewhere / "ada").mkdir(parents=True)
    save_file(tensors_for(short_backbone), elsewhere / "ada" / "pytorch_lora_weights.safetensors")
    plain = made(short_backbone, tmp_path)
    assert made(short_backbone, elsewhere) == plain
    changed = {made(short_backbone, tmp_path, **one) for one in ({"scale": 0.5}, {"span": 0.5})}
    assert len(changed | {plain}) == 3


def test_it_does_what_the_same_adapter_does_as_pvbenchs_own(short_backbone, tmp_path):
    tensors = tensors_for(short_backbone)
    save_file(tensors, tmp_path / "ada.safetensors")
    found = made(short_backbone, tmp_path)
    short_backbone.load_lora(tensors)
    ada = load_identities(["ada"])[0]
    expected = short_backbone.sample(PROMPT.render(ada.class_noun), request_for(ada, PROMPT, 0).noise_seed)
    short_backbone.reset()
    assert found == expected.digest


@pytest.mark.parametrize(
    ("file", "checkpoint"),
    [
        ("ada.safetensors", 0),
        ("ada.ckpt", 0),
        ("ada/pytorch_lora_weights.safetensors", 0),
        ("ada/ada.pt", 0),
        ("ada/anything.safetensors", 0),
        ("ada/checkpoint-500/pytorch_lora_weights.safetensors", 500),
        ("ada-000010.safetensors", 10),
        ("ada/ada-000010.safetensors", 10),
    ],
)
def test_a_persons_file_is_found(tmp_path, file, checkpoint):
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).write_bytes(b"x")
    assert lora_file(settings(tmp_path, checkpoint=checkpoint), "ada") == tmp_path / file
    with pytest.raises(SettingError, match="no file for 'bob'"):
        lora_file(settings(tmp_path, checkpoint=checkpoint), "bob")


def choice(folder, people="ada", more=""):
    return Choice(methods=f"lora[path={folder}{more}]", identities=people, prompts="1")


def test_a_key_rests_on_the_file_and_not_on_where_it_lies(tmp_path):
    keys = []
    for place, content in (("one", b"x"), ("two", b"x"), ("three", b"y")):
        (tmp_path / place).mkdir()
        (tmp_path / place / "ada.safetensors").write_bytes(content)
        (tmp_path / place / "ben.safetensors").write_bytes(b"z")
        plan = make_plan(choice(tmp_path / place, "ada,ben"))
        keys.append([plan.video_key(cell) for cell in plan.cells])
    assert keys[0] == keys[1]
    assert keys[0][0] != keys[2][0]
    assert keys[0][1] == keys[2][1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lora", "needs a path: lora"),
        ("lora[path=/nowhere]", "no file for 'ada' in /nowhere; expected ada.safetensors"),
        ("lora[path=/nowhere,checkpoint=5]", "no file for 'ada' with checkpoint 5"),
        ("lora[path=x,scale=0]", "scale must be positive"),
        ("lora[path=x,span=1.5]", "span is 1.5"),
    ],
)
def test_what_cannot_be_used_is_told_before_anything_is_loaded(text, message):
    with pytest.raises(SettingError, match=message):
        make_plan(Choice(methods=text, identities="ada", prompts="1"))


def test_one_file_is_for_one_person(tmp_path):
    (tmp_path / "ada.safetensors").write_bytes(b"x")
    assert make_plan(choice(tmp_path / "ada.safetensors")).cells
    with pytest.raises(SettingError, match="there are 2 people"):
        make_plan(choice(tmp_path / "ada.safetensors", "2"))
    (tmp_path / "ada").mkdir()
    for name in ("one.safetensors", "two.safetensors"):
        (tmp_path / "ada" / name).write_bytes(b"x")
    (tmp_path / "ada.safetensors").unlink()
    with pytest.raises(SettingError, match="holds 2 files of tensors"):
        make_plan(choice(tmp_path))


def test_all_methods_are_those_that_need_no_file():
    names = {variant.method for variant in select_variants(["all"], load_profile("mini"))}
    assert "base" in names
    assert "lora" not in names


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda one: {key: value * 0 for key, value in one.items()}, "changes nothing"),
        (lambda one: {key.replace("attn1", "attn7"): value for key, value in one.items()}, "made for another model"),
        (lambda one: {key.replace("lora_A", "lokr_w1"): value for key, value in one.items()}, "LoKr, not LoRA"),
    ],
)
def test_a_file_that_does_not_fit_stops_the_run_and_names_itself(short_backbone, tmp_path, change, message):
    save_file(change(tensors_for(short_backbone)), tmp_path / "ada.safetensors")
    with pytest.raises(WeightsError, match=message) as told:
        made(short_backbone, tmp_path)
    assert "ada.safetensors, the LoRA of 'ada'" in str(told.value)


def test_a_pickle_with_code_is_refused(short_backbone, tmp_path):
    torch.save({"harm": replace}, tmp_path / "ada.ckpt")
    with pytest.raises(WeightsError, match="holds code beside its tensors"):
        made(short_backbone, tmp_path)


def test_a_backbone_that_takes_none_says_so(short_backbone, tmp_path, monkeypatch):
    from pvbench.latent_backbone import LatentBackbone

    monkeypatch.setattr(type(short_backbone), "load_foreign_lora", LatentBackbone.load_foreign_lora)
    with pytest.raises(MethodError, match="takes no LoRAs of other trainers"):
        short_backbone.load_foreign_lora({})
