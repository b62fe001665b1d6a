"""Captions name what is shown, in English."""

import re
from dataclasses import replace
from itertools import product

import numpy as np
import pytest

pytest.importorskip("warp", reason='the miniature world needs pip install "pvbench[world]"')

from pvbench.prompt import Prompt
from pvbench.world.action import FACE_ACTIONS
from pvbench.world.caption import (
    ACTION_PHRASES,
    EXPRESSION_PHRASES,
    SCENE_PHRASES,
    Described,
    article,
    caption,
    clothes_words,
    hair_words,
    prompt_text,
)
from pvbench.world.person import HAIR_STYLES, Look
from pvbench.world.render import Shot
from pvbench.world.vocabulary import LABELS

LOOK = Look("short", "brown", "none", "none", 0)
PERSON = Described("man", "young", LOOK)
FORMS = 12


def captions(person, shot, count=150):
    return (caption(person, shot, np.random.default_rng(k)) for k in range(count))


@pytest.mark.parametrize(
    ("label", "phrases"),
    [("action", ACTION_PHRASES), ("scene", SCENE_PHRASES), ("expression", EXPRESSION_PHRASES)],
)
def test_every_action_scene_and_expression_has_phrases_of_its_own(label, phrases):
    assert set(phrases) == set(LABELS[label])
    every = [phrase for those in phrases.values() for phrase in those]
    assert len(set(every)) == len(every)
    assert all(those for those in phrases.values())


@pytest.mark.parametrize(("label", "phrases"), [("action", ACTION_PHRASES), ("scene", SCENE_PHRASES)])
def test_a_caption_says_the_action_and_the_scene(label, phrases):
    for value in LABELS[label]:
        shot = replace(Shot(), **{label: value})
        for phrase in phrases[value]:
            assert any(re.search(rf"\b{phrase}\b", text) for text in captions(PERSON, shot)), phrase


@pytest.mark.parametrize(
    ("label", "value"),
    [(label, value) for label in ("class_noun", "age_group", "hair", "hair_colour", "beard", "glasses")
     for value in LABELS[label] if value != "none"],
)  # fmt: skip
def test_every_trait_of_a_person_has_words(label, value):
    if label in ("class_noun", "age_group"):
        person = replace(PERSON, **{label: value})
    else:
        person = replace(PERSON, look=replace(LOOK, **{label: value}))
    assert any(re.search(rf"\b{value}\b", text) for text in captions(person, Shot()))


@pytest.mark.parametrize("kind", LABELS["clothes"])
@pytest.mark.parametrize("colour", LABELS["colour"])
def test_clothes_are_named_by_kind_and_colour(kind, colour):
    assert clothes_words(Shot(clothes=kind, colour=colour)) == article(f"{colour} {kind}")
    assert any(f"{colour} {kind}" in text for text in captions(PERSON, Shot(clothes=kind, colour=colour), 10))


@pytest.mark.parametrize("cap", [cap for cap in LABELS["cap"] if cap])
def test_a_cap_is_named_by_its_colour(cap):
    assert clothes_words(Shot(cap=cap)) == f"a blue T-shirt and {article(cap + ' cap')}"


@pytest.mark.parametrize(
    ("words", "expected"),
    [("orange jacket", "an orange jacket"), ("red jacket", "a red jacket"), ("old man", "an old man"),
     ("angry face", "an angry face"), ("yellow cap", "a yellow cap")],
)  # fmt: skip
def test_the_article_fits_the_word(words, expected):
    assert article(words) == expected


@pytest.mark.parametrize("style", HAIR_STYLES)
def test_hair_is_named_by_style_and_colour(style):
    words = hair_words(replace(LOOK, hair=style, hair_colour="grey"))
    assert style in words
    assert "grey" in words


def random_rows(count):
    """Random people and shots, as the data has them."""
    rng = np.random.default_rng(0)
    for _ in range(count):
        value = {name: str(rng.choice(table)) for name, table in LABELS.items()}
        expression = "neutral" if value["action"] in FACE_ACTIONS else value["expression"]
        look = Look(value["hair"], value["hair_colour"], value["beard"], value["glasses"], 0)
        shot = Shot(value["action"], expression, value["scene"], value["clothes"], value["colour"], value["cap"])
        yield Described(value["class_noun"], value["age_group"], look), shot, rng


def test_captions_are_clean_english():
    for person, shot, rng in random_rows(120):
        text = caption(person, shot, rng)
        assert not re.search(r"  |^ | $|,,| ,", text), text
        assert not re.search(r"\ba [aeiou]|\ban [^aeiou]", text, re.IGNORECASE), text
        assert re.search(rf"\b{person.class_noun}\b", text), text


def test_captions_name_nothing_that_is_not_there():
    for person, shot, rng in random_rows(120):
        text = caption(person, shot, rng)
        assert shot.cap or " cap" not in text
        assert person.look.glasses != "none" or "glasses" not in text
        for beard in LABELS["beard"][1:]:
            assert beard == person.look.beard or beard not in text, text
        for scene in set(LABELS["scene"]) - {shot.scene}:
            assert not any(text.endswith(phrase) for phrase in SCENE_PHRASES[scene]), text


def test_a_generator_determines_a_caption():
    assert list(captions(PERSON, Shot(), 20)) == list(captions(PERSON, Shot(), 20))
    assert len(set(captions(PERSON, Shot(), 60))) > 20


@pytest.mark.parametrize("form", range(FORMS))
def test_a_prompt_names_the_person_once_and_says_everything(form):
    for action, scene in product(LABELS["action"], LABELS["scene"]):
        shot = Shot(action, "neutral" if action in FACE_ACTIONS else "angry", scene, "jacket", "orange", "red")
        text = prompt_text(shot, form)
        rendered = Prompt("p", text).render("woman")
        assert text.count("<V>") == 1
        assert any(phrase in text for phrase in ACTION_PHRASES[action])
        assert any(phrase in text for phrase in SCENE_PHRASES[scene])
        assert "an orange jacket and a red cap" in text
        assert ("with an angry face" in text) == (action not in FACE_ACTIONS)
        assert "  " not in rendered
        assert rendered.startswith("a woman ")


def test_the_forms_give_twelve_different_sentences():
    assert len({prompt_text(Shot("nod", "smiling"), form) for form in range(FORMS)}) == FORMS
