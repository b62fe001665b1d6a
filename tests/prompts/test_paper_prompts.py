"""The prompts for paper scale."""

import re
from itertools import product

import pytest

from pvbench.prompt import check_disjoint, load_prompts
from pvbench.torchvision_shim import load_torchvision

ROLES = {"paper_evaluation": "evaluation", "paper_simulated": "simulated"}
TAGS = ("action", "scene", "clothes", "expression")
STOP_WORDS = frozenset(
    re.findall(
        "[a-z]+",
        """
    a across along an and another are around as at before below between by down for from he him his in into is it its
    like of off on one onto out over past the then three through to toward two under up while with
""",
    )
)


@pytest.fixture(params=ROLES)
def prompts(request):
    return load_prompts(request.param)


@pytest.fixture(scope="module")
def tokenizer():
    load_torchvision()
    from open_clip.tokenizer import SimpleTokenizer

    return SimpleTokenizer()


def words(text):
    """The words of a text that carry its subject."""
    return set(re.findall(r"[a-zé]+", text.lower().replace("<v>", ""))) - STOP_WORDS


def test_there_are_fifty_in_the_role_of_their_file(prompts):
    assert len(prompts.prompts) == 50
    assert prompts.role == ROLES[prompts.name]


def test_every_tag_is_there_and_quotes_its_text(prompts):
    for prompt in prompts.prompts:
        assert tuple(prompt.tags) == TAGS, prompt.id
        for tag, value in prompt.tags.items():
            assert value and value.lower() in prompt.text.lower(), (prompt.id, tag)


def test_no_tag_asks_for_two_things_at_once(prompts):
    for prompt in prompts.prompts:
        places = [(prompt.text.lower().index(value.lower()), len(value)) for value in prompt.tags.values()]
        for (start, length), (other, _) in product(places, places):
            assert start == other or not start <= other < start + length, prompt.id


@pytest.mark.parametrize("token", ["", "sks"])
@pytest.mark.parametrize("noun", ["man", "woman"])
def test_a_rendered_prompt_names_the_person_and_keeps_no_placeholder(prompts, noun, token):
    wrong = {"man": r"\b(she|her|hers|herself|woman)\b", "woman": r"\b(he|his|him|himself|man)\b"}[noun]
    for prompt in prompts.prompts:
        text = prompt.render(noun, token)
        assert not re.search(r"[<>]|  ", text), prompt.id
        assert len(re.findall(rf"\ba {f'{token} {noun}'.strip()}\b", text, re.IGNORECASE)) == 1, prompt.id
        assert not re.search(wrong, text, re.IGNORECASE), prompt.id


def test_the_pronouns_of_every_prompt_follow_the_person(prompts):
    for prompt in prompts.prompts:
        assert prompt.render("man") != prompt.render("woman").replace("woman", "man"), prompt.id


def test_a_prompt_has_15_to_60_words_and_fits_into_clip(prompts, tokenizer):
    for prompt in prompts.prompts:
        assert 15 <= len(prompt.render("man").split()) <= 60, prompt.id
        # A method may name the person by a token of several pieces; start and end are tokens too.
        longest = max(len(tokenizer.encode(prompt.render(noun, "sks sks"))) + 2 for noun in ("man", "woman"))
        assert longest <= 77, prompt.id


def test_a_set_never_asks_twice_for_an_action_or_a_place(prompts):
    for tag in ("action", "scene", "clothes"):
        values = [prompt.tags[tag].lower() for prompt in prompts.prompts]
        assert len(set(values)) == len(values), tag


def test_what_is_scored_shares_no_subject_with_what_is_tuned_on():
    evaluation, simulated = load_prompts("paper_evaluation"), load_prompts("paper_simulated")
    check_disjoint(evaluation, simulated)
    for scored, tuned in product(evaluation.prompts, simulated.prompts):
        one, other = words(scored.text), words(tuned.text)
        assert len(one & other) <= 0.12 * len(one | other), (scored.id, tuned.id, one & other)
        for tag in ("action", "scene"):
            pair = words(scored.tags[tag]), words(tuned.tags[tag])
            assert len(pair[0] & pair[1]) < min(len(pair[0]), len(pair[1])), (scored.id, tuned.id, tag)
