"""A control: the truth about somebody else. It shows what identity numbers give to a look-alike."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from pvbench.errors import SettingError
from pvbench.identity import Identity, load_identities, split_root
from pvbench.method import Adapter, Request, Role
from pvbench.methods.oracle import Oracle
from pvbench.profile import Profile
from pvbench.prompt import PromptSet
from pvbench.video import Video


class OtherPerson(Oracle):
    """The oracle's video of the person of the same split whose skin, hair, beard and glasses are nearest."""

    name: ClassVar[str] = "other_person"
    version: ClassVar[int] = 1
    summary: ClassVar[str] = "control: a look-alike, rendered; miniature world only"
    role: ClassVar[Role] = "control"

    @classmethod
    def check(cls, settings: Any, profile: Profile, identities: Sequence[Identity], prompts: PromptSet) -> None:
        """Refuses people who are not of the miniature world.

        Raises:
            SettingError: it is not known who looks like an identity.
        """
        from pvbench.world.benchmark import LOOK_ALIKES

        for identity in identities:
            if identity.name not in LOOK_ALIKES:
                raise SettingError(
                    f"no look-alike of {identity.name!r} is known: it is not a person of the miniature world; "
                    f"leave {cls.name} out of --methods"
                )

    def generate(self, identity: Identity, adapter: Adapter | None, requests: Sequence[Request]) -> Iterator[Video]:
        """One video for each request.

        Raises:
            MethodError: the video is not shipped, and the extra `world`, which could draw it, is not installed.
        """
        from pvbench.world.benchmark import DEVELOPMENT_NAMES, LOOK_ALIKES

        split = "development" if identity.name in DEVELOPMENT_NAMES else "benchmark"
        (other,) = load_identities([LOOK_ALIKES[identity.name]], split_root(split))
        yield from super().generate(other, adapter, requests)
