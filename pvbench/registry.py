"""Installed methods, found through the entry point group `pvbench.methods`; built-in ones use the same door."""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from pvbench.errors import MethodError, did_you_mean
from pvbench.method import Method, settings_from
from pvbench.profile import Profile

GROUP = "pvbench.methods"
ALL = "all"


@dataclass(frozen=True)
class Variant:
    """A method with the settings that were asked for on top of the profile's; `label` names it in tables."""

    method: str
    overrides: Mapping[str, str]
    label: str


def list_methods() -> tuple[str, ...]:
    """Names of all installed methods, in alphabetical order; none of them is imported."""
    return tuple(sorted(_entry_points()))


@functools.cache
def method_class(name: str) -> type[Method]:
    """The class of an installed method.

    Raises:
        MethodError: for an unknown name, or a class that does not import or does not keep the interface.
    """
    entries = _entry_points()
    if name not in entries:
        raise MethodError(f"unknown method {name!r}{did_you_mean(name, entries)}; installed: {', '.join(entries)}")
    entry = entries[name]
    try:
        cls = entry.load()
    except (ImportError, AttributeError) as error:
        raise MethodError(f"method {name!r} does not import from {entry.value} ({error}); mend or uninstall the "
                          f"package that brings it") from error
    _check(name, entry.value, cls)
    return cls


def parse_variant(text: str) -> Variant:
    """The variant that a text such as `personalvideo[scr=off,span=0.5]` names; its label has the settings in order.

    Raises:
        MethodError: for an unknown method or a text that is not of this form.
    """
    match = re.fullmatch(r"\s*([\w.-]+)\s*(?:\[(.*)\])?\s*", text)
    if match is None:
        raise MethodError(f"{text!r} is no method; expected a name, or name[setting=value,setting=value]")
    name, inside = match[1], match[2] or ""
    known = list_methods()
    if name not in known:
        raise MethodError(f"unknown method {name!r}{did_you_mean(name, known)}; installed: {', '.join(known)}")
    overrides: dict[str, str] = {}
    for part in filter(str.strip, inside.split(",")):
        setting, equals, value = (piece.strip() for piece in part.partition("="))
        if not (setting and equals and value):
            raise MethodError(f"{text!r}: {part.strip()!r} is no setting; expected setting=value")
        if setting in overrides:
            raise MethodError(f"{text!r} sets {setting!r} twice; set it once")
        overrides[setting] = value
    overrides = dict(sorted(overrides.items()))
    label = name + (f"[{','.join(f'{key}={value}' for key, value in overrides.items())}]" if overrides else "")
    return Variant(name, overrides, label)


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
            cls = method_class(variant.method)
            if not cls.supports(profile):
                raise MethodError(f"method {variant.method!r} does not run under the profile {profile.name!r}; it "
                                  f"runs under {', '.join(sorted(cls.profiles or ()))}")
            variants.setdefault(variant.label, variant)
    if not variants:
        raise MethodError(f"no methods chosen; name some of {', '.join(list_methods())}, or {ALL}")
    return tuple(variants.values())


def settings_of(variant: Variant, profile: Profile) -> Any:
    """The variant's settings: the method's defaults, the profile's values over them, the variant's own on top.

    Raises:
        SettingError: for an unknown setting or a wrong value.
    """
    cls = method_class(variant.method)
    below = profile.methods.get(variant.method, {})
    settings_from(cls.Settings, below, f"profile {profile.name!r}, method {variant.method!r}")
    return settings_from(cls.Settings, {**below, **variant.overrides}, f"method {variant.label!r}")


def _all(profile: Profile) -> list[str]:
    first = [name for name in profile.methods_default if "[" not in name]
    names = [name for name in list_methods() if method_class(name).supports(profile)]
    return sorted(names, key=lambda name: (first.index(name) if name in first else len(first), name))


@functools.cache
def _entry_points() -> dict[str, EntryPoint]:
    found: dict[str, EntryPoint] = {}
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        other = found.setdefault(entry.name, entry)
        if other.value != entry.value:
            raise MethodError(f"two installed packages bring a method {entry.name!r}: {other.value} and {entry.value}; "
                              f"uninstall one of them")
    return found


def _check(name: str, value: str, cls: Any) -> None:
    if not (isinstance(cls, type) and issubclass(cls, Method)):
        raise MethodError(f"method {name!r}: {value} is {cls!r}; expected a subclass of pvbench.method.Method")
    missing = [field for field in ("name", "version", "summary", "tunes", "Settings") if not hasattr(cls, field)]
    if missing:
        raise MethodError(f"method {name!r}: {value} lacks the class attribute {missing[0]}; see pvbench.method.Method")
    if cls.name != name:
        raise MethodError(f"method {name!r}: {value} calls itself {cls.name!r}; give the entry point the same name")
    if not dataclasses.is_dataclass(cls.Settings):
        raise MethodError(f"method {name!r}: {value}.Settings is no dataclass; make it a frozen one with defaults")
    needed = [field.name for field in dataclasses.fields(cls.Settings)
              if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING]
    if needed:
        raise MethodError(f"method {name!r}: the setting {needed[0]!r} has no default; every setting needs one")
