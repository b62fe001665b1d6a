"""A control: the untuned model with the person's description in words. It shows what words alone give."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from pvbench.identity import Identity
from pvbench.method import Adapter, Method, Request, Role
from pvbench.video import Video


@dataclass(frozen=True)
class DescribedSettings:
    """The description in words has no settings."""


class Described(Method):
    """The prompt with the card's description of the person in the place of the class noun; no photo is looked at."""

    name: ClassVar[str] = "described"
    version: ClassVar[int] = 1
    summary: ClassVar[str] = "control: the untuned backbone, told the card's description in words"
    tunes: ClassVar[bool] = False
    Settings: ClassVar[type] = DescribedSettings
    role: ClassVar[Role] = "control"

    def generate(self, identity: Identity, adapter: Adapter | None, requests: Sequence[Request]) -> Iterator[Video]:
        """One video for each request."""
        self.backbone.reset()
        for request in requests:
            text = request.prompt.described(identity.class_noun, identity.description)
            yield self.backbone.sample(text, request.noise_seed)
