"""What the `kind` of a profile's evaluators stands for: built-in extractors, or a third party's `module:function`.

Such a function takes (profile, device) and returns the extractors; its attribute `signature` takes the profile and
returns, without loading anything heavy, the mapping that every key rests on.
"""

from __future__ import annotations

import importlib
from collections.abc import Collection, Mapping
from typing import Any, Protocol, cast, runtime_checkable

from pvbench.errors import ProfileError
from pvbench.profile import Profile


def extractor_signature(profile: Profile, extra: Collection[str] = ()) -> Mapping[str, Any]:
    """What identifies the profile's extractors, their weights included, by part.

    Args:
        extra: parts of built-in extractors to name besides those of the paper's metrics.
    """
    outside = _outside(profile)
    if outside is not None:
        return outside.signature(profile)
    from pvbench import features

    return features.signature(profile, extra)


def load_extractors(profile: Profile, device: str, wanted: Collection[str] | None = None) -> Any:
    """The profile's extractors, on the device.

    Built-in ones load a network when one of the `wanted` features first needs it; without `wanted` they load all.

    Raises:
        WeightsError: for weights that are missing, corrupt, or not the ones their card names.
        DeviceError: for a device that is not there.
    """
    outside = _outside(profile)
    if outside is not None:
        return outside(profile, device)
    from pvbench import features

    return features.load_extractors(profile, device, wanted)


@runtime_checkable
class Loader(Protocol):
    """A third party's function for a profile's evaluators."""

    def __call__(self, profile: Profile, device: str) -> Any:
        """The extractors, on the device."""

    def signature(self, profile: Profile) -> Mapping[str, Any]:
        """What every key rests on; cheap."""


def _outside(profile: Profile) -> Loader | None:
    kind = profile.evaluators["kind"]
    module, colon, name = kind.partition(":")
    if not colon:
        return None
    where = f"profile {profile.name!r} [evaluators]: kind {kind!r}"
    try:
        function = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ProfileError(f"{where} does not import ({error}); install the package that brings it") from error
    if not callable(function) or not callable(getattr(function, "signature", None)):
        raise ProfileError(f"{where} is no function with an attribute `signature`; see pvbench.runner.parts")
    return cast(Loader, function)
