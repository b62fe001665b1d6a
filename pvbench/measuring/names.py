"""What the name of a video says of it: the prompt, as an id or a text, and the seed."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

from pvbench.errors import PromptError, did_you_mean
from pvbench.measuring.imported import Given, prompt_of, slug
from pvbench.prompt import Prompt

# What `pvbench run` appends to a prompt's id, and what others append: -3, _3, (3), -seed3, _00003_.
_ENDINGS = (
    re.compile(r"(?P<prompt>.+?)[-_]s(?P<seed>\d+)(?:-[0-9a-f]{12})?"),
    re.compile(r"(?P<prompt>.+?)[-_ ]+seed[-_ =]?(?P<seed>\d+)_?", re.IGNORECASE),
    re.compile(r"(?P<prompt>.+?)-(?P<seed>\d+)(?:-[0-9a-f]{12})?"),
    re.compile(r"(?P<prompt>.+?)_(?P<seed>\d+)_?"),
    re.compile(r"(?P<prompt>.+?) ?\((?P<seed>\d+)\)"),
)
_BEHIND = re.compile(
    r"(?:[-_ ]+(?:\d+x\d+|\d+ ?(?:fps|frames|steps|p|f)|\d{8}[-_T]\d{4,6})|(?: - | )copy(?: ?\(?\d+\)?)?)+$",
    re.IGNORECASE,
)
"""What tools and desktops put behind a sentence, and which is no part of it: size, rate, time, the word for a copy."""
_BEFORE = re.compile(r"(?P<seed>\d{3,})[-_ ]+(?P<prompt>[^\W\d].*)")
"""A number that stands before a sentence."""
_NUMBERS = re.compile(r"\d+")
_LONGEST_SEED = 18
_WORD_AND_INDEX = re.compile(r"[a-z]{3,}-\d{1,3}")
_FILES_WORD = re.compile(r"(?P<word>[^\W\d_]+)[-_ ]?(?:\(?\d+\)?)?[-_ ]*")
_WORDS_FOR_FILES = (
    *("clip", "film", "frame", "frames", "gen", "generated", "generation", "img", "movie", "out", "output", "result"),
    *(
        "checkpoint",
        "ckpt",
        "copy",
        "cut",
        "epoch",
        "final",
        "iter",
        "new",
        "old",
        "part",
        "run",
        "shot",
        "step",
        "steps",
    ),
    *("take", "trial", "version"),
    *("results", "sample", "samples", "seed", "test", "vid", "video", "videos", "vidéo", "vídeo", "видео", "ролик"),
    *(
        "视频",
        "視頻",
        "影片",
        "输出",
        "结果",
        "結果",
        "样本",
        "测试",
        "動画",
        "映像",
        "ビデオ",
        "サンプル",
        "영상",
        "비디오",
    ),
)
"""What files are called, whatever they show."""

_WITHOUT_SPACES = ("CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR", "TIBETAN")
"""Scripts in which a sentence is one word to a computer, by the names of their letters."""


def name_says(stem: str, by_id: Mapping[str, Prompt], given: Given, *, words: bool = True) -> tuple[str, str, int]:
    """Prompt id, text and seed that a file's name says.

    A single word is a text in a script without spaces, and, with `words`, where it stands as VBench's do: with an
    index, in small letters.

    Raises:
        PromptError: the name begins nearly as a prompt's id does.
    """
    if given.prompt:
        return (*prompt_of(given.prompt, by_id), seed_of(stem))
    if stem in by_id:
        return stem, by_id[stem].text, 0
    name, seed = split_seed(stem)
    if name in by_id:
        return name, by_id[name].text, seed
    if is_text(stem):
        name, seed = _sentence(stem)
    if not _is_for_files(name) and not _is_for_files(stem) and is_text(name):
        return slug(name), name.strip(), seed
    near = did_you_mean(name, by_id)
    if words and not near and _WORD_AND_INDEX.fullmatch(stem) and name not in _WORDS_FOR_FILES:
        return slug(name), name, seed
    if near:
        raise PromptError(
            f"its name {stem!r} begins with no prompt's id{near}; fix it, or say what the videos show with --prompt"
        )
    # A name that says nothing: fine for the metrics that need no prompt.
    return slug(stem), "", 0


def _sentence(stem: str) -> tuple[str, int]:
    """The sentence in a name, without what tools and desktops put before and behind it, and the seed."""
    plain = _BEHIND.sub("", stem)
    name, seed = split_seed(plain)
    if name == plain and (numbered := _BEFORE.fullmatch(plain)) and len(numbered["seed"]) <= _LONGEST_SEED:
        name, seed = numbered["prompt"], int(numbered["seed"])
    # Behind the seed, too: a size may stand before it.
    shorter = _BEHIND.sub("", name).strip()
    return (shorter, seed) if is_text(shorter) else split_seed(stem)


def split_seed(stem: str) -> tuple[str, int]:
    """What stands before the number at the end of a name, and that number; the whole name and 0 without one."""
    for ending in _ENDINGS:
        matched = ending.fullmatch(stem)
        if matched and len(matched["seed"]) <= _LONGEST_SEED:
            return matched["prompt"].strip(), int(matched["seed"])
    return stem, 0


def seed_of(stem: str) -> int:
    """The number in a name that says nothing else: as it ends in, or else its last; 0 where it has none."""
    name, seed = split_seed(stem)
    if name != stem:
        return seed
    numbers = [number for number in _NUMBERS.findall(stem) if len(number) <= _LONGEST_SEED]
    return int(numbers[-1]) if numbers else 0


def is_text(name: str) -> bool:
    """Whether a name is a sentence: of several words, not numbers alone, or in a script without spaces."""
    written = [letter for letter in name if letter.isalpha()]
    return (" " in name.strip() and bool(written)) or any(
        unicodedata.name(letter, "").startswith(_WITHOUT_SPACES) for letter in written if not letter.isascii()
    )


def _is_for_files(name: str) -> bool:
    matched = _FILES_WORD.fullmatch(name)
    return matched is not None and matched["word"].lower() in _WORDS_FOR_FILES
