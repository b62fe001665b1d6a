"""Plans: what is chosen, and what its keys rest on."""

import json
from dataclasses import replace

import pytest
from example_inputs import EXAMPLE_PROFILE

from pvbench.errors import IdentityError, MethodError, PromptError, SettingError
from pvbench.prompt import load_prompts
from pvbench.runner.plan import Cell, Choice, make_plan, plan_from_summary
from pvbench.runner.selection import select_prompts, select_seeds


def test_cells_come_by_variant_identity_prompt_and_seed(choice):
    plan = make_plan(choice(prompts="2", seeds="0,7"))
    assert len(plan.cells) == 16
    assert plan.cells[:3] == (
        Cell("example_drift", "ann", "surf", 0),
        Cell("example_drift", "ann", "surf", 7),
        Cell("example_drift", "ann", "read", 0),
    )
    assert len({plan.video_key(cell) for cell in plan.cells}) == 16


def test_texts_follow_the_identity(choice):
    plan = make_plan(choice())
    assert plan.text(Cell("example_drift", "ann", "read", 0)) == "a woman reads her book in the snow"
    assert plan.text(Cell("example_drift", "bob", "read", 0)) == "a man reads his book in the snow"


@pytest.mark.parametrize(("text", "seeds"), [("1", (0,)), ("3", (0, 1, 2)), ("7,", (7,)), ("5, 0", (5, 0))])
def test_seeds_are_a_number_or_a_list(text, seeds):
    assert select_seeds(text) == seeds


@pytest.mark.parametrize("text", ["", "0", "-1", "a", "1,b", ",", "1.5", "3,3"])
def test_other_texts_are_no_seeds(text):
    with pytest.raises(SettingError, match="--seeds is"):
        select_seeds(text)


def test_prompts_are_a_number_a_list_or_all():
    prompts = load_prompts(make_plan_prompts())
    assert [prompt.id for prompt in select_prompts("2", prompts)] == ["surf", "read"]
    assert [prompt.id for prompt in select_prompts("wave, surf", prompts)] == ["wave", "surf"]
    assert len(select_prompts("all", prompts)) == 4
    with pytest.raises(PromptError, match="0 prompts"):
        select_prompts("0", prompts)


@pytest.mark.parametrize(
    ("option", "error"),
    [("identities", IdentityError), ("prompts", PromptError), ("seeds", SettingError), ("methods", MethodError)],
)
@pytest.mark.parametrize("text", ["", " , "])
def test_an_empty_choice_is_not_the_default(choice, option, error, text):
    with pytest.raises(error, match=f"--{option} is|no methods chosen"):
        make_plan(choice(**{option: text}))


class TestDevelopment:
    def test_it_takes_other_people_and_prompts(self):
        plan = make_plan(Choice(identities="4", prompts="all", split="development"))
        assert [identity.name for identity in plan.identities] == ["alma", "bruno", "cleo", "dean"]
        assert {prompt.id[:2] for prompt in plan.prompts} == {"de"}
        assert plan.default_folder == "mini-development"
        assert plan.choice.command == "pvbench run --profile mini --identities 4 --prompts all --split development"

    def test_the_benchmark_is_taken_where_nothing_is_said(self):
        plan = make_plan(Choice(identities="1", prompts="1"))
        assert (plan.identities[0].name, plan.default_folder) == ("ada", "mini")
        assert "--split" not in plan.choice.command

    def test_people_of_the_benchmark_are_not_in_it(self):
        with pytest.raises(IdentityError, match="unknown identity 'ada'"):
            make_plan(Choice(identities="ada", split="development"))

    def test_a_profile_without_such_prompts_is_told(self, choice):
        with pytest.raises(PromptError, match="profile 'example' has no development prompts; name a set"):
            make_plan(choice(split="development"))

    def test_another_split_is_told(self, choice):
        with pytest.raises(IdentityError, match="unknown split 'dev'"):
            make_plan(choice(split="dev"))


def make_plan_prompts():
    from pvbench.profile import load_profile

    return load_profile(EXAMPLE_PROFILE).prompts.evaluation


def test_two_variants_of_a_method_are_two_rows(choice):
    plan = make_plan(choice(methods="example_drift,example_drift[side=left,speed=3]"))
    assert [variant.label for variant in plan.variants] == ["example_drift", "example_drift[side=left,speed=3]"]
    assert plan.variants[1].settings.speed == 3


def test_a_new_version_of_a_method_makes_its_cells_again(choice, monkeypatch):
    from pvbench_example import Drift

    cells = [Cell("example_drift", "ann", "surf", 0), Cell("example_stamp", "ann", "surf", 0)]
    before = [make_plan(choice()).video_key(cell) for cell in cells]
    monkeypatch.setattr(Drift, "version", 2)
    after = [make_plan(choice()).video_key(cell) for cell in cells]
    assert before[0] != after[0]
    assert before[1] == after[1]


def test_a_method_without_backbone_does_not_rest_on_it(choice, tmp_path, monkeypatch):
    from pvbench_example import Drift

    child = tmp_path / "child.toml"
    child.write_text(f'extends = "{EXAMPLE_PROFILE}"\n[backbone]\ngrain = 2\n')
    cell = Cell("example_drift", "ann", "surf", 0)

    def keys():
        return {make_plan(choice(profile=profile)).video_key(cell) for profile in (EXAMPLE_PROFILE, str(child))}

    assert len(keys()) == 2
    monkeypatch.setattr(Drift, "uses_backbone", False)
    assert len(keys()) == 1


def test_data_of_a_methods_own_is_part_of_its_keys(choice, monkeypatch):
    from pvbench_example import Drift

    cell = Cell("example_drift", "ann", "surf", 0)
    before = make_plan(choice()).video_key(cell)
    monkeypatch.setattr(Drift, "data_digest", classmethod(lambda cls, profile: "another archive"))
    assert make_plan(choice()).video_key(cell) != before


def test_the_command_makes_the_same_plan():
    choice = Choice(EXAMPLE_PROFILE, "example_drift[side=left,speed=3]", "ann", "2", None)
    assert choice.command == (
        f"pvbench run --profile {EXAMPLE_PROFILE} --methods 'example_drift[side=left,speed=3]' "
        f"--identities ann --prompts 2"
    )


def test_a_plan_comes_back_from_its_summary(choice, tmp_path):
    plan = make_plan(choice(seeds="2"))
    summary = json.loads(json.dumps(plan.summary()))
    back = plan_from_summary(summary, tmp_path / "plan.json")
    assert [back.video_key(cell) for cell in back.cells] == [plan.video_key(cell) for cell in plan.cells]


def test_methods_have_to_fit_the_profile(choice):
    with pytest.raises(MethodError, match="no methods chosen"):
        make_plan(choice(methods=","))


def test_a_wrong_metric_setting_is_found_before_anything_is_made(choice, tmp_path):
    child = tmp_path / "child.toml"
    child.write_text(f'extends = "{EXAMPLE_PROFILE}"\n[evaluators.metrics.face_similarity]\nreference = "x"\n')
    with pytest.raises(Exception, match="no metric 'face_similarity'"):
        make_plan(choice(profile=str(child)))


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("no_such_module:load", "does not import"),
        ("pvbench_example:nothing", "does not import"),
        ("pvbench_example:Faces", r"expected a subclass of pvbench\.backbone\.BackboneLoader"),
        ("exampel", r"unknown backbone 'exampel' \(did you mean 'example'\?\)"),
    ],
)
def test_a_backbone_that_is_none_is_told(choice, tmp_path, kind, message):
    from pvbench.errors import ProfileError

    child = tmp_path / "child.toml"
    child.write_text(f'extends = "{EXAMPLE_PROFILE}"\n[backbone]\nkind = "{kind}"\n')
    with pytest.raises(ProfileError, match=message):
        make_plan(choice(profile=str(child)))


def test_evaluators_that_are_none_are_told(choice, tmp_path):
    from pvbench.errors import ProfileError

    child = tmp_path / "child.toml"
    child.write_text(f'extends = "{EXAMPLE_PROFILE}"\n[evaluators]\nkind = "minni"\n')
    expected = r"\[evaluators\]: unknown kind 'minni' \(did you mean 'mini'\?\); known: mini, published"
    with pytest.raises(ProfileError, match=expected):
        make_plan(choice(profile=str(child)))


class TestRewards:
    """What a method tunes with is named by the profile, and never scores it."""

    def planned(self, choice, tmp_path, rewards, method="personalvideo"):
        child = tmp_path / "child.toml"
        child.write_text(f'extends = "mini"\n[rewards]\n{rewards}\n')
        return make_plan(choice(profile=str(child), methods=method, identities="1"))

    def test_they_are_part_of_the_keys_of_methods_that_ask_for_them(self, choice):
        plan = make_plan(choice(profile="mini", methods="base,personalvideo,dreambooth_lora", identities="1"))
        base, video, photos = plan.variants
        assert base.rewards == {}
        assert set(video.rewards) == {"identity", "semantic"}
        assert set(photos.rewards) == {"semantic"}
        assert set(video.rewards["identity"]["weights"]) == {"face_detector", "face_recogniser_reward"}

    @pytest.mark.parametrize(
        ("rewards", "message"),
        [
            ('identity = "mini_identiy"', r"\[rewards\]: unknown reward 'mini_identiy' \(did you mean 'mini_identity'"),
            ('identity = "mini_semantic"', "identity is 'mini_semantic', which is a reward of the role 'semantic'"),
            ("identity = 3", "identity is 3; expected the name of a reward"),
            ("weights = 3", 'weights is 3; expected a folder, or "mini"'),
            ('semantic = "hps"', "hps is None"),
            ('semantic = "hps"\nhps = "/nowhere.pt"', r"there is no file /nowhere\.pt"),
        ],
    )
    def test_one_that_cannot_be_used_is_told(self, choice, tmp_path, rewards, message):
        from pvbench.errors import PvbenchError

        with pytest.raises(PvbenchError, match=message):
            self.planned(choice, tmp_path, rewards)

    def test_a_profile_without_rewards_has_no_method_that_asks_for_them(self, choice, tmp_path):
        child = tmp_path / "child.toml"
        child.write_text(f'extends = "{EXAMPLE_PROFILE}"\n[backbone]\nkind = "mini"\nweights = "mini"\n')
        with pytest.raises(MethodError, match=r"asks for reward\.identity and reward\.semantic, .*name them in the"):
            make_plan(choice(profile=str(child), methods="personalvideo", identities="1"))

    def test_a_network_that_scores_is_no_reward(self, choice, tmp_path, monkeypatch):
        from pvbench.errors import ProfileError
        from pvbench.rewards.mini import MiniIdentityLoader

        monkeypatch.setattr(MiniIdentityLoader, "judge", "face_recogniser_scoring")
        with pytest.raises(ProfileError, match="identity reward and the evaluator 'face' are the same network"):
            self.planned(choice, tmp_path, "")


class TestSettingsThatCannotWork:
    """They are refused before anything is loaded, for every method that has a keyword."""

    @pytest.mark.parametrize("method", ["dreambooth_lora", "personalvideo", "personalvideo_plus"])
    def test_a_word_of_the_captions_is_no_keyword(self, method):
        with pytest.raises(SettingError, match=r"keyword is 'red'.*expected one of sks, ohwx, zwx"):
            make_plan(Choice(methods=f"{method}[token=rare,keyword=red]"))

    @pytest.mark.parametrize("method", ["dreambooth_lora", "personalvideo", "personalvideo_plus"])
    def test_no_more_photos_than_there_are(self, method):
        with pytest.raises(SettingError, match="references is 6; identity 'ada' has 5 photos"):
            make_plan(Choice(methods=f"{method}[references=6]"))


KEPT = {
    "base": (
        "ea9c56aa938242607e20d5c9e8f21332b9ec4e3cb83498fcfef97f069ab571cd",
        "cbdd2d81a0deb3eac2511ff064e04255aac40ae7f1ec155c18d1d57c68598704",
    ),
    "dreambooth_lora": (
        "4f8738af0bb59d0826996f0f2f95bd005445f7e941f937cece72de7e70829bfa",
        "7e50a9e2e827e52102a7bce3e9051ad0d487301cbb61d8106f86b05920fe33c9",
    ),
    "personalvideo": (
        "3c4a3de6661cb8c11f5406d69359b9c47d4b9d1f5b951233301a86196e12f04c",
        "809d9e93e8cc2c92f437dc3952764cc3609211a87880a175e5084d6caa296aec",
    ),
    "magicme": (
        "08a432a56bb5be70f17a0a5b4a6073a4bef16e70901a2d24bf43fb29f43cdfb5",
        "0b5326a20a7f13ae4247ce7d909109bb5b3eb3824279f8c0e9dbc934a8c12bd9",
    ),
}
# What of the keys may change with the weights that ship, and is no matter of this test.
REWARDS = {
    "identity": {
        "reward": "mini_identity",
        "version": 5,
        "weights": {"face_detector": "ac6acc02ceb4adc3", "face_recogniser_reward": "0399f2eeb67b24bc"},
    },
    "semantic": {"reward": "mini_semantic", "version": 5, "weights": {"clip_reward": "4008d5466e00bf1f"}},
    "segmenter": {"reward": "mini_segmenter", "version": 5, "weights": {"segmenter": "126915cced4d3036"}},
}


class TestKeysOfFinishedRuns:
    """Keys were written down before settings could act in sampling alone; whoever has such a run keeps it.

    Those of `magicme` and `dreambooth_lora` are of settings that were searched since.
    """

    def plan(self, methods):
        made = make_plan(Choice(methods=methods, identities="ada", prompts="1"))
        variants = tuple(
            replace(variant, rewards={role: REWARDS[role] for role in variant.rewards}, shares=variant.shares)
            for variant in made.variants
        )
        return replace(made, variants=variants, backbone_signature={"backbone": "frozen"})

    def test_they_are_as_they_were(self):
        plan = self.plan(",".join(KEPT))
        ada, prompt = plan.identities[0], plan.prompts[0].id
        found = {
            variant.label: (plan.adapter_key(variant, ada), plan.video_key(Cell(variant.label, "ada", prompt, 0)))
            for variant in plan.variants
        }
        assert found == KEPT
        assert all(variant.tuned is variant for variant in plan.variants)


class TestSamplingAlone:
    @pytest.mark.parametrize(
        ("row", "tuned"),
        [
            ("personalvideo[named=off]", "personalvideo"),
            ("personalvideo[named=off,rank=8]", "personalvideo[rank=8]"),
            ("magicme[correlation=0.3]", "magicme"),
            ("magicme[face_vcd=on]", "magicme"),
        ],
    )
    def test_rows_share_adapters_and_differ_in_videos(self, row, tuned):
        plan = make_plan(Choice(methods=f"{tuned},{row}", identities="ada", prompts="1"))
        ada, prompt = plan.identities[0], plan.prompts[0].id
        one, other = plan.variants
        assert plan.adapter_key(one, ada) == plan.adapter_key(other, ada)
        assert plan.video_key(Cell(one.label, "ada", prompt, 0)) != plan.video_key(Cell(other.label, "ada", prompt, 0))
        assert other.tuned.label == tuned
        assert other.tuned.settings == one.settings
        assert plan.tuning_rows == {tuned: tuned}

    def test_a_profile_can_set_it_without_tuning_again(self, tmp_path):
        child = tmp_path / "child.toml"
        child.write_text('extends = "mini"\n[methods.magicme]\ncorrelation = 0.2\n')
        mine, usual = (
            make_plan(Choice(str(name), methods="magicme", identities="ada", prompts="1")) for name in (child, "mini")
        )
        assert [p.adapter_key(p.variants[0], p.identities[0]) for p in (mine, usual)] == [
            usual.adapter_key(usual.variants[0], usual.identities[0])
        ] * 2
        assert mine.variants[0].settings.correlation == 0.2
        assert mine.video_key(mine.cells[0]) != usual.video_key(usual.cells[0])
