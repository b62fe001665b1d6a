"""What one photo or video shows, in words; loads no renderer."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Shot:
    """What one photo or video shows; each field is a key of its module's table."""

    action: str = "still"
    expression: str = "neutral"
    scene: str = "office"
    clothes: str = "T-shirt"
    colour: str = "blue"
    cap: str = ""
