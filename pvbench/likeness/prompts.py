"""What a file is taken to have been asked for: one prompt for all, or what its name says."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pvbench.errors import PromptError, readable
from pvbench.measuring.imported import Given, prompt_of, render_text
from pvbench.measuring.names import name_says
from pvbench.profile import Profile
from pvbench.prompt import load_prompts


def asked_for(paths: Sequence[Path], profile: Profile, class_noun: str, prompt: str = "") -> list[str]:
    """The text that each file was asked for, with the class noun for `<V>`; empty where nothing says.

    A name says it where it is the id of a prompt of the profile or a text of several words, with a seed or without, as
    `pvbench measure` reads names. A single word is not a prompt here, since checkpoints are called `step-500` as well,
    and a slip in an id is none either, since no name has to be right.

    Args:
        prompt: id or text of the prompt of all files, whatever their names are.

    Raises:
        PromptError: the prompt that is given is nearly the id of one of the profile's.
    """
    by_id = {one.id: one for one in load_prompts(profile.prompts.evaluation).prompts}
    if prompt:
        return [render_text(*prompt_of(prompt, by_id), class_noun)] * len(paths)
    found = []
    for path in paths:
        try:
            prompt_id, text, _ = name_says(readable(path.stem), by_id, Given(), words=False)
        except PromptError:
            prompt_id = text = ""
        found.append(render_text(prompt_id, text, class_noun))
    return found
