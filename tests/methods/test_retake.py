"""A second rendering of every cell: the same person and scene, other chance."""

from importlib.util import find_spec

import numpy as np
import pytest

from pvbench.identity import load_identities
from pvbench.method import request_for
from pvbench.methods.oracle import Oracle, OracleSettings
from pvbench.methods.retake import Retake
from pvbench.prompt import load_prompts
from pvbench.testing import MethodContract
from pvbench.weights import weights_folder

EVALUATION = load_prompts("mini_evaluation").prompts


@pytest.mark.skipif(find_spec("anny") is None, reason='a second seed is rendered: pip install "pvbench[world]"')
class TestContract(MethodContract):
    method = Retake


def shown(method, profile, person, place):
    made = method(OracleSettings(), None, profile)
    (video,) = made.generate(person, None, [request_for(person, EVALUATION[place], 0)])
    return video


def test_it_is_shipped_for_every_person_and_prompt_and_is_another_video(mini_profile):
    archives = weights_folder(mini_profile.evaluators["weights"]) / Retake.archive
    everybody = load_identities()
    assert {file.stem for file in archives.glob("*.mkv")} == {person.name for person in everybody}
    for person in everybody[::4]:
        again = shown(Retake, mini_profile, person, -1)
        assert again.frames.shape == (8, 64, 64, 3)
        difference = np.abs(again.frames.astype(float) - shown(Oracle, mini_profile, person, -1).frames).mean()
        assert difference > 2


def test_the_scene_is_the_same(mini_profile):
    """Its mean colours are nearer to the first rendering's than those of other scenes."""
    ada = load_identities(["ada"])[0]

    def colours(video):
        return np.concatenate(
            [video.frames[:, :16].mean(axis=(0, 1)).ravel(), video.frames[:, 48:].mean(axis=(0, 1)).ravel()]
        )

    requests = [request_for(ada, prompt, 0) for prompt in EVALUATION[:12]]
    first, second = (
        np.stack(
            [colours(video) for video in method(OracleSettings(), None, mini_profile).generate(ada, None, requests)]
        )
        for method in (Oracle, Retake)
    )
    nearest = np.linalg.norm(second[:, None] - first[None], axis=-1).argmin(axis=1)
    assert (nearest == np.arange(12)).mean() >= 0.75


def test_the_archive_is_what_the_renderer_draws(mini_profile):
    pytest.importorskip("anny", reason='rendering needs pip install "pvbench[world]"')
    from pvbench.world.benchmark import oracle_video, signal_to_noise
    from pvbench.world.figure import load_figure

    ada = load_identities(["ada"])[0]
    drawn = oracle_video(load_figure(), ada, EVALUATION[3], 0, take=1)
    assert signal_to_noise(shown(Retake, mini_profile, ada, 3), drawn) > 33
