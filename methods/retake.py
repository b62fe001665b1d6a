"""The true person, filmed once more: what chance alone makes of every number, and the least FVD there can be."""

from __future__ import annotations

from typing import ClassVar

from pvbench.method import Role
from pvbench.methods.oracle import Oracle


class Retake(Oracle):
    """A second rendering of every cell: the same person, prompt and world, other light, framing and movement."""

    name: ClassVar[str] = "retake"
    version: ClassVar[int] = 1
    summary: ClassVar[str] = "the true person, rendered again: the least FVD there can be; miniature world only"
    role: ClassVar[Role] = "retake"
    archive: ClassVar[str] = "oracle_retake"
    take: ClassVar[int] = 1
