"""A look-alike's true videos: whose they are, and people of whom no look-alike is known."""

from dataclasses import replace
from importlib.util import find_spec

import pytest

from pvbench.errors import SettingError
from pvbench.identity import load_identities
from pvbench.method import request_for
from pvbench.methods.oracle import Oracle, OracleSettings
from pvbench.methods.other_person import OtherPerson
from pvbench.prompt import load_prompts
from pvbench.testing import MethodContract
from pvbench.world.benchmark import DEVELOPMENT_NAMES, LOOK_ALIKES, NAMES, look_alike

EVALUATION = load_prompts("mini_evaluation")


@pytest.mark.skipif(find_spec("anny") is None, reason='a second seed is rendered: pip install "pvbench[world]"')
class TestContract(MethodContract):
    method = OtherPerson


def test_it_shows_the_look_alike_and_not_the_person(ada, mini_profile):
    other = load_identities([LOOK_ALIKES["ada"]])[0]
    request = request_for(ada, EVALUATION.prompts[0], 0)
    (shown,) = OtherPerson(OracleSettings(), None, mini_profile).generate(ada, None, [request])
    oracle = Oracle(OracleSettings(), None, mini_profile)
    assert shown.digest == next(oracle.generate(other, None, [request])).digest
    assert shown.digest != next(oracle.generate(ada, None, [request])).digest


def test_a_person_of_ones_own_has_no_look_alike(ada, mini_profile, tmp_path):
    stranger = replace(ada, folder=tmp_path / "ada")
    OtherPerson.check(OracleSettings(), mini_profile, [ada], EVALUATION)
    with pytest.raises(SettingError, match=r"'ada' in .* is not a person of the miniature world, so that other_person"):
        OtherPerson.check(OracleSettings(), mini_profile, [ada, stranger], EVALUATION)


def test_the_table_is_what_the_people_give():
    pytest.importorskip("anny", reason='people are drawn with pip install "pvbench[world]"')
    from pvbench.world.figure import load_figure

    figure = load_figure()
    assert set(LOOK_ALIKES) == {*NAMES, *DEVELOPMENT_NAMES}
    assert {name: look_alike(figure, name) for name in LOOK_ALIKES} == LOOK_ALIKES
