"""What a cell's numbers can read of the other people of a run: derived from their references, made by no evaluator."""

from collections.abc import Collection, Mapping

import numpy as np

from pvbench.metrics.metric import Features, unit_rows

DERIVED: Mapping[str, str] = {
    **dict.fromkeys(("others/face", "foils/face", "tuned/face", "truth/face"), "reference/face"),
    "truth/skin": "colours/skin",
    "truth/crown": "colours/crown",
}
"""Features that stand beside an identity's when cells are scored, and the feature of the identity that each goes with.

`foils/face` comes with the miniature world's people, `truth/...` with the ceiling's video of the same cell; both have
no rows for anybody else.
"""
UNKNOWN: Mapping[str, np.ndarray] = {
    **{name: np.zeros((0, 1), np.float32) for name in ("foils/face", "tuned/face", "truth/face")},
    **{name: np.zeros((0, 3), np.float32) for name in ("truth/skin", "truth/crown")},
}
"""What stands for a derived feature that is not known of a cell."""


def with_derived(made: Collection[str]) -> frozenset[str]:
    """The features that evaluators make, and those that follow from them."""
    return frozenset(made) | {name for name, source in DERIVED.items() if source in made}


def others_of(references: Mapping[str, Features]) -> dict[str, Features]:
    """By identity, `others/face`: a unit row (others, D) for each other person, the mean of the person's photos.

    Args:
        references: the features of each identity's photos; identities without faces there have no part.
    """
    faces = {name: features["reference/face"] for name, features in references.items() if "reference/face" in features}
    templates = {
        name: unit_rows("reference/face", rows.mean(axis=0, keepdims=True))[0]
        for name, rows in faces.items()
        if np.isfinite(rows).all() and len(rows)
    }
    width = next((template.size for template in templates.values()), 0)

    def rows_without(name: str) -> np.ndarray:
        rows = [row for other, row in templates.items() if other != name]
        return np.array(rows, np.float32).reshape(len(rows), width)

    return {name: {"others/face": rows_without(name)} for name in references}


TRUTHS = tuple(name for name in DERIVED if name.startswith("truth/"))
"""What `truth_of` may find in a cell's true video."""


def truth_of(features: Features) -> dict[str, np.ndarray]:
    """What the frames of a cell's true video that have a face show on the average; nothing where none has one.

    Returns:
        `truth/face` (1, D), a mean direction; `truth/skin` and `truth/crown` (1, 3), mean colours.
    """
    detected = features.get("face/detected")
    if detected is None or not (detected == 1).any():
        return {}
    seen, found = detected == 1, {}
    if "face/embedding" in features:
        mean = features["face/embedding"][seen].mean(axis=0, keepdims=True)
        found["truth/face"] = unit_rows("truth/face", mean).astype(np.float32)
    for name in ("skin", "crown"):
        if f"colours/{name}" in features:
            found[f"truth/{name}"] = features[f"colours/{name}"][seen].mean(axis=0, keepdims=True)
    return found
