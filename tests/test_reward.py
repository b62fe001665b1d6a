"""The profile's rewards: found by role, refused where they judge what is scored, and the divergence that they share."""

import dataclasses

import pytest
import torch

from pvbench.errors import ProfileError
from pvbench.profile import load_profile
from pvbench.reward import (
    IDENTITY_REWARD,
    REWARDS,
    SEGMENTER,
    check_apart,
    divergence,
    load_segmenter,
    reward_loader,
    reward_signature,
    roles_asked,
    shortfall,
)


def profile(**rewards):
    return dataclasses.replace(load_profile("mini"), rewards={"weights": "mini", **rewards})


class TestTheLoaders:
    @pytest.mark.parametrize("name", ["mini_identity", "mini_semantic", "mini_segmenter", "hps"])
    def test_every_installed_one_says_what_it_is(self, name):
        loader = REWARDS.get(name)
        assert loader.name == name
        assert loader.role in ("identity", "semantic", "segmenter")
        assert loader.summary

    def test_the_mini_profile_has_one_for_every_role(self):
        mini = load_profile("mini")
        names = [reward_loader(mini, role).name for role in ("identity", "semantic", "segmenter")]
        assert names == ["mini_identity", "mini_semantic", "mini_segmenter"]

    @pytest.mark.parametrize(
        ("rewards", "message"),
        [
            ({}, "no segmenter reward, and a method asks for one; add segmenter = NAME"),
            ({"segmenter": 3}, "segmenter is 3; expected the name of a reward"),
            ({"segmenter": "mini_identity"}, "segmenter is 'mini_identity', which is a reward of the role 'identity'"),
            ({"segmenter": "mini_segmentor"}, r"mini_segmentor.*did you mean 'mini_segmenter'"),
            ({"segmenter": "mini_segmenter", "weights": 3}, "weights is 3; expected a folder"),
        ],
    )
    def test_a_line_that_does_not_fit_is_told(self, rewards, message):
        with pytest.raises(ProfileError, match=message):
            load_segmenter(profile(**rewards), "cpu")

    def test_its_signature_names_it_and_its_weights(self):
        found = reward_signature(load_profile("mini"), "segmenter")
        assert found["reward"] == "mini_segmenter"
        assert set(found["weights"]) == {"segmenter"}

    def test_roles_are_read_from_what_a_method_asks_for(self):
        assert roles_asked({IDENTITY_REWARD, "latents"}) == ("identity",)
        assert roles_asked([SEGMENTER, IDENTITY_REWARD]) == ("identity", "segmenter")
        assert roles_asked(()) == ()


class TestThatWhoCoachesDoesNotJudge:
    @pytest.mark.parametrize("role", ["identity", "semantic", "segmenter"])
    def test_the_mini_networks_are_apart(self, role):
        from pvbench.evaluator import FeaturePlan

        mini = load_profile("mini")
        check_apart(mini, role, FeaturePlan(mini).signature)

    @pytest.mark.parametrize("role", ["identity", "semantic", "segmenter"])
    def test_an_evaluator_of_the_same_weights_is_refused_wherever_they_are_named(self, role):
        mini = load_profile("mini")
        (judge,) = reward_loader(mini, role).judges(mini)
        scoring = {"flow": {"name": "dis"}, "face": {"name": "other", "weights": {"inner": [judge]}}}
        with pytest.raises(ProfileError, match=f"the {role} reward and the evaluator 'face' are the same network"):
            check_apart(mini, role, scoring)


class TestTheDivergence:
    """KL of the softmax of scores under the frozen model to that under the tuned one."""

    def test_equal_scores_diverge_by_nothing(self):
        scores = torch.tensor([0.2, 0.5, 0.1])
        assert float(divergence(scores, scores, 25.0)) == pytest.approx(0, abs=1e-7)

    def test_other_scores_diverge_the_more_the_higher_the_temperature(self):
        tuned, frozen = torch.tensor([0.2, 0.5, 0.1]), torch.tensor([0.4, 0.3, 0.1])
        values = [float(divergence(tuned, frozen, temperature)) for temperature in (1.0, 10.0, 100.0)]
        assert 0 < values[0] < values[1] < values[2]

    def test_a_gradient_reaches_the_tuned_scores(self):
        tuned = torch.tensor([0.2, 0.5, 0.1], requires_grad=True)
        divergence(tuned, torch.tensor([0.4, 0.3, 0.1]), 10.0).backward()
        assert bool(tuned.grad.isfinite().all())
        assert float(tuned.grad.abs().max()) > 0

    def test_a_shortfall_is_of_what_fell_and_not_of_what_rose(self):
        frozen = torch.tensor([0.3, 0.3, 0.3])
        assert float(shortfall(frozen + 0.1, frozen, 10.0)) == pytest.approx(0, abs=1e-7)
        assert float(shortfall(frozen - 0.1, frozen, 10.0)) > 0
