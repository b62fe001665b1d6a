"""Weights of the user's in the places of those that a profile names: `--weights NAME=PATH` of a run."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from pvbench.backbone import backbone_loader
from pvbench.errors import ProfileError, WeightsError, did_you_mean
from pvbench.features.published.settings import weight_names, with_weights
from pvbench.profile import Profile
from pvbench.reward import ROLES, reward_loader

_OF_REWARDS = "rewards."


def with_own_weights(profile: Profile, given: Sequence[str]) -> Profile:
    """The profile with other paths of weights, each `NAME=PATH`; as if they stood in its file.

    A name is an evaluator's, as `pvbench measure` takes it, a line of `[backbone]` that its loader counts among its
    weights, such as base, or `rewards.LINE` for such a line of `[rewards]`. Paths become absolute, so that workers
    elsewhere find them.

    Raises:
        ProfileError: one has no name or no path, or its name stands for no weights or is given twice.
        WeightsError: there is no file or folder at a path.
    """
    if not given:
        return profile
    evaluators = weight_names(profile)
    lines = [line for line in backbone_loader(profile).weights if line not in evaluators]
    rewards = [f"{_OF_REWARDS}{line}" for line in _lines_of_rewards(profile)]
    known = [*lines, *rewards, *evaluators]
    paths: dict[str, str] = {}
    for text in given:
        name, path = _read(text)
        if name not in known:
            raise ProfileError(
                f"--weights {text}: profile {profile.name!r} has no weights {name!r}{did_you_mean(name, known)}; "
                f"known: {', '.join(known)}"
            )
        if name in paths:
            raise ProfileError(f"--weights {text}: {name} is given twice; name each once")
        paths[name] = path
    changed = dataclasses.replace(
        profile,
        backbone={**profile.backbone, **{line: paths[line] for line in lines if line in paths}},
        rewards={
            **profile.rewards,
            **{name.removeprefix(_OF_REWARDS): paths[name] for name in rewards if name in paths},
        },
    )
    return with_weights(changed, [f"{name}={path}" for name, path in paths.items() if name in evaluators])


def _lines_of_rewards(profile: Profile) -> list[str]:
    loaders = [reward_loader(profile, role) for role in ROLES if role in profile.rewards]
    return list(dict.fromkeys(line for loader in loaders for line in loader.weights))


def _read(text: str) -> tuple[str, str]:
    name, equals, path = text.partition("=")
    if not name or not equals or not path:
        raise ProfileError(f"--weights {text}: expected NAME=PATH, such as base=/models/stable-diffusion-v1-5")
    place = Path(path).expanduser()
    if not place.exists():
        raise WeightsError(f"--weights {text}: there is no such file or folder; check the path")
    return name, str(place.absolute())
