"""Styles that a profile names: a LoRA in all steps beside a method's own adapter, or another base checkpoint."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pvbench.errors import ProfileError, did_you_mean
from pvbench.profile import Profile
from pvbench.prompt import Prompt

SETTING = "style"
"""What stands in a row's brackets: `personalvideo[style=cartoon]`. No method has a setting of that name."""
_LINES = ("lora", "scale", "checkpoint", "words", "domain")


@dataclass(frozen=True)
class Style:
    """A style as a profile has it, and where its files are.

    Attributes:
        name: as rows name it.
        words: how prompts in the style end; nothing where the LoRA or the checkpoint asks for none.
        domain: how the renderer of the miniature world draws it; empty where it cannot.
        lora: a LoRA's file, which is active in all steps; None for a style without one.
        scale: multiplies the strength that the file says.
        checkpoint: what stands in the place of the base model; empty for the profile's own.
        digest: of the LoRA's content.
    """

    name: str
    words: str = ""
    domain: str = ""
    lora: Path | None = None
    scale: float = 1.0
    checkpoint: str = ""
    digest: str = ""

    @property
    def identifying(self) -> dict[str, Any]:
        """What the key of a video rests on; a checkpoint's files are in the backbone's signature."""
        return {"words": self.words, "domain": self.domain, "lora": self.digest, "scale": self.scale}

    def prompt(self, prompt: Prompt) -> Prompt:
        """The prompt with the style's words at its end, in the place of a full stop; id and tags stay."""
        if not self.words:
            return prompt
        comma = "" if self.words.startswith(",") else " "
        return dataclasses.replace(prompt, text=f"{prompt.text.rstrip(' .')}{comma}{self.words}")


def style_lines(profile: Profile, name: str) -> Mapping[str, Any]:
    """What a profile says of a style, each line checked by itself; no file is looked for.

    Raises:
        ProfileError: there is no such style, or one of its lines cannot be used.
    """
    if name not in profile.styles:
        raise ProfileError(
            f"profile {profile.name!r} has no style {name!r}{did_you_mean(name, list(profile.styles))}; it has "
            f"{', '.join(profile.styles) or 'none'}; a profile of your own names one by a table [styles.{name}]"
        )
    where, lines = f"profile {profile.name!r} [styles.{name}]", profile.styles[name]
    if not isinstance(lines, Mapping):
        raise ProfileError(f"{where}: expected a table with lora or checkpoint, got {lines!r}")
    for line, value in lines.items():
        if line not in _LINES:
            raise ProfileError(
                f"{where}: unknown line {line!r}{did_you_mean(line, _LINES)}; expected {', '.join(_LINES)}"
            )
        number = isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf
        if line == "scale" and not number:
            raise ProfileError(f"{where}: scale is {value!r}; expected a number above 0")
        if line != "scale" and not isinstance(value, str):
            raise ProfileError(f"{where}: {line} is {value!r}; expected a text")
    if not any(lines.get(line) for line in ("lora", "checkpoint")):
        raise ProfileError(f"{where} names neither a lora nor a checkpoint; name the file of one of them")
    return lines
