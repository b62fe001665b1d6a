"""What every installed network of a profile has in common: it says what identifies it, and loads itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from pvbench.profile import Profile


class Loader(ABC):
    """Loads one part of a profile: a backbone, or a reward.

    The class is looked at before anything is loaded: importing it and calling `signature` should take a moment, so
    heavy libraries are imported inside of `load`.

    Attributes:
        name: what a profile calls it, and the name of its entry point.
        summary: one line for `pvbench list`.
    """

    name: ClassVar[str]
    summary: ClassVar[str]

    @classmethod
    @abstractmethod
    def signature(cls, profile: Profile) -> Mapping[str, Any]:
        """What identifies the part under that profile, its weights included; every key rests on it.

        Raises:
            ProfileError: the profile's values cannot be used.
            WeightsError: weights are missing.
        """

    @classmethod
    @abstractmethod
    def load(cls, profile: Profile, device: str) -> Any:
        """The part on a device, such as "cpu" or "cuda:1".

        Raises:
            WeightsError: weights are missing, damaged, or not the ones that their card names.
            DeviceError: the device is not there.
        """
