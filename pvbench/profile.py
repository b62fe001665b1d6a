"""Profiles: everything that is not a method, a person or a prompt, read from one TOML file."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any, get_type_hints

from pvbench.digest import digest
from pvbench.errors import ProfileError, did_you_mean
from pvbench.toml import only_fields, read_toml


@dataclass(frozen=True)
class Sampling:
    """How a video is sampled; `fps` is in frames a second, sides are in pixels.

    `guidance` is the scale of classifier-free guidance, and `guidance_stop` the share of the steps after which there is
    none (Kynkäänniemi et al., 2024): those steps cost half, and an adapter of the last steps acts without a scale.
    `motion_guidance` is how many times as strong the guidance is for what differs between the frames of a video as for
    their mean: 1 is plain guidance, more gives more motion at the same colours and contrast.
    `shift` gives a diffusion model the noise levels that flow matching with that shift has (HunyuanVideo's is 7);
    without it the levels are the scheduler's own.
    """

    steps: int
    guidance: float
    frames: int
    height: int
    width: int
    fps: float
    guidance_stop: float = 1.0
    motion_guidance: float = 1.0
    shift: float | None = None


@dataclass(frozen=True)
class Prompts:
    """Names of the prompt sets: one that is scored, one that methods tune on, and one on which choices are made."""

    evaluation: str
    simulated: str
    development: str = ""


@dataclass(frozen=True)
class Grid:
    """The default grid: the first so many identities and prompts, and these seeds."""

    identities: int
    prompts: int
    seeds: tuple[int, ...] = (0,)


@dataclass(frozen=True)
class Cost:
    """Seconds of one worker, for the estimate before the first run: a tuning, a video made, a video measured.

    `tune_s` and `video_s` are by method; a method that is missing costs `default_tune_s` and `default_video_s`. `at`
    says for what: `frames`, `height`, `width` and `steps` of the sampling, and by method the steps of its tuning; where
    a run has others, the seconds are scaled (`pvbench.runner.scales`).
    """

    tune_s: Mapping[str, float] = field(default_factory=dict)
    video_s: Mapping[str, float] = field(default_factory=dict)
    measure_s: float = 0.5
    default_tune_s: float = 60.0
    default_video_s: float = 2.0
    at: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Profile:
    """One benchmark set-up.

    `backbone` and `evaluators` are read by the code that their `kind` names: an installed one, or `module:object`.
    `rewards` names those that methods tune with, and holds what these read. `styles` holds what rows can be drawn in,
    which `pvbench.style` reads. `methods` holds the settings that differ from a method's defaults. `lineage` names the
    profile and those that it extends.
    """

    name: str
    summary: str
    backbone: Mapping[str, Any]
    sampling: Sampling
    evaluators: Mapping[str, Any]
    prompts: Prompts
    grid: Grid
    methods_default: tuple[str, ...]
    metrics_default: tuple[str, ...] = ("all",)
    methods: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    rewards: Mapping[str, Any] = field(default_factory=dict)
    styles: Mapping[str, Any] = field(default_factory=dict)
    tune_seed: int = 0
    cost: Cost = field(default_factory=Cost)
    lineage: tuple[str, ...] = ()

    @property
    def is_miniature(self) -> bool:
        """Whether videos are looked at by the networks of the miniature world, which can render every one of them."""
        return self.evaluators.get("kind") == "mini"

    @cached_property
    def digest(self) -> str:
        """Sha256, in hex, of everything that moves a number, but for the prompts, which have a digest of their own."""
        return digest(
            {
                "backbone": self.backbone,
                "sampling": self.sampling,
                "evaluators": self.evaluators,
                "rewards": self.rewards,
                "methods": self.methods,
                **({"styles": self.styles} if self.styles else {}),
                "tune_seed": self.tune_seed,
            }
        )


def list_profiles() -> tuple[str, ...]:
    """Names of the profiles that pvbench ships, in alphabetical order."""
    return tuple(sorted(path.stem for path in _root().glob("*.toml")))


def load_profile(name: str) -> Profile:
    """The profile of that name, or in the TOML file at that path.

    A file with `extends = "mini"` holds only what differs from that profile; a `[backbone]` of another kind takes no
    line of that profile's, and none of its styles. Prompt sets given as paths, as well as `extends`, are relative to
    the file's folder.

    Raises:
        ProfileError: naming the file and the field that is wrong.
    """
    content, lineage = _read(name, ())
    path = _path(name)
    content.setdefault("summary", "")
    _check_fields(content, Profile, str(path), without=("name", "lineage"))
    parts = {part: _part(content[part], kind, f"{path} [{part}]") for part, kind in _PARTS.items() if part in content}
    for part, names in (("backbone", ("kind",)), ("evaluators", ("kind", "parts"))):
        table = content[part]
        kind = table.get("kind") if isinstance(table, dict) else None
        if not isinstance(table, dict) or not any(name in table for name in names) or not isinstance(kind, str | None):
            raise ProfileError(f"{path} [{part}]: expected a table with at least {' or '.join(names)}, got {table!r}")
    methods = content.get("methods", {})
    if not isinstance(methods, dict) or not all(isinstance(settings, dict) for settings in methods.values()):
        raise ProfileError(f"{path} [methods]: expected a table of settings for each method, got {methods!r}")
    rewards = content.get("rewards", {})
    if not isinstance(rewards, dict):
        raise ProfileError(f"{path} [rewards]: expected a table with identity and semantic, got {rewards!r}")
    styles = content.get("styles", {})
    if not isinstance(styles, dict):
        raise ProfileError(f"{path} [styles]: expected a table for each style, got {styles!r}")
    return Profile(
        name=lineage[0],
        summary=_checked(content["summary"], str, f"{path}: summary"),
        backbone=content["backbone"],
        evaluators=content["evaluators"],
        methods=methods,
        rewards=rewards,
        styles=styles,
        methods_default=_checked(content["methods_default"], tuple[str, ...], f"{path}: methods_default"),
        metrics_default=_checked(content.get("metrics_default", ["all"]), tuple[str, ...], f"{path}: metrics_default"),
        tune_seed=_checked(content.get("tune_seed", 0), int, f"{path}: tune_seed"),
        lineage=lineage,
        **parts,
    )


_PARTS = {"sampling": Sampling, "prompts": Prompts, "grid": Grid, "cost": Cost}
_POSITIVE = ("steps", "frames", "height", "width", "fps", "motion_guidance", "shift", "identities")


def _root() -> Path:
    return Path(str(files("pvbench.profiles")))


def _path(name: str) -> Path:
    return Path(name) if name.endswith(".toml") or "/" in name else _root() / f"{name}.toml"


def _read(name: str, seen: tuple[Path, ...]) -> tuple[dict[str, Any], tuple[str, ...]]:
    path = _path(name)
    # Files are compared, not names: a user's hunyuan.toml may extend the shipped profile of that name.
    if path.resolve() in [below.resolve() for below in seen]:
        raise ProfileError(
            f"profile {str(seen[0])!r} extends itself: {' -> '.join(map(str, (*seen, path)))}; break the circle"
        )
    if not path.is_file():
        known = list_profiles()
        raise ProfileError(
            f"unknown profile {name!r}{did_you_mean(name, known)}; there are {', '.join(known)}; give "
            f"a path ending in .toml for a file of your own"
        )
    content = read_toml(path, ProfileError)
    if isinstance(content.get("prompts"), dict):
        content["prompts"] = {role: _beside(path, value) for role, value in content["prompts"].items()}
    parent = content.pop("extends", None)
    if parent is None:
        return content, (path.stem,)
    inherited, lineage = _read(_beside(path, _checked(parent, str, f"{path}: extends")), (*seen, path))
    if _kind(content) not in (None, _kind(inherited)):
        # What one backbone reads means nothing to another, and a LoRA of one has no place in another.
        inherited.pop("backbone", None)
        inherited.pop("styles", None)
    return _merged(inherited, content), (path.stem, *lineage)


def _kind(content: Mapping[str, Any]) -> Any:
    """The kind of backbone that a file names; None where it names none."""
    table = content.get("backbone")
    return table.get("kind") if isinstance(table, dict) else None


def _beside(path: Path, value: Any) -> Any:
    """A path given in the file at `path`, from that file's folder; anything else as it is."""
    return str(path.parent / value) if isinstance(value, str) and value.endswith(".toml") else value


def _merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for name, value in above.items():
        both = isinstance(value, dict) and isinstance(merged.get(name), dict)
        merged[name] = _merged(merged[name], value) if both else value
    return merged


def _check_fields(table: Mapping[str, Any], kind: type, where: str, without: tuple[str, ...] = ()) -> None:
    fields = {field.name: field for field in dataclasses.fields(kind) if field.name not in without}
    only_fields(table, fields, where, ProfileError)
    for name, spec in fields.items():
        needed = spec.default is dataclasses.MISSING and spec.default_factory is dataclasses.MISSING
        if needed and name not in table:
            raise ProfileError(f"{where} lacks {name}; add it")


def _part(table: Any, kind: type, where: str) -> Any:
    if not isinstance(table, dict):
        raise ProfileError(f"{where}: expected a table, got {table!r}")
    _check_fields(table, kind, where)
    types = get_type_hints(kind)
    values = {name: _checked(value, types[name], f"{where}: {name}") for name, value in table.items()}
    for name in _POSITIVE:
        if name in values and not 0 < values[name] < math.inf:
            raise ProfileError(f"{where}: {name} is {values[name]!r}; expected a positive number")
    if not 0 <= values.get("guidance_stop", 1.0) <= 1:
        raise ProfileError(
            f"{where}: guidance_stop is {values['guidance_stop']!r}; expected a share of the steps, 0 to 1"
        )
    return kind(**values)


def _checked(value: Any, kind: Any, where: str) -> Any:
    """`value` as `kind`: int for float is taken, a list for a tuple, nothing else is converted."""
    if kind in (float, float | None) and type(value) in (int, float):
        return float(value)
    if kind in (int, str) and type(value) is kind:
        return value
    if kind == tuple[int, ...] and isinstance(value, list) and value and all(type(item) is int for item in value):
        return tuple(value)
    if kind == tuple[str, ...] and isinstance(value, list) and value and all(type(item) is str for item in value):
        return tuple(value)
    if (
        kind == Mapping[str, float]
        and isinstance(value, dict)
        and all(type(item) in (int, float) for item in value.values())
    ):
        return {name: float(item) for name, item in value.items()}
    raise ProfileError(f"{where} is {value!r}; expected {_EXPECTED[kind]}")


_EXPECTED: dict[Any, str] = {
    int: "an integer",
    float: "a number",
    float | None: "a number, or no line at all",
    str: "a text",
    tuple[int, ...]: "a list of integers, at least one",
    tuple[str, ...]: "a list of texts, at least one",
    Mapping[str, float]: "a table of numbers",
}
