"""Lines of a profile's `[backbone]` that several backbones read."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Literal

from pvbench.errors import ProfileError, did_you_mean
from pvbench.profile import Profile

Checkpointing = bool | Literal["host"]
"""Whether activations are computed again in backward passes; "host" keeps the blocks' inputs in the host's memory."""


def where(profile: Profile, line: str = "") -> str:
    """How a message names the table, or a line in it."""
    return f"profile {profile.name!r} [backbone]" + (f" {line}" if line else "")


def only_lines(profile: Profile, known: Collection[str]) -> None:
    """Refuses a line that the backbone does not read.

    Raises:
        ProfileError: naming it.
    """
    for line in profile.backbone:
        if line not in known:
            raise ProfileError(
                f"{where(profile)}: unknown line {line!r}{did_you_mean(line, known)}; known: {', '.join(known)}"
            )


def text_line(profile: Profile, line: str, default: str = "") -> str:
    """A text.

    Raises:
        ProfileError: it is none.
    """
    return str(_typed(profile, line, default, str, "a text"))


def switch_line(profile: Profile, line: str, default: bool = False) -> bool:
    """True or false.

    Raises:
        ProfileError: it is neither.
    """
    return bool(_typed(profile, line, default, bool, "true or false"))


def checkpointing_line(profile: Profile, default: Checkpointing = False) -> Checkpointing:
    """True, false or "host", of the line `checkpointing`.

    Raises:
        ProfileError: it is none of them.
    """
    found = profile.backbone.get("checkpointing", default)
    if found is True or found is False:
        return found
    if found == "host":
        return "host"
    raise ProfileError(f'{where(profile)}: checkpointing is {found!r}; expected true, false or "host"')


def words_line(profile: Profile, line: str) -> list[str]:
    """A list of words.

    Raises:
        ProfileError: it is none.
    """
    found: list[str] = _typed(profile, line, [], list, "a list of words")
    if not all(isinstance(word, str) and word for word in found):
        raise ProfileError(f"{where(profile)}: {line} is {found!r}; expected a list of words")
    return found


def choice_line(profile: Profile, line: str, choices: Collection[str], default: str) -> str:
    """One of some texts.

    Raises:
        ProfileError: it is another.
    """
    found = text_line(profile, line, default)
    if found not in choices:
        raise ProfileError(f"{where(profile)}: {line} is {found!r}; expected {' or '.join(choices)}")
    return found


def _typed(profile: Profile, line: str, default: Any, kind: type, expected: str) -> Any:
    found = profile.backbone.get(line, default)
    if type(found) is not kind:
        raise ProfileError(f"{where(profile)}: {line} is {found!r}; expected {expected}")
    return found
