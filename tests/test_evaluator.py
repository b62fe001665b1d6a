"""Which groups of features are made, in which order, and what each rests on."""

import dataclasses

import numpy as np
import pytest

from pvbench import evaluator
from pvbench.errors import ProfileError
from pvbench.evaluator import Demands, Evaluator, EvaluatorLoader, Evaluators, FeatureGroup, FeaturePlan
from pvbench.profile import load_profile


class Made(Evaluator):
    """Makes ones, and counts what it made."""

    def __init__(self, loader):
        self.loader, self.made = loader, []

    def make(self, group, given, have):
        self.made.append((group, sorted(have)))
        found = next(one for one in self.loader.groups if one.name == group)
        return {name: np.ones(2, np.float32) for name in found.features}


def loader_of(part, *groups, version=1, demands=None):
    """A loader of a part with these groups."""

    class Loader(EvaluatorLoader):
        name = f"test_{part}"
        summary = "of the tests"

        @classmethod
        def signature(cls, profile):
            return {"name": cls.name, "version": version}

        @classmethod
        def load(cls, profile, device):
            return Made(cls)

        @classmethod
        def demands(cls, profile):
            return demands or Demands()

    Loader.part, Loader.groups = part, groups
    return Loader


FACE = FeatureGroup("face", "video", ("face/box", "face/crop"))
HAIR = FeatureGroup("hair", "video", ("hair/colour",), reads=("face/box",))
SLOW = FeatureGroup("slow", "video", ("slow/number",), heavy=True)
EXTRA = FeatureGroup("extra", "video", ("extra/number",), reads=("hair/colour",), on_demand=True)
WORDS = FeatureGroup("words", "text", ("words/vector",))


@pytest.fixture
def plan_of(monkeypatch):
    """The plan of some loaders, whatever the profile names."""

    def plan(*loaders, wanted=None):
        monkeypatch.setattr(evaluator, "evaluator_loaders", lambda profile: {one.part: one for one in loaders})
        return FeaturePlan(load_profile("mini"), wanted)

    return plan


@pytest.fixture
def usual(plan_of):
    """The plan of a face part, one that reads it, and words."""
    return lambda wanted=None: plan_of(
        loader_of("slow", SLOW), loader_of("hair", HAIR, EXTRA), loader_of("face", FACE), loader_of("words", WORDS),
        wanted=wanted,
    )  # fmt: skip


class TestWhatIsMade:
    def test_by_default_all_but_what_is_on_demand(self, usual):
        assert {group.name for group in usual().groups} == {"face", "hair", "slow", "words"}

    def test_what_is_read_comes_first_and_heavy_groups_last(self, usual):
        names = [group.name for group in usual().of("video")]
        assert names.index("face") < names.index("hair")
        assert names[-1] == "slow"

    def test_what_is_wanted_brings_what_it_reads(self, usual):
        plan = usual(wanted={"extra/number"})
        assert [group.name for group in plan.groups] == ["face", "hair", "extra"]
        assert plan.parts == ("hair", "face")

    def test_nothing_wanted_is_nothing_made(self, usual):
        assert usual(wanted=set()).groups == ()

    def test_every_feature_is_known_whether_or_not_it_is_made(self, usual):
        assert "extra/number" in usual(wanted={"face/box"}).features

    def test_a_feature_that_nobody_makes_is_named(self, plan_of):
        with pytest.raises(
            ProfileError, match=r"group 'hair' of 'test_hair' reads 'face/box', which no evaluator makes"
        ):
            plan_of(loader_of("hair", HAIR))


class TestWhatItRestsOn:
    def test_a_group_rests_on_its_evaluator_and_on_those_that_it_reads(self, plan_of):
        def digests(face=1, hair=1, words=1):
            return plan_of(
                loader_of("face", FACE, version=face), loader_of("hair", HAIR, version=hair),
                loader_of("words", WORDS, version=words),
            ).digests  # fmt: skip

        before = digests()
        assert {name for name, value in digests(face=2).items() if value != before[name]} == {"face", "hair"}
        assert {name for name, value in digests(hair=2).items() if value != before[name]} == {"hair"}
        assert {name for name, value in digests(words=2).items() if value != before[name]} == {"words"}

    def test_demands_are_those_of_the_groups_that_are_made(self, plan_of):
        def plan(wanted=None):
            return plan_of(
                loader_of("face", FACE, demands=Demands(size=(64, 64), frames=2)),
                loader_of("slow", SLOW, demands=Demands(multiple=4)),
                wanted=wanted,
            )

        assert plan().demands == Demands(size=(64, 64), frames=2, multiple=4)
        assert plan({"slow/number"}).demands == Demands(multiple=4)
        assert plan().demands_of(["face"]) == Demands(size=(64, 64), frames=2)

    @pytest.mark.parametrize(
        ("one", "other", "both"),
        [
            (Demands(multiple=4), Demands(multiple=6), Demands(multiple=12)),
            (Demands(frames=2), Demands(frames=16), Demands(frames=16)),
            (Demands(size=(8, 8)), Demands(), Demands(size=(8, 8))),
            (Demands(), Demands(), Demands()),
        ],
    )
    def test_two_demands_are_both_kept(self, one, other, both):
        assert one & other == both


class TestMaking:
    def test_groups_are_given_what_they_read_and_nothing_else(self, usual):
        evaluators = Evaluators(usual(wanted={"extra/number"}), "cpu")
        made = dict(evaluators.make("video", self.video()))
        assert list(made) == ["face", "hair", "extra"]
        assert evaluators.part("hair").made == [("hair", ["face/box"]), ("extra", ["hair/colour"])]
        assert evaluators.part("face").made == [("face", [])]

    def test_what_is_there_already_is_read_and_not_made_again(self, usual):
        evaluators = Evaluators(usual(), "cpu")
        have = {"face/box": np.zeros(2, np.float32)}
        assert [name for name, _ in evaluators.make("video", self.video(), ["hair"], have)] == ["hair"]
        assert evaluators.part("face").made == []

    def test_an_evaluator_is_loaded_when_it_is_first_needed(self, usual):
        evaluators = Evaluators(usual(), "cpu")
        evaluators.all("text", "a word")
        assert list(evaluators._loaded) == ["words"]
        evaluators.load_all()
        assert set(evaluators._loaded) == {"slow", "hair", "face", "words"}

    def video(self):
        from pvbench.video import Video

        return Video(np.zeros((4, 64, 64, 3), np.uint8), 8.0)


class TestTheNamesOfAProfile:
    def profile(self, **evaluators):
        return dataclasses.replace(load_profile("mini"), evaluators={"weights": "mini", **evaluators})

    def test_own_parts_stand_over_those_of_the_kind(self):
        found = evaluator.evaluator_loaders(self.profile(kind="mini", parts={"flow": "raft"}))
        assert found["flow"].name == "raft"
        assert found["face"].name == "mini_face"

    @pytest.mark.parametrize(
        ("evaluators", "message"),
        [
            ({"kind": "minni"}, r"unknown kind 'minni' \(did you mean 'mini'"),
            ({"kind": "mini", "parts": {"face": "dis"}}, "face is 'dis', which is an evaluator of the part 'flow'"),
            ({"kind": "mini", "parts": ["dis"]}, "expected a table of evaluators' names"),
            ({"kind": "mini", "parts": {"face": 3}}, "expected a table of evaluators' names"),
            ({"parts": {"face": "mini_fase"}}, "mini_fase"),
        ],
    )
    def test_a_name_that_does_not_fit_is_told(self, evaluators, message):
        with pytest.raises(ProfileError, match=message):
            evaluator.evaluator_loaders(self.profile(**evaluators))
