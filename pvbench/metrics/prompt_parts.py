"""Prompt parts: does the video show the action, scene, clothes' colour and expression that were asked for?"""

import math
from dataclasses import dataclass
from typing import ClassVar

from pvbench.metrics.metric import Column, Facts, Features, Metric, finite

_WHERE = "the prompt names none in the miniature world's words"


@dataclass(frozen=True)
class PromptParts(Metric):
    """Whether the likeliest action of a video is the prompt's; shares of frames with its scene, colour and expression.

    Source: ours; the parts are those of VBench's prompt suites, told by the miniature world's own judge.
    """

    name: ClassVar[str] = "prompt_parts"
    version: ClassVar[int] = 1
    needs: ClassVar[tuple[str, ...]] = (
        "world/action", "world/scene", "world/colour", "world/expression", "text/asked",
    )  # fmt: skip
    parts: ClassVar[tuple[str, ...]] = ("world", "clip", "video")
    rule: ClassVar[Facts] = {"right": "most likely", "action": "video", "others": "share of frames"}
    columns: ClassVar[tuple[Column, ...]] = (
        Column("action_right", "Action", "share", True, fmt=".1f", scale=100.0, limits=(0.0, 1.0), undefined=_WHERE,
               group="beside", note="Action, Scene, Colour, Expression: % right, by the miniature world's judge."),
        Column("scene_right", "Scene", "share", True, fmt=".1f", scale=100.0, limits=(0.0, 1.0), undefined=_WHERE,
               group="beside"),
        Column("colour_right", "Colour", "share", True, fmt=".1f", scale=100.0, limits=(0.0, 1.0), undefined=_WHERE,
               group="beside"),
        Column("expression_right", "Expression", "share", True, fmt=".1f", scale=100.0, limits=(0.0, 1.0),
               undefined=_WHERE, group="beside"),
    )  # fmt: skip
    trap: ClassVar[str] = "The true videos of anybody else are as right: it says nothing about who is shown."

    def row(self, features: Features) -> tuple[float, ...]:
        """Shares in [0, 1]; NaN for a part that the prompt does not name."""
        asked = [int(place) for place in finite("text/asked", features["text/asked"])]
        return tuple(
            _share(features, name, place)
            for name, place in zip(("action", "scene", "colour", "expression"), asked, strict=True)
        )


def _share(features: Features, label: str, asked: int) -> float:
    if asked < 0:
        return math.nan
    fits = finite(f"world/{label}", features[f"world/{label}"])
    return float((fits.argmax(axis=-1) == asked).mean())
