"""Names of backbones whose profiles hold evaluators only, until a loader of their checkpoints is built in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, NoReturn

from pvbench.backbone import BackboneLoader
from pvbench.errors import ProfileError
from pvbench.profile import Profile


class _Unavailable(BackboneLoader):
    unavailable = True

    @classmethod
    def signature(cls, profile: Profile) -> Mapping[str, Any]:
        """Raises ProfileError, with what can be done instead."""
        cls._refuse(profile)

    @classmethod
    def load(cls, profile: Profile, device: str) -> NoReturn:
        """Raises ProfileError, with what can be done instead."""
        cls._refuse(profile)

    @classmethod
    def _refuse(cls, profile: Profile) -> NoReturn:
        raise ProfileError(
            f"profile {profile.name!r} measures videos that were made elsewhere (pvbench measure); making them with "
            f"{cls.summary} is not built in: run with --profile mini, or give a backbone of your own as "
            f"kind = 'package.module:Loader'"
        )


class HunyuanLoader(_Unavailable):
    """HunyuanVideo, 13 B parameters."""

    name: ClassVar[str] = "hunyuan"
    summary: ClassVar[str] = "HunyuanVideo"
