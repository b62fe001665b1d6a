"""The untuned backbone: the floor of every table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from pvbench.identity import Identity
from pvbench.method import Adapter, Method, Request, Role
from pvbench.video import Video


@dataclass(frozen=True)
class BaseSettings:
    """The untuned backbone has no settings."""


class Base(Method):
    """Videos of somebody: the prompt with the class noun in the identity's place."""

    name: ClassVar[str] = "base"
    version: ClassVar[int] = 1
    summary: ClassVar[str] = "the untuned backbone, told the class noun only: the floor"
    tunes: ClassVar[bool] = False
    Settings: ClassVar[type] = BaseSettings
    role: ClassVar[Role] = "floor"

    def generate(self, identity: Identity, adapter: Adapter | None, requests: Sequence[Request]) -> Iterator[Video]:
        """One video for each request."""
        # A worker may have used the backbone for another method just before.
        self.backbone.reset()
        for request in requests:
            yield self.backbone.sample(request.prompt.render(identity.class_noun), request.noise_seed)
