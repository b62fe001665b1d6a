"""What is searched: spaces that trials are drawn from, trials that are set by hand, and additions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Space = Mapping[str, Sequence[Any]]

_KEYWORD: Space = {"token": ("none", "rare", "inverted")}
_REWARDS: Space = {
    "rate": (1e-3, 2e-3, 4e-3, 8e-3),
    "steps": (40, 80, 120),
    "temperature": (10.0, 25.0, 100.0),
    "gradient_steps": (1, 0),
    "rank": (4, 16),
    "targets": ("qkv", "qkv_motion"),
    "scr_frames": (4, 8),
    "prefixes": (6, 12),
    "jitter": (0.1, 0.2),
}
SPACES: Mapping[str, Space] = {
    # The keyword alone, which all methods share.
    "keyword": {
        "token_words": (2, 3, 5),
        "token_steps": (100, 200, 300),
        "token_rate": (5e-3, 1e-2, 2e-2, 4e-2),
    },
    "dreambooth_lora": {
        **_KEYWORD,
        "rate": (5e-4, 1e-3, 2e-3, 4e-3),
        "steps": (120, 240, 400),
        "rank": (4, 16, 32),
        "targets": ("qkv", "qkvo"),
    },
    "magicme": {
        "rate": (5e-3, 1e-2, 2e-2, 4e-2),
        "steps": (200, 400),
        "decay": (0.0, 1e-2),
        "correlation": (0.05, 0.15),
        "smallest": (0.6, 0.8, 1.0),
        "largest": (1.0, 1.4),
    },
    # The paper's prompts hold a keyword; with a rare one hair and skin stay the untuned model's (trial 1).
    "personalvideo": {"token": ("inverted",), **_REWARDS},
    "personalvideo_plus": {
        **_KEYWORD,
        **_REWARDS,
        "rate": (4e-4, 8e-4, 2e-3, 4e-3),
        "steps": (20, 40, 80),
        "warm_steps": (0, 140, 280),
        "warm_rate": (4e-3, 8e-3),
        "icr_frames": (1, 4),
        "scr_weight": (0.2, 1.0),
        "ceiling": (0.5, 0.7, 1.0),
        "finish": (0.0, 0.125),
        "pixel_anchor": (0.0, 8.0, 24.0),
        # They came after the draws.
        "photo_steps": (0,),
        "photo_teacher": (False,),
        "centre": (False,),
    },
}

_WORDS: Mapping[str, Any] = {"token": "inverted"}
_GENTLE: Mapping[str, Any] = {**_WORDS, "rank": 16, "targets": "qkvo", "rate": 5e-4}
_PLAIN: Mapping[str, Any] = {
    "decay": 0.0, "smallest": 1.0, "largest": 1.0, "correlation": 0.05, "rate": 5e-3, "steps": 200,
}  # fmt: skip
_SHARP: Mapping[str, Any] = {"temperature": 100.0, "scr_frames": 8}
_EVEN: Mapping[str, Any] = {"temperature": 50.0, "scr_frames": 8}
_EARLY: Mapping[str, Any] = {**_EVEN, "span_noise": 0.86}
_GUARDED: Mapping[str, Any] = {
    "scr_floor": 0.1, "crop_jitter": 0.15, "photo_steps": 0, "photo_teacher": "off", "centre": "off",
}  # fmt: skip
# The defaults of `personalvideo_plus` before it saw photos: pictures first.
_PICTURES: Mapping[str, Any] = {
    **_WORDS, **_GUARDED, "targets": "qkv", "scr_frames": 4, "temperature": 25.0, "gradient_steps": 1, "prefixes": 12,
    "jitter": 0.15, "steps": 30, "rate": 8e-4, "warm_steps": 280, "warm_rate": 8e-3, "icr_frames": 4,
    "scr_weight": 0.2, "ceiling": 0.5, "finish": 0.125, "pixel_anchor": 24.0,
}  # fmt: skip
# The printed method as the second stage chose it, whose pictures have a grid and a tint: additions one after another.
_PRINTED: Mapping[str, Any] = {
    **_WORDS, **_EVEN, "targets": "qkv_motion", "gradient_steps": 0, "prefixes": 6,
    "jitter": 0.2, "rate": 2e-3, "steps": 120, "warm_steps": 0, "icr_frames": 1, "scr_weight": 1.0, "ceiling": 1.0,
    "finish": 0.0, "pixel_anchor": 24.0, **_GUARDED,
}  # fmt: skip
_CENTRED: Mapping[str, Any] = {**_PRINTED, "pixel_anchor": 0.0, "scr_floor": 0.0, "crop_jitter": 0.0, "centre": "on"}
# What the recogniser does not see, skin and hair, from the photos before.
_SEEN: Mapping[str, Any] = {**_CENTRED, "photo_steps": 120}
_TAUGHT: Mapping[str, Any] = {
    **_SEEN, "photo_teacher": "on", "pixel_anchor": 24.0, "scr_floor": 0.1, "crop_jitter": 0.15,
}  # fmt: skip
BY_HAND: Mapping[str, Sequence[Mapping[str, Any]]] = {
    "dreambooth_lora": (
        {**_GENTLE, "steps": 240},
        {**_GENTLE, "steps": 240, "rate": 1e-3},
        {**_GENTLE, "steps": 400, "rank": 32},
        {**_GENTLE, "steps": 160},
        {**_GENTLE, "steps": 120, "rate": 1e-3},
        {**_GENTLE, "steps": 120, "rank": 32},
        {**_GENTLE, "steps": 240, "targets": "qkv"},
        {**_GENTLE, "steps": 240, "targets": "qkv", "rank": 32},
        {**_GENTLE, "steps": 240, "rate": 2.5e-4, "rank": 32},
        {**_GENTLE, "steps": 240, "prior_weight": 0.3},
        {**_GENTLE, "steps": 120, "rate": 1e-3, "rank": 32},
        {**_GENTLE, "steps": 120, "rate": 1.5e-3},
        {**_GENTLE, "steps": 160, "rate": 1e-3, "targets": "qkv"},
        {**_GENTLE, "steps": 120, "rate": 2e-3},
        {**_GENTLE, "steps": 90, "rate": 1e-3},
        {**_GENTLE, "steps": 160, "rate": 1e-3, "rank": 32},
        {**_GENTLE, "steps": 120, "rate": 1e-3, "rank": 8},
        {**_GENTLE, "steps": 120, "rate": 7e-4},
    ),
    "magicme": (
        {**_PLAIN},
        {**_PLAIN, "smallest": 0.8},
        {**_PLAIN, "smallest": 0.8, "rate": 1e-2},
        {**_PLAIN, "token_words": 6},
        {**_PLAIN, "token_words": 8},
        {**_PLAIN, "rate": 2e-3},
        {**_PLAIN, "steps": 400},
        {**_PLAIN, "whole": 0.2},
        {**_PLAIN, "correlation": 0.15},
        {**_PLAIN, "correlation": 0.0},
        {**_PLAIN, "smallest": 0.9},
        {**_PLAIN, "rate": 7e-3},
        {**_PLAIN, "steps": 300},
        {**_PLAIN, "steps": 150},
        {**_PLAIN, "rate": 3e-3},
        {**_PLAIN, "whole": 0.1},
        {**_PLAIN, "whole": 0.0},
        {**_PLAIN, "steps": 250, "rate": 4e-3},
    ),
    "personalvideo": (
        {**_SHARP},
        {**_EVEN},
        {**_SHARP, "rate": 4e-3},
        {**_EARLY},
        {**_EARLY, "temperature": 100.0},
        {**_EARLY, "temperature": 75.0},
        {**_EVEN, "prefixes": 24},
        {**_EVEN, "prefixes": 24, "steps": 240},
        {**_EVEN, "prefixes": 0, "rate": 4e-3},
        {**_EVEN, "rank": 4},
        {**_EVEN, "rank": 32},
    ),
    "personalvideo_plus": (
        {**_PICTURES},
        {**_PICTURES, **_SHARP, "targets": "qkv_motion", "rank": 4, "rate": 4e-4, "steps": 80, "warm_rate": 4e-3,
         "gradient_steps": 1, "ceiling": 0.7, "finish": 0.0, "jitter": 0.2},
        {**_PICTURES, **_SHARP, "targets": "qkv_motion", "rate": 2e-3, "steps": 120, "warm_steps": 0,
         "gradient_steps": 0, "ceiling": 1.0, "finish": 0.0, "jitter": 0.2, "scr_weight": 1.0, "pixel_anchor": 8.0},
        {**_PRINTED},
        {**_PRINTED, "finish": 0.125},
        {**_PRINTED, "finish": 0.125, "icr_frames": 4, "ceiling": 0.7},
        {**_PRINTED, "pixel_anchor": 8.0},
        {**_PRINTED, "pixel_anchor": 8.0, "rate": 4e-3, "ceiling": 0.7},
        {**_PRINTED, "pixel_anchor": 16.0, "icr_frames": 4},
        {**_PRINTED, "warm_steps": 280, "warm_rate": 8e-3, "steps": 80, "rate": 8e-4},
        {**_CENTRED},
        {**_SEEN},
        {**_SEEN, "crop_jitter": 0.15, "scr_floor": 0.1},
        {**_TAUGHT},
        {**_TAUGHT, "warm_steps": 280, "warm_rate": 8e-3, "steps": 80, "rate": 8e-4},
        {**_TAUGHT, "warm_steps": 280, "warm_rate": 8e-3, "steps": 80, "rate": 8e-4, "span_noise": 0.86},
    ),
}  # fmt: skip
"""What was tried after the drawn trials: the defaults of their time, changed where a trial or a picture said so."""

LOOKS: Mapping[str, int] = {"personalvideo": 7, "personalvideo_plus": 2}
"""Tries that are not in the log, and are told in docs/lab/README.md; other methods get as many trials for them."""

# A learned keyword without an adapter is a method whose adapter learns nothing.
STANDS_FOR: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "keyword": ("personalvideo", {"token": "inverted", "steps": 1, "rate": 1e-12, "prefixes": 1, "scr": "off"}),
}

ADDITIONS: Mapping[str, Mapping[str, Any]] = {
    "personalvideo_plus": {
        "warm_steps": 0,
        "icr_frames": 1,
        "scr_weight": 1.0,
        "scr_floor": 0.0,
        "ceiling": 1.0,
        "finish": 0.0,
        "pixel_anchor": 0.0,
        "crop_jitter": 0.0,
        "photo_steps": 0,
        "photo_teacher": False,
        "centre": False,
    },
}
"""What a method adds to the one that it builds on, each with the value that takes it away."""

ALONG: Mapping[str, Mapping[str, Any]] = {"photo_steps": {"photo_teacher": False}}
"""What cannot stay when an addition is left out."""
