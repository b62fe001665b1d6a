"""What prompts ask for, read back from their words."""

import pytest

from pvbench.prompt import load_prompts
from pvbench.world.reading import asked_for


@pytest.mark.parametrize("role", ["evaluation", "simulated", "development"])
def test_every_shipped_prompt_is_read_as_it_was_meant(role):
    for prompt in load_prompts(f"mini_{role}").prompts:
        meant = {label: prompt.tags[label] for label in ("action", "scene", "colour")}
        if prompt.tags["expression"] != "neutral":
            meant["expression"] = prompt.tags["expression"]
        for noun in ("man", "woman"):
            assert asked_for(prompt.render(noun)) == meant, prompt.text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a man rides a horse through Paris", {}),
        ("", {}),
        ("A WOMAN NODDING In A Forest", {"action": "nod", "scene": "forest"}),
        ("a woman in front of snowy mountains", {"scene": "mountains"}),
        ("a man in a red jacket and a blue cap", {"colour": "red"}),
        ("a man in a red jacket beside a woman in a blue T-shirt", {}),
        ("a man nodding, then laughing out loud, in the snow", {"scene": "snow"}),
        ("a woman unwaving a hand", {}),
    ],
)
def test_what_is_not_said_or_said_twice_is_left_out(text, expected):
    assert asked_for(text) == expected
