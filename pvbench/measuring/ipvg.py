"""Prompts of the challenge on Identity-Preserving Video Generation (IPVG), which lie beside the person's photo."""

from __future__ import annotations

import re

from pvbench.errors import PromptError, readable
from pvbench.identity import Identity
from pvbench.measuring.imported import slug

_NAMED = re.compile(r"prompt\d+")
"""What the challenge calls texts and videos; photos' own captions are called as the photos are, and are not prompts."""


def text_beside(person: Identity, name: str) -> tuple[str, str] | None:
    """Id and text of the prompt that a video of a person is named after, as in `id001/prompt3.mp4`.

    The test set has for each person a folder with `image.png` and `prompt1.txt` to `prompt5.txt`; a submission has a
    folder of the same name with `prompt1.mp4` to `prompt5.mp4`. Numbers mean other texts for other people, so that the
    id is made from the text.

    Args:
        name: of the video, without suffix and seed.

    Returns:
        None where the name is not a number of a prompt, or no prompts lie beside the person's photos.

    Raises:
        PromptError: other prompts lie there and not this one, or it holds no text in UTF-8.

    Source: HiDream-ai/ipvg-challenge.github.io@af263aa and HiDream-ai/ipvg-challenge-2026.github.io@25c4b75,
        index.html.
    """
    if not _NAMED.fullmatch(name):
        return None
    path = person.folder / f"{name}.txt"
    if not path.is_file():
        others = sorted(other.name for other in person.folder.glob("prompt*.txt") if _NAMED.fullmatch(other.stem))
        if not others:
            return None
        raise PromptError(
            f"its prompt {readable(path)} is not there; that folder has {', '.join(others)}: rename the video or add "
            f"the text"
        )
    try:
        text = " ".join(path.read_bytes().decode("utf-8-sig").split())
    except (OSError, UnicodeDecodeError) as error:
        raise PromptError(f"its prompt {readable(path)} cannot be read ({error}); save it as text in UTF-8") from error
    if not text:
        raise PromptError(f"its prompt {readable(path)} is empty; write the text into it")
    return slug(text), text
