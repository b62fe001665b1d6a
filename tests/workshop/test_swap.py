"""Swapped photos: who stands in whose cells, whom a video shows, and shares with their p."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from pvbench.errors import PvbenchError
from pvbench.identity import load_identities
from pvbench.method import Adapter, save_adapter
from pvbench.profile import load_profile
from pvbench.store import Store
from pvbench.variant import parse_variant
from workshop import swap
from workshop.swap import nearest, partners, summed_up


@pytest.fixture(scope="module")
def people():
    return load_identities()


def test_everybody_is_swapped_with_somebody_of_the_same_noun(people):
    found = partners(people)
    assert set(found) == {person.name for person in people}
    for person in people:
        assert found[person.name].class_noun == person.class_noun
        assert found[person.name].name != person.name


def test_a_person_alone_of_a_noun_is_told(people):
    women = [person for person in people if person.class_noun == "woman"][:2]
    man = next(person for person in people if person.class_noun == "man")
    with pytest.raises(PvbenchError, match=f"{man.name} is the only man"):
        partners([*women, man])


def test_a_video_shows_whom_its_frames_resemble_together():
    templates = {"ada": np.array([1.0, 0.0], np.float32), "ben": np.array([0.0, 1.0], np.float32)}
    assert nearest(np.array([[0.9, 0.2], [0.1, 0.7], [np.nan, np.nan]], np.float32), templates) == "ada"
    assert nearest(np.array([[0.1, 0.7]], np.float32), templates) == "ben"
    assert nearest(np.full((2, 2), np.nan, np.float32), templates) == ""


def test_shares_are_of_videos_and_p_is_of_people():
    names = [f"p{i}" for i in range(10) for _ in range(2)]
    photos = [f"q{i}" for i in range(10) for _ in range(2)]
    always = summed_up(names, photos, photos, 20)
    assert (always.videos, always.photos, always.cell, always.chance) == (20, 1.0, 0.0, 0.05)
    assert always.p < 0.01
    leak = summed_up(names, names, photos, 20)
    assert (leak.photos, leak.cell) == (0.0, 1.0)
    assert leak.p > 0.5


def test_a_row_that_looks_at_its_photos_is_told_from_one_that_does_not(people, short_profile):
    """The photo itself, held, against the untuned model; with a few people of the benchmark."""
    profile = replace(short_profile, evaluators=load_profile("mini").evaluators)
    few = [person for person in people if person.class_noun == "woman"][:6]
    held = swap.swap("still_photo", profile, few, 1)
    assert held.photos == 1
    plain = swap.swap("base", profile, few, 1)
    assert plain.photos <= 3 / 6
    assert plain.videos == 6
    assert held.p < plain.p


def test_a_row_that_tunes_needs_its_adapters(people, tmp_path):
    variant = parse_variant("magicme")
    with pytest.raises(PvbenchError, match=r"no folder \(--adapters\) holds 0 adapters of"):
        swap._adapter(None, variant, people[0])
    with pytest.raises(PvbenchError, match="holds 0 adapters"):
        swap._adapter(tmp_path, variant, people[0])
    assert swap._adapter(None, parse_variant("base"), people[0]) is None


def test_adapters_of_rows_with_settings_are_found_and_those_of_others_left(people, tmp_path):
    person, variant = people[0], parse_variant("magicme[mask=off]")
    adapter = Adapter({}, (0.0, 1.0), {}, {"<ada>": torch.ones(2, 3)}, "text")
    for name in (person.name, f"{person.name}-b"):
        save_adapter(Store(tmp_path).adapter_path("0" * 64, variant.label, name), adapter)
    found = swap._adapter(tmp_path, variant, person)
    assert torch.equal(found.tokens["<ada>"], torch.ones(2, 3))
    save_adapter(Store(tmp_path).adapter_path("1" * 64, variant.label, person.name), adapter)
    with pytest.raises(PvbenchError, match="holds 2 adapters"):
        swap._adapter(tmp_path, variant, person)


def test_evaluators_that_are_not_the_miniature_worlds_are_told(people):
    profile = replace(load_profile("mini"), evaluators={"kind": "published"})
    with pytest.raises(PvbenchError, match="kind is 'published'"):
        swap.swap("still_photo", profile, people[:2], 1)
