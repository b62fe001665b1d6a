"""Rows of a table: a method with settings, as `personalvideo[scr=off]` names it on the command line."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pvbench.backbone import STYLES, backbone_loader, with_checkpoint
from pvbench.errors import MethodError, did_you_mean
from pvbench.method import METHODS, in_sampling_alone, settings_from
from pvbench.profile import Profile
from pvbench.reward import ROLES
from pvbench.style import SETTING, Style, style_lines

ALL = "all"


@dataclass(frozen=True)
class Variant:
    """A method with the settings that were asked for on top of the profile's; `label` names it in tables.

    `style` is the name of what its videos are drawn in, for any method; empty for what the backbone itself draws.
    """

    method: str
    overrides: Mapping[str, str]
    label: str
    style: str = ""

    @property
    def plain(self) -> Variant:
        """The same row without a style."""
        return _variant(self.method, self.overrides)

    @property
    def tuned(self) -> Variant:
        """The row whose adapters this one is sampled with: the same without what acts in sampling alone."""
        left_out = in_sampling_alone(METHODS.get(self.method).Settings)
        # The style, which is not a setting, goes with them.
        return _variant(self.method, {name: value for name, value in self.overrides.items() if name not in left_out})


def parse_variant(text: str) -> Variant:
    """The variant that a text such as `personalvideo[scr=off,style=cartoon]` names; its label has all of it in order.

    Raises:
        MethodError: for an unknown method or a text that is not of this form.
    """
    match = re.fullmatch(r"\s*([\w.-]+)\s*(?:\[(.*)\])?\s*", text)
    if match is None:
        raise MethodError(f"{text!r} is not a method; expected a name, or name[setting=value,setting=value]")
    name, inside = match[1], match[2] or ""
    known = METHODS.names()
    if name not in known:
        raise MethodError(f"unknown method {name!r}{did_you_mean(name, known)}; installed: {', '.join(known)}")
    overrides: dict[str, str] = {}
    for part in filter(str.strip, inside.split(",")):
        setting, equals, value = (piece.strip() for piece in part.partition("="))
        if not (setting and equals and value):
            raise MethodError(f"{text!r}: {part.strip()!r} is not a setting; expected setting=value")
        if setting in overrides:
            raise MethodError(f"{text!r} sets {setting!r} twice; set it once")
        overrides[setting] = value
    return _variant(name, overrides)


def _variant(method: str, inside: Mapping[str, str]) -> Variant:
    inside = dict(sorted(inside.items()))
    label = method + (f"[{','.join(f'{key}={value}' for key, value in inside.items())}]" if inside else "")
    style = inside.pop(SETTING, "")
    return Variant(method, inside, label, style)


def split_variants(text: str) -> list[str]:
    """The parts of a list such as `base,personalvideo[scr=off,span=0.5]`, split at commas outside of brackets."""
    return [part.strip() for part in re.split(r",(?![^\[]*\])", text) if part.strip()]


def select_variants(texts: Sequence[str], profile: Profile) -> tuple[Variant, ...]:
    """The variants that the texts name, each once; `all` is every installed method that the profile supports.

    Raises:
        MethodError: for an unknown method, one that the profile does not support, or nothing left.
    """
    variants: dict[str, Variant] = {}
    for text in texts:
        for name in _all(profile) if text == ALL else (text,):
            variant = parse_variant(name)
            lacking = missing(variant, profile)
            if lacking:
                raise MethodError(_refusal(variant, profile, lacking))
            style_of(variant, profile)
            variants.setdefault(variant.label, variant)
    if not variants:
        raise MethodError(f"no methods chosen; name some of {', '.join(METHODS.names())}, or {ALL}")
    return tuple(variants.values())


def settings_of(variant: Variant, profile: Profile) -> Any:
    """The variant's settings: the method's defaults, the profile's values over them, the variant's own on top.

    Raises:
        SettingError: for an unknown setting or a wrong value.
    """
    cls = METHODS.get(variant.method)
    below = profile.methods.get(variant.method, {})
    settings_from(cls.Settings, below, f"profile {profile.name!r}, method {variant.method!r}")
    return settings_from(cls.Settings, {**below, **variant.overrides}, f"method {variant.label!r}")


def style_of(variant: Variant, profile: Profile) -> Style | None:
    """What a variant's videos are drawn in, its files found; None where it names no style.

    Raises:
        ProfileError: the profile has no such style, or says of it what cannot be used.
        MethodError: the style cannot reach the method's videos, or the backbone takes no LoRA.
        WeightsError: a file of it is missing, damaged, or of a kind that is not read.
    """
    if not variant.style:
        return None
    cls, lines = METHODS.get(variant.method), style_lines(profile, variant.style)
    found = Style(variant.style, domain=lines.get("domain", ""))
    cls.check_style(found)
    if not cls.uses_backbone:
        # Nothing else of the style reaches the video.
        return found
    checkpoint, words, lora = (lines.get(line, "") for line in ("checkpoint", "words", "lora"))
    found = replace(found, words=words, scale=float(lines.get("scale", 1.0)), checkpoint=checkpoint)
    with_checkpoint(profile, found)
    if not lora:
        return found
    if STYLES not in backbone_loader(profile).offers:
        raise MethodError(_refusal(variant, profile, [STYLES]))
    path, digest = backbone_loader(profile).style_lora(profile, variant.style, lora)
    return replace(found, lora=path, digest=digest)


def missing(variant: Variant, profile: Profile) -> list[str]:
    """What a variant asks for and its profile does not offer, in alphabetical order; see `Method.asks`.

    Raises:
        SettingError: for an unknown setting or a wrong value.
        ProfileError: the profile's backbone is not known.
    """
    asked = METHODS.get(variant.method).asks(settings_of(variant, profile))
    if not asked:
        return []
    rewards = {f"reward.{role}" for role in ROLES if role in profile.rewards}
    return sorted(asked - backbone_loader(profile).offers - rewards)


def _refusal(variant: Variant, profile: Profile, lacking: Sequence[str]) -> str:
    named = all(name.startswith("reward.") for name in lacking)
    return (
        f"method {variant.label!r} asks for {' and '.join(lacking)}, which the profile {profile.name!r} with its "
        f"backbone {profile.backbone['kind']!r} does not offer; "
        + ("name them in the profile's [rewards]" if named else "choose another method or profile")
    )


def _all(profile: Profile) -> list[str]:
    first = [name for name in profile.methods_default if "[" not in name]
    names = [n for n in METHODS.names() if METHODS.get(n).in_all and not missing(parse_variant(n), profile)]
    return sorted(names, key=lambda name: (first.index(name) if name in first else len(first), name))
