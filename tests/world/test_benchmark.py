"""What the miniature world ships is what its seeds make."""

import pytest

from pvbench.identity import list_identities, load_identities
from pvbench.prompt import load_prompts
from pvbench.world.benchmark import NAMES, mini_prompts, shot_of

TAGS = ("action", "scene", "colour", "clothes")


@pytest.mark.parametrize("role", ["evaluation", "simulated"])
def test_the_shipped_prompts_are_the_ones_the_seed_draws(role):
    assert load_prompts(f"mini_{role}").prompts == tuple(mini_prompts(role))


@pytest.mark.parametrize("role", ["evaluation", "simulated"])
def test_fifty_prompts_cover_every_action_scene_colour_and_expression(role):
    from pvbench.world import dataset

    prompts = load_prompts(f"mini_{role}").prompts
    assert len(prompts) == 50
    for tag in ("action", "scene", "colour", "clothes", "expression"):
        wanted = set(dataset.LABELS[tag]) - {"still"}
        assert {p.tags[tag] for p in prompts} == wanted


def test_no_combination_is_both_tuned_on_and_scored():
    scored, tuned = (
        {tuple(p.tags[t] for t in ("action", "scene", "colour")) for p in load_prompts(f"mini_{role}").prompts}
        for role in ("evaluation", "simulated")
    )
    assert not scored & tuned


def test_every_prompt_can_be_rendered():
    for role in ("evaluation", "simulated"):
        for prompt in load_prompts(f"mini_{role}").prompts:
            assert shot_of(prompt).action == prompt.tags["action"]


def test_twenty_people_half_of_them_women_with_five_photos_each():
    people = load_identities()
    assert list_identities() == tuple(sorted(NAMES))
    assert len(people) == 20
    assert sum(p.class_noun == "woman" for p in people) == 10
    assert all(len(p.images) == 5 for p in people)
    assert all(min(photo.shape[:2]) >= 192 for p in people for photo in p.references())
