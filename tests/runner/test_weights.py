"""--weights of a run: which names there are, what they change, and that plans and keys know of it."""

import dataclasses
import json
import shutil
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file
from tiny_models import write_motion_adapter, write_stable_diffusion, write_toml

from pvbench.backbone import backbone_loader
from pvbench.errors import ProfileError, StoreError, WeightsError
from pvbench.features.published.settings import settings_of, weight_names
from pvbench.profile import list_profiles, load_profile
from pvbench.reward import ROLES, reward_loader
from pvbench.runner.plan import Choice, make_plan, plan_from_summary
from pvbench.runner.weights import with_own_weights

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Files and folders of some names, in the working folder."""
    monkeypatch.chdir(tmp_path)
    for name in ("sd", "motion", "pack"):
        (tmp_path / name).mkdir()
    for name in ("raft.pth", "hps.pt", "animator.ckpt"):
        (tmp_path / name).write_bytes(b"weights")
    return tmp_path


def test_a_name_stands_for_a_line_of_the_backbone_of_a_reward_or_for_an_evaluator(here):
    before = load_profile("animatediff")
    given = [
        "base=sd",
        "motion=motion",
        "rewards.hps=hps.pt",
        "rewards.animator=animator.ckpt",
        "hps=hps.pt",
        "raft=raft.pth",
    ]
    after = with_own_weights(before, given)
    assert after.backbone == {**before.backbone, "base": str(here / "sd"), "motion": str(here / "motion")}
    assert after.rewards == {
        **before.rewards, "hps": str(here / "hps.pt"), "animator": str(here / "animator.ckpt"),
    }  # fmt: skip
    assert settings_of(after)["files"] == {"hps": str(here / "hps.pt"), "flow": str(here / "raft.pth")}
    assert before.evaluators.get("files") is None


def test_face_alone_is_the_evaluators_and_not_the_rewards(here):
    after = with_own_weights(load_profile("animatediff"), ["face=pack"])
    assert settings_of(after)["files"] == {"face": str(here / "pack")}
    assert after.rewards["face"] == "buffalo_l"


def test_what_the_profile_says_of_other_files_stays(here):
    profile = load_profile(
        str(write_toml(here / "own.toml", extends="animatediff", evaluators__files={"clip": "mine.pt"}))
    )
    after = with_own_weights(profile, ["raft=raft.pth"])
    assert settings_of(after)["files"] == {"clip": "mine.pt", "flow": str(here / "raft.pth")}


def test_a_home_folder_is_found(here, monkeypatch):
    monkeypatch.setenv("HOME", str(here))
    assert with_own_weights(load_profile("wan"), ["base=~/sd"]).backbone["base"] == str(here / "sd")


def test_nothing_given_is_nothing_changed():
    profile = load_profile("mini")
    assert with_own_weights(profile, ()) is profile


@pytest.mark.parametrize(
    ("profile", "given", "message"),
    [
        ("animatediff", ["bse=sd"], r"--weights bse=sd: profile 'animatediff' has no weights 'bse' \(did you mean 'b"),
        ("animatediff", ["animator=sd"], r"did you mean 'rewards.animator'"),
        ("animatediff", ["precision=sd"], "has no weights 'precision'"),
        ("animatediff", ["kind=sd"], "known: base, layout, motion, domain, rewards.face, rewards.hps"),
        ("wan", ["motion=sd"], "has no weights 'motion'"),
        ("mini", ["raft=sd"], "has no weights 'raft'; known: weights, rewards.weights"),
        ("animatediff", ["base"], "expected NAME=PATH, such as base="),
        ("animatediff", ["base="], "expected NAME=PATH"),
        ("animatediff", ["=sd"], "expected NAME=PATH"),
        ("animatediff", ["base=sd", "base=motion"], "base is given twice"),
    ],
)  # fmt: skip
def test_what_is_no_weight_is_told(here, profile, given, message):
    with pytest.raises(ProfileError, match=message):
        with_own_weights(load_profile(profile), given)


@pytest.mark.parametrize("name", ["base", "rewards.hps", "raft"])
def test_a_path_that_is_not_there_is_told_whatever_it_is_for(here, name):
    with pytest.raises(
        WeightsError, match=f"--weights {name}=nowhere: there is no such file or folder; check the path"
    ):
        with_own_weights(load_profile("animatediff"), [f"{name}=nowhere"])


@pytest.mark.parametrize("name", list_profiles())
def test_every_line_that_counts_as_weights_is_on_the_page(name):
    profile, page = load_profile(name), (DOCS / "checkpoints.md").read_text(encoding="utf-8")
    loader = backbone_loader(profile)
    assert loader.weights
    of_rewards = [reward_loader(profile, role).weights for role in ROLES if role in profile.rewards]
    assert all(of_rewards)
    for line in [*loader.weights, *(f"rewards.{line}" for lines in of_rewards for line in lines)]:
        assert f"`{line}`" in page
    if "kind" in profile.evaluators:
        assert not set(loader.weights) & set(weight_names(profile))


@pytest.mark.parametrize(
    ("profile", "role"),
    [(name, role) for name in list_profiles() for role in ROLES if role in load_profile(name).rewards],
)
def test_every_line_that_counts_as_a_rewards_weights_is_read(here, profile, role):
    """A name that a loader does not read would be an option that changes nothing."""
    found = load_profile(profile)
    there = {"animator": "raft.pth", "ip_adapter_file": "raft.pth", "image_encoder": "sd"}
    for line in reward_loader(found, role).weights:
        broken = dataclasses.replace(found, rewards={**found.rewards, **there, line: 3})
        with pytest.raises(ProfileError, match=f"{line} is 3"):
            reward_loader(broken, role).signature(broken)


# Plans


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """Two tiny checkpoints of Stable Diffusion that differ in one number, and a profile that names the first."""
    folder = tmp_path_factory.mktemp("places")
    write_stable_diffusion(folder / "one")
    shutil.copytree(folder / "one", folder / "copy")
    shutil.copytree(folder / "one", folder / "other")
    file = next((folder / "other" / "vae").glob("*.safetensors"))
    tensors = load_file(file)
    next(iter(tensors.values())).view(-1)[0] += 1
    save_file(tensors, file, metadata={"format": "pt"})
    write_motion_adapter(folder / "motion")
    write_toml(
        folder / "tiny.toml",
        extends="animatediff",
        backbone={"base": str(folder / "one"), "motion": str(folder / "motion")},
        sampling={"frames": 4, "height": 64, "width": 64},
        evaluators={"kind": "mini", "weights": "mini"},
        prompts={"evaluation": "mini_evaluation", "simulated": "mini_simulated"},
    )
    return folder


def planned(places, *weights):
    return make_plan(Choice(str(places / "tiny.toml"), "base", "ada", "1", weights=weights))


def test_keys_rest_on_what_the_files_hold_and_not_on_where_they_lie(places):
    def key(*weights):
        plan = planned(places, *weights)
        return plan.video_key(plan.cells[0])

    assert key(f"base={places / 'copy'}") == key()
    assert key(f"base={places / 'other'}") != key()


def test_a_report_takes_the_same_weights_and_notices_others(places, tmp_path):
    own = shutil.copytree(places / "other", tmp_path / "own")
    plan = planned(places, f"base={own}")
    summary = json.loads(json.dumps(plan.summary()))
    assert summary["choice"]["weights"] == [f"base={own}"]
    assert plan.choice.command.endswith(f"--weights base={own}")
    back = plan_from_summary(summary, tmp_path / "plan.json")
    assert back.choice == plan.choice
    assert back.backbone_signature == plan.backbone_signature != planned(places).backbone_signature
    shutil.rmtree(own)
    shutil.copytree(places / "one", own)
    with pytest.raises(StoreError, match=r"backbone changed since that run; `pvbench run .*--weights base="):
        plan_from_summary(summary, tmp_path / "plan.json")


def test_a_plan_from_before_there_were_own_weights_is_read(places, tmp_path):
    summary = json.loads(json.dumps(planned(places).summary()))
    del summary["choice"]["weights"]
    assert plan_from_summary(summary, tmp_path / "plan.json").choice.weights == ()


def test_an_evaluators_file_is_in_the_signature_of_the_run(here, places):
    places_of = {"base": str(places / "one"), "motion": str(places / "motion")}
    size = {"frames": 4, "height": 64, "width": 64}
    published = write_toml(here / "published.toml", extends="animatediff", backbone=places_of, sampling=size)
    choice = Choice(str(published), "base", "ada", "1", weights=("raft=raft.pth",))
    signed = make_plan(choice).features.signature["flow"]
    assert signed["extractor"] == "own raft.pth"
    (here / "raft.pth").write_bytes(b"others")
    assert make_plan(choice).features.signature["flow"]["weights"] != signed["weights"]
