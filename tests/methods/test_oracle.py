"""The oracle shows the benchmark's people, and those for development, as the renderer draws them."""

from importlib.util import find_spec

import numpy as np
import pytest

from pvbench.identity import load_identities, split_root
from pvbench.method import request_for
from pvbench.methods.oracle import Oracle, OracleSettings
from pvbench.prompt import load_prompts
from pvbench.testing import MethodContract
from pvbench.weights import weights_folder

EVALUATION = load_prompts("mini_evaluation").prompts


@pytest.mark.skipif(find_spec("anny") is None, reason='a second seed is rendered: pip install "pvbench[world]"')
class TestContract(MethodContract):
    method = Oracle


@pytest.fixture
def oracle(mini_profile):
    return Oracle(OracleSettings(), None, mini_profile)


class TestShippedVideos:
    def test_it_shows_every_person_in_every_prompt(self, oracle):
        archives = weights_folder(oracle.profile.evaluators["weights"]) / Oracle.archive
        everybody = load_identities()
        assert {file.stem for file in archives.glob("*.mkv")} >= {person.name for person in everybody}
        for identity in everybody[::4]:
            video = next(oracle.generate(identity, None, [request_for(identity, EVALUATION[-1], 0)]))
            assert video.frames.shape == (8, 64, 64, 3)

    def test_two_people_in_one_prompt_look_different(self, oracle):
        shown = [
            next(oracle.generate(person, None, [request_for(person, EVALUATION[0], 0)])).frames.astype(float)
            for person in load_identities(["ada", "ben"])
        ]
        assert np.abs(shown[0] - shown[1]).mean() > 5

    def test_the_archive_is_what_the_renderer_draws(self, ada, oracle):
        pytest.importorskip("anny", reason='rendering needs pip install "pvbench[world]"')
        from pvbench.world.benchmark import oracle_video, signal_to_noise
        from pvbench.world.figure import load_figure

        shipped = next(oracle.generate(ada, None, [request_for(ada, EVALUATION[3], 0)]))
        drawn = oracle_video(load_figure(), ada, EVALUATION[3], 0)
        # 33 dB: H.265 at the archive's quality; another person or action falls below 20.
        assert signal_to_noise(shipped, drawn) > 33


def test_people_for_development_are_drawn(oracle):
    pytest.importorskip("anny", reason='rendering needs pip install "pvbench[world]"')
    alma = load_identities(["alma"], split_root("development"))[0]
    prompt = load_prompts("mini_development").prompts[0]
    first, again = (next(oracle.generate(alma, None, [request_for(alma, prompt, 0)])) for _ in range(2))
    assert first.frames.shape == (8, 64, 64, 3)
    assert first.digest == again.digest


class TestStyles:
    def test_a_styled_video_is_the_same_take_drawn_in_the_domain(self, ada, oracle):
        pytest.importorskip("anny", reason='rendering needs pip install "pvbench[world]"')
        from pvbench.style import Style
        from pvbench.world.benchmark import oracle_video
        from pvbench.world.figure import load_figure

        request = request_for(ada, EVALUATION[3], 0)
        shipped = next(oracle.generate(ada, None, [request])).frames.astype(float)
        oracle.style = Style("mine", domain="sketch")
        styled = next(oracle.generate(ada, None, [request]))
        drawn = oracle_video(load_figure(), ada, EVALUATION[3], 0, domain="sketch")
        assert np.array_equal(styled.frames, drawn.frames)
        assert np.ptp(styled.frames.astype(int), axis=-1).max() < 16

        def outline(frames):
            """Where a frame differs from the next: the same things move."""
            return np.abs(np.diff(frames.mean(axis=-1), axis=0)).mean(axis=0).ravel()

        assert np.corrcoef(outline(shipped), outline(styled.frames.astype(float)))[0, 1] > 0.4
