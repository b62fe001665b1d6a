"""The rows of a plan: variants with their settings worked out, and what identifies each."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pvbench.method import METHODS, Method, keyed, tuned_with
from pvbench.profile import Profile
from pvbench.reward import Role, reward_signature, roles_asked
from pvbench.runner.missing import Missing
from pvbench.style import Style
from pvbench.variant import Variant, select_variants, settings_of, style_of


@dataclass(frozen=True)
class PlannedVariant:
    """A row of the tables, with its settings worked out, and the signatures of the rewards that it tunes with.

    Where `shares` is set, the row is sampled with the adapters of that one, from which it differs in sampling alone.
    """

    variant: Variant
    settings: Any
    data_digest: str
    rewards: Mapping[Role, Mapping[str, Any]] = field(default_factory=dict)
    shares: PlannedVariant | None = None
    style: Style | None = None

    @property
    def label(self) -> str:
        """Its name in tables."""
        return self.variant.label

    @property
    def cls(self) -> type[Method]:
        """The method's class."""
        return METHODS.get(self.variant.method)

    @property
    def tuned(self) -> PlannedVariant:
        """The row whose adapters this one is sampled with; it need not be a row of the plan."""
        return self.shares or self

    @property
    def identifying(self) -> dict[str, Any]:
        """What its keys rest on."""
        style = {"style": self.style.identifying} if self.style else {}
        return {
            **style,
            "method": self.cls.name,
            "version": self.cls.version,
            "settings": keyed(self.settings),
            "data": self.data_digest,
            "rewards": dict(self.rewards),
        }


def plan_variants(texts: Sequence[str], profile: Profile, missing: Missing | None = None) -> tuple[PlannedVariant, ...]:
    """The variants that the texts name, with their settings worked out.

    Args:
        missing: as in `make_plan`.

    Raises:
        MethodError: for an unknown method, or one that the profile does not support.
        SettingError: for an unknown setting or a wrong value.
    """
    return tuple(_planned(variant, profile, missing or Missing()) for variant in select_variants(texts, profile))


def _planned(variant: Variant, profile: Profile, missing: Missing) -> PlannedVariant:
    settings = settings_of(variant, profile)
    planned = dataclasses.replace(_worked_out(variant, settings, profile, missing), style=style_of(variant, profile))
    tuned = variant.tuned
    common = tuned_with(settings_of(tuned, profile))
    if (tuned.label, common) == (variant.label, settings):
        return planned
    return dataclasses.replace(planned, shares=_worked_out(tuned, common, profile, missing))


def _worked_out(variant: Variant, settings: Any, profile: Profile, missing: Missing) -> PlannedVariant:
    cls, data = METHODS.get(variant.method), ""
    rewards = {
        role: missing.signature(functools.partial(reward_signature, profile, role))
        for role in roles_asked(cls.asks(settings))
    }
    with missing.noted():
        data = cls.data_digest(profile)
    return PlannedVariant(variant, settings, data, rewards)
