"""The reader of styles: contract, and what it says of true videos with and without a style."""

import numpy as np
import pytest

from pvbench.evaluator import Evaluators, FeaturePlan
from pvbench.identity import load_identities
from pvbench.method import request_for
from pvbench.methods.oracle import Oracle, OracleSettings
from pvbench.metrics.style import StyleReached
from pvbench.profile import load_profile
from pvbench.prompt import load_prompts
from pvbench.style import Style
from pvbench.testing import EvaluatorContract
from pvbench.world.style_reader import MiniStyleLoader

PROFILE = load_profile("mini")


class TestStyles(EvaluatorContract):
    loader = MiniStyleLoader


@pytest.fixture(scope="module")
def evaluators():
    return Evaluators(FeaturePlan(PROFILE, StyleReached.needs), "cpu")


@pytest.mark.parametrize("style", ["", "cartoon", "sketch"])
def test_true_videos_are_told_by_what_they_are_drawn_in(evaluators, style):
    oracle = Oracle(OracleSettings(), None, PROFILE)
    if style:
        pytest.importorskip("warp")
        oracle.style = Style(style, domain=style)
    prompts, (ada, ben) = load_prompts("mini_evaluation").prompts[:2], load_identities(["ada", "ben"])
    for person, prompt in ((ada, prompts[0]), (ben, prompts[1])):
        (video,) = oracle.generate(person, None, [request_for(person, prompt, 0)])
        cartoon, sketch = StyleReached().row(evaluators.all("video", video))
        assert (cartoon > 0.8, sketch > 0.8) == (style == "cartoon", style == "sketch")
        assert max(cartoon, sketch) < 0.3 or style


def test_a_still_frame_is_read_as_often_as_it_is_shown(evaluators):
    from pvbench.video import Video

    frame = np.random.default_rng(0).integers(0, 255, (1, 64, 64, 3)).astype(np.uint8)
    once, often = (evaluators.all("video", Video(np.repeat(frame, n, 0), 8.0)) for n in (2, 6))
    assert once["style/probability"].shape == (2, 3)
    np.testing.assert_allclose(once["style/probability"][0], often["style/probability"][5], atol=1e-5)
    np.testing.assert_allclose(often["style/probability"].sum(axis=1), 1, atol=1e-5)
