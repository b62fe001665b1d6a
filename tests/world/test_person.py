"""People are determined by their pool and number."""

from dataclasses import asdict, replace
from typing import Any, cast

import numpy as np
import pytest

from pvbench.world.person import (
    BEARDS,
    GLASSES,
    HAIR_COLOURS,
    HAIR_STYLES,
    Look,
    pool_person,
    restyle,
    sample_person,
    traits,
)

POOLS = ("train-a", "train-b", "held-out", "benchmark")
SLIDERS = [f"nose-{k}" for k in range(40)]


def face(person):
    """What stays with a person."""
    return {name: value for name, value in asdict(person).items() if name != "look"}


@pytest.mark.parametrize("pool", POOLS)
def test_pool_and_number_determine_a_person(pool):
    assert pool_person(pool, 3, SLIDERS) == pool_person(pool, 3, SLIDERS)


def test_no_two_pools_share_a_person():
    people = [tuple(pool_person(pool, k, SLIDERS).sliders.values()) for pool in POOLS for k in range(60)]
    assert len(set(people)) == len(people)


def test_a_person_depends_on_the_generator_alone():
    one, other = (sample_person(np.random.default_rng(5), SLIDERS) for _ in range(2))
    np.random.default_rng(0).random(100)
    assert one == other
    assert one != sample_person(np.random.default_rng(6), SLIDERS)


@pytest.mark.parametrize("noun", ["man", "woman"])
def test_a_class_noun_that_is_asked_for_is_kept(noun):
    rng = np.random.default_rng(0)
    people = [sample_person(rng, SLIDERS, noun) for _ in range(50)]
    assert {p.class_noun for p in people} == {noun}
    assert all((p.phenotypes["gender"] > 0.5) == (noun == "woman") for p in people)
    assert noun == "man" or {p.look.beard for p in people} == {"none"}


def test_numbers_stay_in_their_ranges():
    for k in range(200):
        person = pool_person("train-a", k, SLIDERS)
        assert all(0 <= value <= 1 for value in person.phenotypes.values())
        assert all(-1 <= value <= 1 for value in person.sliders.values())
        assert all(0 <= value <= 1 for value in (*person.skin, *person.iris))
        assert list(person.sliders) == SLIDERS


def test_every_look_occurs():
    looks = [pool_person("train-a", k, SLIDERS).look for k in range(600)]
    assert {look.hair for look in looks} == set(HAIR_STYLES)
    assert {look.hair_colour for look in looks} == set(HAIR_COLOURS)
    assert {look.beard for look in looks} == set(BEARDS)
    assert {look.glasses for look in looks} == set(GLASSES)


def test_both_class_nouns_and_all_ages_are_common():
    people = [pool_person("train-b", k, SLIDERS) for k in range(400)]
    assert 0.4 < np.mean([p.class_noun == "woman" for p in people]) < 0.6
    for age in ("young", "middle-aged", "old"):
        assert np.mean([p.age_group == age for p in people]) > 0.15


def test_another_look_leaves_the_face_alone():
    person = pool_person("held-out", 1, SLIDERS)
    rng = np.random.default_rng(0)
    others = [restyle(person, rng) for _ in range(5)]
    assert all(face(other) == face(person) for other in others)
    assert len({other.look for other in [person, *others]}) > 3


@pytest.mark.parametrize("field", ["hair", "hair_colour", "beard", "glasses"])
def test_an_unknown_look_is_refused(field):
    with pytest.raises(ValueError, match="a look has 'mohawk'"):
        replace(Look("short", "black", "none", "none", 0), **cast(Any, {field: "mohawk"}))


def test_traits_stay_with_a_person_and_tell_people_apart():
    people = [pool_person("train-a", k, SLIDERS) for k in range(100)]
    rows = np.stack([traits(person) for person in people])
    assert rows.dtype == np.float32
    assert (rows.std(axis=0) > 0).all()  # what everybody has alike is not a trait
    rng = np.random.default_rng(0)
    np.testing.assert_array_equal(traits(restyle(people[0], rng)), rows[0])
    for changed in (replace(people[0], skin=(0.1, 0.1, 0.1)), replace(people[0], iris=(0.0, 0.0, 0.0))):
        assert (traits(changed) != rows[0]).any()
