"""What a text asks for, in the miniature world's own words: the reverse of its captions."""

from __future__ import annotations

import re
from collections.abc import Mapping

from pvbench.world.caption import ACTION_PHRASES, EXPRESSION_PHRASES, SCENE_PHRASES
from pvbench.world.vocabulary import LABELS

ASKED = ("action", "scene", "colour", "expression")
"""The labels that are read out of a text; `colour` is that of the clothes."""

_PHRASES: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "action": ACTION_PHRASES,
    "scene": SCENE_PHRASES,
    "expression": EXPRESSION_PHRASES,
}


def asked_for(text: str) -> dict[str, str]:
    """What a text asks for, by label; labels of which it says nothing, or two things, are left out.

    Args:
        text: a prompt, with or without its placeholder.
    """
    lowered = f" {text.lower()} "
    found: dict[str, str] = {}
    for label, table in _PHRASES.items():
        said = {value for value, phrases in table.items() if any(_says(lowered, phrase) for phrase in phrases)}
        if len(said) == 1:
            found[label] = said.pop()
    clothes = "|".join(re.escape(name.lower()) for name in LABELS["clothes"])
    colours = "|".join(map(re.escape, LABELS["colour"]))
    worn = set(re.findall(rf"\b({colours}) (?:{clothes})\b", lowered))
    if len(worn) == 1:
        found["colour"] = worn.pop()
    return found


def _says(text: str, phrase: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(phrase.lower())}(?!\w)", text) is not None
