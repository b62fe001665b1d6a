"""Which identities, prompts and seeds the texts of the command line name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pvbench.errors import IdentityError, PromptError, SettingError, did_you_mean
from pvbench.identity import CLASS_NOUNS, SPLITS, Identity, list_identities, load_identities
from pvbench.profile import Profile
from pvbench.prompt import Prompt, PromptSet

ALL = "all"


def scored_prompts(profile: Profile, split: str) -> str:
    """The name of the prompt set that a split scores.

    Raises:
        PromptError: the profile has no prompts for development.
    """
    if split == SPLITS[0]:
        return profile.prompts.evaluation
    if not profile.prompts.development:
        raise PromptError(
            f"profile {profile.name!r} has no development prompts; name a set as development in its "
            f"[prompts], or run without --split"
        )
    return profile.prompts.development


def select_identities(text: str, root: Path | None = None) -> tuple[Identity, ...]:
    """The identities that a text names: `all`, a number for the first so many, or names and folders by comma.

    Args:
        root: the folder that names are looked up in; the benchmark's people by default.

    Raises:
        IdentityError: for more than there are, none, an unknown name, or an identity that does not load.
    """
    if text == ALL:
        return load_identities(None, root)
    if text.isdecimal():
        names = list_identities(root)
        return load_identities(names[: _count(text, len(names), "identities", IdentityError)], root)
    chosen = _parts(text)
    if not chosen:
        raise IdentityError(f"--identities is {text!r}; expected names or folders by comma, a number, or all")
    return load_identities(chosen, root)


def with_class_nouns(people: Sequence[Identity], text: str | None) -> tuple[Identity, ...]:
    """The identities, those without a card under the class noun that a text gives them.

    Args:
        text: a noun for all of them, or `ann=woman,bob=man`; None leaves them as they are.

    Raises:
        IdentityError: for an unknown noun, a name that none of them has, or people who all have a card.
    """
    if text is None:
        return tuple(people)
    plain = [one.name for one in people if one.plain]
    if not plain:
        raise IdentityError(f"--class-noun {text!r}: every identity here has a card, which says its class noun")
    given = dict(part.partition("=")[::2] if "=" in part else ("", part) for part in _parts(text))
    for name, noun in given.items():
        if noun not in CLASS_NOUNS:
            near = did_you_mean(noun, CLASS_NOUNS)
            raise IdentityError(f"--class-noun {text!r}: {noun!r} is not one of {', '.join(CLASS_NOUNS)}{near}")
        if name and name not in plain:
            near = did_you_mean(name, plain)
            raise IdentityError(
                f"--class-noun {text!r}: {name!r} is not an identity without a card{near}; these are {', '.join(plain)}"
            )
    return tuple(
        one.called(noun) if one.plain and (noun := given.get(one.name, given.get("", ""))) else one for one in people
    )


def notes_on(people: Sequence[Identity]) -> tuple[str, ...]:
    """What is to be said of people's photos before anything is made of them."""
    return (*_notes_on_plain([one for one in people if one.plain]), *unscored_note(people))


def unscored_note(people: Sequence[Identity]) -> tuple[str, ...]:
    """A sentence on people of whom no photo is kept from tuning, so that there is none to compare videos with."""
    names = [one.name for one in people if not one.scoring]
    if not names:
        return ()
    return (
        f"No photo is kept for scoring of {', '.join(names)}: numbers that compare a video with photos of the person "
        "are left out for them, since a method is tuned on all that there are. Name others in scoring_images of the "
        "card, or, without one, put a second photo into the folder.",
    )


def _notes_on_plain(plain: Sequence[Identity]) -> tuple[str, ...]:
    if not plain:
        return ()
    called = ", ".join(f"{one.name} ({one.class_noun})" for one in plain)
    apart = "; ".join(f"{one.name} {', '.join(path.name for path in one.scoring)}" for one in plain if one.scoring)
    return (
        *([f"Kept for scoring and not tuned on: {apart}. A card can say others."] if apart else []),
        f"Without a card, which would say whose consent there is: {called}. Make videos of people only where they "
        "agree. Prompts call each by the noun in brackets; --class-noun NAME=woman says another.",
        *(f"identity {one.name}: {why}; it is left out" for one in plain for why in one.left_out),
    )


def select_prompts(text: str, prompts: PromptSet) -> tuple[Prompt, ...]:
    """The prompts that a text names: `all`, a number for the first so many, or ids by comma.

    Raises:
        PromptError: for more than there are, none, or an unknown or repeated id.
    """
    if text == ALL:
        return prompts.prompts
    if text.isdecimal():
        return prompts.prompts[: _count(text, len(prompts.prompts), f"prompts in {prompts.name!r}", PromptError)]
    by_id = {prompt.id: prompt for prompt in prompts.prompts}
    ids = _parts(text)
    if not ids:
        raise PromptError(f"--prompts is {text!r}; expected ids by comma, a number, or all")
    for prompt_id in ids:
        if prompt_id not in by_id:
            raise PromptError(
                f"unknown prompt {prompt_id!r}{did_you_mean(prompt_id, by_id)}; `pvbench list prompts` "
                f"shows those of {prompts.name!r}"
            )
        if ids.count(prompt_id) > 1:
            raise PromptError(f"prompt {prompt_id!r} is named twice; name each once")
    return tuple(by_id[prompt_id] for prompt_id in ids)


def select_seeds(text: str) -> tuple[int, ...]:
    """The seeds that a text names: a number for the first so many from 0, or seeds by comma (`7,` is seed 7 alone).

    Raises:
        SettingError: for anything else, or a seed named twice.
    """
    if text.isdecimal() and int(text) > 0:
        return tuple(range(int(text)))
    parts = _parts(text)
    if not parts or "," not in text or not all(part.isdecimal() for part in parts) or len(set(parts)) < len(parts):
        raise SettingError(
            f"--seeds is {text!r}; expected how many (3 is 0, 1 and 2), or different seeds by comma (0,5,9)"
        )
    return tuple(int(part) for part in parts)


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _count(text: str, most: int, what: str, error: type[Exception]) -> int:
    count = int(text)
    if not 1 <= count <= most:
        raise error(f"{count} {what} were asked for; there are {most}, and at least one is needed")
    return count
