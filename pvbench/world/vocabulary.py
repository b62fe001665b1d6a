"""The miniature world's vocabulary: what a shot can show, who belongs to which pool, and how large its videos are."""

from __future__ import annotations

from collections.abc import Mapping

from pvbench.world.action import ACTIONS, EXPRESSIONS
from pvbench.world.person import BEARDS, GLASSES, HAIR_COLOURS, HAIR_STYLES

POOLS = ("train-a", "train-b", "held-out")
FRAMES, FPS, SIZE = 8, 8.0, 64
STYLES: Mapping[str, str] = {"cartoon": "in a cartoon", "sketch": "in a sketch"}
"""Ways of drawing in place of a photo's and a video's, and how captions and prompts end that ask for them.

The words are few, because a text of the mini models has 40 tokens and these words are of several each.
"""
CLOTHES = ("T-shirt", "jacket", "turtleneck")
COLOURS = ("red", "blue", "green", "yellow", "white", "black", "purple", "orange", "pink")
SCENES = (
    "beach", "forest", "night city", "snow", "office", "desert", "kitchen", "stage", "mountains", "space station",
    "library", "garden",
)  # fmt: skip
CLASS_NOUNS, AGE_GROUPS = ("man", "woman"), ("young", "middle-aged", "old")
LABELS: dict[str, tuple[str, ...]] = {
    "action": tuple(ACTIONS),
    "expression": tuple(EXPRESSIONS),
    "scene": SCENES,
    "clothes": CLOTHES,
    "colour": COLOURS,
    "cap": ("", *COLOURS),
    "class_noun": CLASS_NOUNS,
    "age_group": AGE_GROUPS,
    "hair": HAIR_STYLES,
    "hair_colour": tuple(HAIR_COLOURS),
    "beard": BEARDS,
    "glasses": GLASSES,
}
"""Every trait and its values. A shard of training data stores numbers into these tables, in this order."""
