"""Whole heads: contract, what true videos reach, and what a look-alike and a stranger do."""

import numpy as np
import pytest

from pvbench.evaluator import Evaluators, FeaturePlan
from pvbench.identity import load_identities
from pvbench.method import request_for
from pvbench.methods.oracle import Oracle, OracleSettings
from pvbench.metrics.head_sim import HeadSim
from pvbench.metrics.look import Look
from pvbench.profile import load_profile
from pvbench.prompt import load_prompts
from pvbench.testing import EvaluatorContract
from pvbench.world.benchmark import LOOK_ALIKES
from pvbench.world.head import MiniHeadLoader

PROFILE = load_profile("mini")
PEOPLE = ("ada", "ben", "esme", "hugo")


@pytest.fixture(scope="module")
def evaluators():
    return Evaluators(FeaturePlan(PROFILE, (*HeadSim.needs, *Look.needs)), "cpu")


class TestHeads(EvaluatorContract):
    loader = MiniHeadLoader

    @pytest.fixture(autouse=True)
    def _others(self, evaluators):
        self.evaluators = evaluators

    def read(self, group, video, photos):
        made = self.evaluators.all("video", video) if group.of == "video" else self.landmarks(photos)
        return {name: made[name] for name in group.reads}

    @staticmethod
    def landmarks(photos):
        points = np.array([[24, 26], [40, 26], [32, 36], [26, 44], [38, 44]], np.float32)
        return {"reference/landmarks": np.stack([points] * len(photos))}


@pytest.fixture(scope="module")
def shown(evaluators):
    """Rows of Head Sim. and Look for true videos against the person's own photos, and against another person's."""
    oracle, prompts = Oracle(OracleSettings(), None, PROFILE), load_prompts("mini_evaluation").prompts[::5]
    photos = {
        name: evaluators.all("reference", load_identities([name])[0].scoring_photos())
        for name in {*PEOPLE, *(LOOK_ALIKES[name] for name in PEOPLE)}
    }
    rows = {"own": [], "look-alike": [], "stranger": []}
    for place, name in enumerate(PEOPLE):
        person = load_identities([name])[0]
        against = {"own": name, "look-alike": LOOK_ALIKES[name], "stranger": PEOPLE[place - 1]}
        for video in oracle.generate(person, None, [request_for(person, prompt, 0) for prompt in prompts]):
            made = evaluators.all("video", video)
            for kind, other in against.items():
                beside = {**made, **photos[other]}
                rows[kind].append((HeadSim().row(beside)[0], Look().row(beside)[0]))
    return {kind: np.array(found).mean(axis=0) for kind, found in rows.items()}


def test_true_videos_show_the_head_and_the_look(shown):
    head, look = shown["own"]
    assert head > 0.5
    assert look > 0.78


def test_another_person_does_not_and_who_looks_alike_comes_nearer(shown):
    assert shown["stranger"][0] < 0.2 < shown["own"][0]
    assert shown["stranger"][0] < shown["look-alike"][0] < shown["own"][0]
    assert shown["look-alike"][1] < shown["own"][1]


def test_frames_without_a_face_have_no_head(evaluators):
    from pvbench.video import Video

    made = evaluators.all("video", Video(np.full((8, 64, 64, 3), 90, np.uint8), 8.0))
    assert np.isnan(made["head/embedding"]).all()
    assert np.isnan(made["look/hair"]).all()


def test_what_is_told_of_a_picture_is_a_probability(evaluators, ada):
    made = evaluators.all("reference", ada.scoring_photos())
    for name in ("hair", "hair_colour", "beard", "glasses"):
        np.testing.assert_allclose(made[f"reference/look_{name}"].sum(axis=1), 1, atol=1e-5)
