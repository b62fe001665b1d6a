"""The judge of actions, scenes, colours and expressions: contract, what it sees in true videos, what texts ask for."""

import numpy as np
import pytest

from pvbench.evaluator import Evaluators, FeaturePlan
from pvbench.identity import load_identities
from pvbench.method import request_for
from pvbench.methods.oracle import Oracle, OracleSettings
from pvbench.metrics.prompt_parts import PromptParts
from pvbench.profile import load_profile
from pvbench.prompt import load_prompts
from pvbench.testing import EvaluatorContract
from pvbench.world.judge import WorldJudgeLoader
from pvbench.world.reading import ASKED
from pvbench.world.vocabulary import LABELS


@pytest.fixture(scope="module")
def evaluators():
    return Evaluators(FeaturePlan(load_profile("mini"), PromptParts.needs), "cpu")


class TestWorldJudge(EvaluatorContract):
    loader = WorldJudgeLoader

    @pytest.fixture(autouse=True)
    def _others(self, evaluators):
        self.evaluators = evaluators

    def read(self, group, video, photos):
        made = self.evaluators.all(group.of, video) if group.reads else {}
        return {name: made[name] for name in group.reads}


@pytest.fixture(scope="module")
def judged(evaluators):
    """The metric's rows for true videos: the first four people, every prompt that is scored."""
    profile, prompts = load_profile("mini"), load_prompts("mini_evaluation").prompts
    oracle = Oracle(OracleSettings(), None, profile)
    rows = []
    for identity in load_identities()[:4]:
        requests = [request_for(identity, prompt, 0) for prompt in prompts]
        for video, request in zip(oracle.generate(identity, None, requests), requests, strict=True):
            text = request.prompt.render(identity.class_noun)
            rows.append(PromptParts().row({**evaluators.all("video", video), **evaluators.all("text", text)}))
    return np.array(rows)


def test_true_videos_are_right(judged):
    # Ten people have .98, .999, .996 and .71; single people's expressions lie between .35 and .85.
    action, scene, colour, expression = np.nanmean(judged, axis=0)
    assert action > 0.9
    assert scene > 0.95
    assert colour > 0.95
    assert expression > 0.5


def test_expressions_are_judged_where_one_is_asked_for(judged):
    prompts = load_prompts("mini_evaluation").prompts
    asked = np.array([prompt.tags["expression"] != "neutral" for prompt in prompts] * 4)
    assert (np.isnan(judged[:, 3]) == ~asked).all()
    assert not np.isnan(judged[:, :3]).any()


def test_another_prompt_is_wrong(evaluators):
    prompts = load_prompts("mini_evaluation").prompts
    ada = load_identities(["ada"])[0]
    oracle = Oracle(OracleSettings(), None, load_profile("mini"))
    video = next(oracle.generate(ada, None, [request_for(ada, prompts[0], 0)]))
    other = next(p for p in prompts if all(p.tags[x] != prompts[0].tags[x] for x in ("action", "scene", "colour")))
    text = evaluators.all("text", other.render("woman"))
    action, scene, colour, _ = PromptParts().row({**evaluators.all("video", video), **text})
    assert (action, scene, colour) == (0, 0, 0)


def test_a_text_becomes_places_in_the_vocabulary(evaluators):
    found = evaluators.all("text", "a woman in a red jacket nodding in a forest")["text/asked"]
    places = {label: int(place) for label, place in zip(ASKED, found, strict=True)}
    assert {label: LABELS[label][place] for label, place in places.items() if place >= 0} == {
        "action": "nod",
        "scene": "forest",
        "colour": "red",
    }
    assert places["expression"] == -1


def test_no_frame_is_looked_at_again():
    """Only features that other numbers need are read."""
    video = next(group for group in WorldJudgeLoader.groups if group.of == "video")
    assert set(video.reads) == {"clip/frame", "video/embedding"}
