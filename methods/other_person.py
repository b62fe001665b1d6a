"""A control: the truth about somebody else. It shows what identity numbers give to a look-alike."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

from pvbench.identity import Identity, load_identities, split_root
from pvbench.method import Adapter, Request, Role
from pvbench.methods.oracle import Oracle
from pvbench.video import Video


class OtherPerson(Oracle):
    """The oracle's video of the person of the same split whose skin, hair, beard and glasses are nearest."""

    name: ClassVar[str] = "other_person"
    version: ClassVar[int] = 1
    summary: ClassVar[str] = "control: a look-alike, rendered; miniature world only"
    role: ClassVar[Role] = "control"

    def generate(self, identity: Identity, adapter: Adapter | None, requests: Sequence[Request]) -> Iterator[Video]:
        """One video for each request.

        Raises:
            MethodError: the video is not shipped, and the extra `world`, which could draw it, is not installed.
        """
        from pvbench.world.benchmark import DEVELOPMENT_NAMES, LOOK_ALIKES

        split = "development" if identity.name in DEVELOPMENT_NAMES else "benchmark"
        (other,) = load_identities([LOOK_ALIKES[identity.name]], split_root(split))
        yield from super().generate(other, adapter, requests)
