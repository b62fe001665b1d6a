"""Prompts: what the person is to do, with a placeholder for who it is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any

from pvbench.digest import digest
from pvbench.errors import PromptError, did_you_mean
from pvbench.toml import only_fields, read_toml

PERSON = "<V>"
_SHOWN = 100
"""Characters of a prompt that a message repeats."""
ROLES = ("evaluation", "simulated", "development")
_PRONOUNS = {
    "man": {"he": "he", "his": "his", "him": "him", "himself": "himself"},
    "woman": {"he": "she", "his": "her", "him": "her", "himself": "herself"},
    "person": {"he": "they", "his": "their", "him": "them", "himself": "themselves"},
}
_PLACEHOLDER = re.compile(r"<([^<>]*)>")


@dataclass(frozen=True)
class Prompt:
    """A text with `<V>` for the person exactly once, and tags that say what it asks for.

    `<he>`, `<his>`, `<him>` and `<himself>` follow the person's class noun; `<He>` begins a sentence.

    Raises:
        PromptError: for a text without `<V>`, with two, or with a placeholder that is none of these.
    """

    id: str
    text: str
    tags: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9_-]+", self.id):
            raise PromptError(f"prompt id {self.id!r}: an id has letters, digits, - and _ only, as it names files")
        count = self.text.count(PERSON)
        if count != 1:
            text = self.text if len(self.text) <= _SHOWN else f"{self.text[:_SHOWN]}..."
            raise PromptError(
                f"prompt {self.id!r} has {PERSON} {count} times in {text!r}; expected exactly once, "
                f"where the person is named"
            )
        for name in _PLACEHOLDER.findall(self.text):
            if name != "V" and name.lower() not in _PRONOUNS["man"]:
                raise PromptError(
                    f"prompt {self.id!r} has the unknown placeholder <{name}>; expected {PERSON}, <he>, "
                    f"<his>, <him> or <himself>"
                )

    def render(self, class_noun: str, token: str = "") -> str:
        """The text for one person: `<V>` becomes the class noun, behind the method's rare token if it has one."""
        return self._with(f"{token} {class_noun}" if token else class_noun, class_noun)

    def described(self, class_noun: str, description: str) -> str:
        """The text with a person's description, such as "an old man with grey hair", in the place of `<V>`.

        The description's article and full stop are left out, and an article before `<V>` is made to fit.
        """
        words = re.sub(r"^(an?|the)\s+", "", description.strip().rstrip("."), flags=re.IGNORECASE)
        article = "an" if words[:1].lower() in tuple("aeiou") else "a"
        text = re.sub(rf"\b[Aa]n? (?={PERSON})", lambda found: _like(found[0], article) + " ", self.text)
        return replace(self, text=text)._with(words, class_noun)

    def _with(self, person: str, class_noun: str) -> str:
        def word_of(match: re.Match[str]) -> str:
            name = match[1]
            if name == "V":
                return person
            return _like(name, _PRONOUNS[class_noun][name.lower()])

        return _PLACEHOLDER.sub(word_of, self.text)


def _like(model: str, word: str) -> str:
    """`word` with a capital where `model` has one."""
    return word.capitalize() if model[:1].isupper() else word


@dataclass(frozen=True)
class PromptSet:
    """Prompts of one role.

    Those for `evaluation` are scored, methods tune on `simulated` ones, and settings are chosen on `development` ones.
    """

    name: str
    role: str
    prompts: tuple[Prompt, ...]

    @cached_property
    def digest(self) -> str:
        """Sha256, in hex, of the role and the prompts in their order; the set's name is left out."""
        return digest([self.role, self.prompts])


def list_prompt_sets() -> tuple[str, ...]:
    """Names of the prompt sets that pvbench ships, in alphabetical order."""
    return tuple(sorted(path.stem for path in _root().glob("*.toml")))


def load_prompts(name: str) -> PromptSet:
    """The prompt set of that name, or in the TOML file at that path, checked.

    Raises:
        PromptError: naming the file, the prompt and the field that is wrong.
    """
    path = Path(name) if name.endswith(".toml") or "/" in name else _root() / f"{name}.toml"
    if not path.is_file():
        known = list_prompt_sets()
        raise PromptError(
            f"no prompts {name!r}{did_you_mean(name, known)}; there are {', '.join(known)}; give a path "
            f"ending in .toml for a file of your own"
        )
    content = read_toml(path, PromptError)
    only_fields(content, ("role", "prompt"), str(path), PromptError)
    role = content.get("role")
    if role not in ROLES:
        raise PromptError(f"{path}: role is {role!r}; expected {', '.join(ROLES[:-1])} or {ROLES[-1]}")
    tables = content.get("prompt")
    if not isinstance(tables, list) or not tables:
        raise PromptError(f"{path} holds no prompts; expected [[prompt]] tables with id, text and tags")
    prompts = tuple(_prompt(table, path, index) for index, table in enumerate(tables, start=1))
    _distinct(prompts, path)
    return PromptSet(path.stem, role, prompts)


def check_disjoint(evaluation: PromptSet, simulated: PromptSet, role: str = "evaluation") -> None:
    """Nothing comes out; what is scored must not be what was tuned on.

    Args:
        role: of the prompts that are scored, `evaluation` or `development`.

    Raises:
        PromptError: for a role in the wrong place, or a text that both sets hold.
    """
    for prompts, wanted in ((evaluation, role), (simulated, "simulated")):
        if prompts.role != wanted:
            raise PromptError(
                f"prompt set {prompts.name!r} has the role {prompts.role!r}, used as {wanted}; name a "
                f"set with the role {wanted}"
            )
    texts = {_normalised(prompt.text): prompt.id for prompt in simulated.prompts}
    for prompt in evaluation.prompts:
        other = texts.get(_normalised(prompt.text))
        if other is not None:
            raise PromptError(
                f"{evaluation.name!r} prompt {prompt.id!r} is also {simulated.name!r} prompt {other!r}: "
                f"what is scored must not be tuned on; change one of them"
            )


def _root() -> Path:
    return Path(str(files("pvbench.prompts")))


def _prompt(table: Any, path: Path, index: int) -> Prompt:
    where = f"{path}, prompt {index}"
    if not isinstance(table, dict):
        raise PromptError(f"{where} is {table!r}; expected a table with id, text and tags")
    only_fields(table, ("id", "text", "tags"), where, PromptError)
    for name in ("id", "text"):
        if not isinstance(table.get(name), str) or not table[name].strip():
            raise PromptError(f"{where}: {name} is {table.get(name)!r}; expected a text")
    tags = table.get("tags", {})
    if not isinstance(tags, dict) or not all(isinstance(value, str) for value in tags.values()):
        raise PromptError(f"{where}: tags is {tags!r}; expected a table of texts")
    try:
        return Prompt(table["id"], table["text"], tags)
    except PromptError as error:
        raise PromptError(f"{path}: {error}") from error


def _distinct(prompts: tuple[Prompt, ...], path: Path) -> None:
    ids: set[str] = set()
    texts: dict[str, str] = {}
    for prompt in prompts:
        if prompt.id in ids:
            raise PromptError(f"{path}: two prompts have the id {prompt.id!r}; give each its own")
        ids.add(prompt.id)
        text = _normalised(prompt.text)
        if text in texts:
            raise PromptError(f"{path}: prompts {texts[text]!r} and {prompt.id!r} have the same text; remove one")
        texts[text] = prompt.id


def _normalised(text: str) -> str:
    return " ".join(text.lower().split())


def spelled(name: str, count: int) -> str:
    """How a learned word of several vectors stands in a text: `<ada> <ada>_1 <ada>_2`, as diffusers spells it."""
    return " ".join([name, *(f"{name}_{i}" for i in range(1, count))])
