"""Refined prompts: for each prompt of a set a longer text, which every method is asked with in its place.

Videos are made from the longer text and compared with the prompt of the set, so that numbers stay comparable.
"""

from __future__ import annotations

import csv
import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pvbench.errors import PromptError, did_you_mean
from pvbench.prompt import Prompt, PromptSet
from pvbench.toml import read_toml

_COLUMNS = ("prompt", "text")


def read_refined(path: Path, known: PromptSet, asked: Sequence[Prompt]) -> dict[str, Prompt]:
    """By id, each prompt that is asked for with the file's text in the place of its own; id and tags stay.

    Args:
        path: TOML (`id = "text"`), JSON (an object of texts by id) or CSV (columns `prompt` and `text`).
        known: the set whose ids the file may name.
        asked: those that it must name.

    Raises:
        PromptError: the file cannot be read, names a prompt that the set does not have, lacks one that is asked for,
            or has a text that is empty or does not have `<V>` exactly once.
    """
    texts = _read(path)
    ids = [prompt.id for prompt in known.prompts]
    for prompt_id, text in texts.items():
        if prompt_id not in ids:
            raise PromptError(
                f"{path} refines the prompt {prompt_id!r}{did_you_mean(prompt_id, ids)}, which {known.name!r} does not "
                f"have; remove it, or correct its id (`pvbench list prompts` shows them)"
            )
        if not isinstance(text, str) or not text.strip():
            raise PromptError(f"{path}: the text of {prompt_id!r} is {text!r}; expected words, with <V> for the person")
    lacking = [prompt.id for prompt in asked if prompt.id not in texts]
    if lacking:
        raise PromptError(
            f"{path} has no text for {', '.join(map(repr, lacking))}; add one for each prompt that is asked for, or "
            f"choose the others with --prompts"
        )
    try:
        # Lines are broken for readers; what a tokenizer makes of a break differs from one to the next.
        return {prompt.id: dataclasses.replace(prompt, text=" ".join(texts[prompt.id].split())) for prompt in asked}
    except PromptError as error:
        raise PromptError(f"{path}: {error}") from error


def _read(path: Path) -> Mapping[str, Any]:
    """Texts by prompt id, as the file has them.

    Raises:
        PromptError: it is of another kind, cannot be read, or names a prompt twice.
    """
    kind = path.suffix.lower()
    if kind not in (".toml", ".json", ".csv"):
        raise PromptError(f"--refined {path}: expected a file that ends in .toml, .json or .csv")
    if kind == ".toml":
        return read_toml(path, PromptError)
    try:
        content = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise PromptError(f"{path} cannot be read: {error.strerror}; check the path") from error
    except UnicodeDecodeError as error:
        raise PromptError(f"{path} is not UTF-8 ({error.reason}); save it as UTF-8") from error
    return _once(path, _rows_of_csv(path, content) if kind == ".csv" else _pairs_of_json(path, content))


def _pairs_of_json(path: Path, content: str) -> Sequence[tuple[str, Any]]:
    try:
        found = json.loads(content, object_pairs_hook=tuple)
    except ValueError as error:
        raise PromptError(f"{path} is no JSON: {error}") from error
    if not isinstance(found, tuple):
        raise PromptError(f"{path} holds no object; expected texts by prompt id, such as {{'walk': 'A tall <V> ...'}}")
    return found


def _rows_of_csv(path: Path, content: str) -> Sequence[tuple[str, Any]]:
    reader = csv.DictReader(content.splitlines(keepends=True))
    if not set(_COLUMNS) <= set(reader.fieldnames or ()):
        raise PromptError(f"{path}: expected the columns {' and '.join(_COLUMNS)}; found {reader.fieldnames or 'none'}")
    return [(row["prompt"], row["text"]) for row in reader]


def _once(path: Path, pairs: Sequence[tuple[str, Any]]) -> Mapping[str, Any]:
    found: dict[str, Any] = {}
    for prompt_id, text in pairs:
        if prompt_id in found:
            raise PromptError(f"{path} has two texts for {prompt_id!r}; remove one")
        found[prompt_id] = text
    return found
