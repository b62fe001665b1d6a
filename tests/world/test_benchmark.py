"""What the miniature world ships is what its seeds make."""

import pytest

from pvbench.identity import list_identities, load_identities, split_root
from pvbench.prompt import load_prompts
from pvbench.world.benchmark import DEVELOPMENT_NAMES, NAMES, mini_prompts, reference_shots, shot_of

TAGS = ("action", "scene", "colour", "clothes")


@pytest.mark.parametrize("role", ["evaluation", "simulated", "development"])
def test_the_shipped_prompts_are_the_ones_the_seed_draws(role):
    assert load_prompts(f"mini_{role}").prompts == tuple(mini_prompts(role))


@pytest.mark.parametrize("role", ["evaluation", "simulated"])
def test_fifty_prompts_cover_every_action_scene_colour_and_expression(role):
    from pvbench.world import vocabulary

    prompts = load_prompts(f"mini_{role}").prompts
    assert len(prompts) == 50
    for tag in ("action", "scene", "colour", "clothes", "expression"):
        wanted = set(vocabulary.LABELS[tag]) - {"still"}
        assert {p.tags[tag] for p in prompts} == wanted


def test_no_combination_is_both_tuned_on_and_scored():
    scored, tuned = (
        {tuple(p.tags[t] for t in ("action", "scene", "colour")) for p in load_prompts(f"mini_{role}").prompts}
        for role in ("evaluation", "simulated")
    )
    assert not scored & tuned


def test_development_prompts_share_no_action_and_scene_with_others():
    chosen, others = (
        {(p.tags["action"], p.tags["scene"]) for role in roles for p in load_prompts(f"mini_{role}").prompts}
        for roles in (("development",), ("evaluation", "simulated"))
    )
    assert len(load_prompts("mini_development").prompts) == 12
    assert not chosen & others


def test_every_prompt_can_be_rendered():
    for role in ("evaluation", "simulated", "development"):
        for prompt in load_prompts(f"mini_{role}").prompts:
            assert shot_of(prompt).action == prompt.tags["action"]


def test_twelve_people_for_development_are_none_of_the_benchmarks():
    root = split_root("development")
    people = load_identities(None, root)
    assert list_identities(root) == tuple(sorted(DEVELOPMENT_NAMES))
    assert not set(DEVELOPMENT_NAMES) & set(NAMES)
    assert sum(p.class_noun == "woman" for p in people) == 6
    assert all(len(p.images) == 5 for p in people)


def test_captions_say_what_the_photos_show_beside_the_person():
    for person in load_identities():
        assert len(person.captions) == len(person.images)
        for caption, shot in zip(person.captions, reference_shots(), strict=True):
            assert {shot.colour, shot.clothes} <= set(caption.split())
            assert caption.count("<V>") == 1
            assert "left" not in caption, "photos are mirrored in tuning"
            assert "right" not in caption


def test_twenty_people_half_of_them_women_with_five_photos_each():
    people = load_identities()
    assert list_identities() == tuple(sorted(NAMES))
    assert len(people) == 20
    assert sum(p.class_noun == "woman" for p in people) == 10
    assert all(len(p.images) == 5 for p in people)
    assert all(min(photo.shape[:2]) >= 192 for p in people for photo in p.references())
