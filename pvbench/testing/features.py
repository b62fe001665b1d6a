"""Features as the evaluators leave them, of videos that there are not: random, but of the right shapes and ranges."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from jaxtyping import Float

FRAMES, PHOTOS, FACE, CLIP, VIDEO = 6, 5, 16, 12, 20
LOOKS = {"hair": 6, "hair_colour": 6, "beard": 5, "glasses": 3}
"""Labels of a look, and how many values each has."""


def example_features(
    seed: int, frames: int = FRAMES, missing: Collection[int] = (2,), photos: int = PHOTOS
) -> dict[str, Float[np.ndarray, ...]]:
    """The features of one video, of its identity's references and of its prompt; names as in docs/features.md.

    Args:
        missing: frames without a face.
        photos: of the identity.
    """
    rng = np.random.default_rng(seed)
    detected = np.ones(frames, np.float32)
    face, crop = _unit(rng.normal(size=(frames, FACE))), _unit(rng.normal(size=(frames, CLIP)))
    corner = rng.uniform(4, 20, (frames, 2))
    box = np.concatenate([corner, corner + rng.uniform(16, 36, (frames, 2))], axis=1).astype(np.float32)
    head = _unit(rng.normal(size=(frames, FACE)))
    skin, crown = (rng.uniform(20, 80, (frames, 3)).astype(np.float32) for _ in range(2))
    looks = {name: rng.dirichlet(np.ones(count), frames).astype(np.float32) for name, count in LOOKS.items()}
    for frame in missing:
        detected[frame] = 0
        for rows in (face, crop, box, head, skin, crown, *looks.values()):
            rows[frame] = np.nan
    return {
        "face/embedding": face,
        "face/detected": detected,
        "face/box": box,
        "face/count": detected.copy(),
        "clip/frame": _unit(rng.normal(size=(frames, CLIP))),
        "clip/face": crop,
        "flow/top5": rng.uniform(0, 4, size=frames - 1).astype(np.float32),
        "flow/mean": rng.uniform(0, 1, size=frames - 1).astype(np.float32),
        "flow/warp_error": rng.uniform(0, 0.01, size=frames - 1).astype(np.float32),
        "flow/size": np.array([64, 64], np.float32),
        "flow/fps": np.array([8], np.float32),
        "video/embedding": rng.normal(size=VIDEO).astype(np.float32),
        "dino/frame": _unit(rng.normal(size=(frames, CLIP))),
        "world/action": rng.dirichlet(np.ones(15)).astype(np.float32),
        "world/scene": rng.uniform(0, 0.5, (frames, 12)).astype(np.float32),
        "world/colour": rng.uniform(0, 0.5, (frames, 9)).astype(np.float32),
        "world/expression": rng.uniform(0, 0.5, (frames, 5)).astype(np.float32),
        "head/embedding": head,
        "colours/skin": skin,
        "colours/crown": crown,
        **{f"look/{name}": rows for name, rows in looks.items()},
        **{
            f"reference/look_{name}": rng.dirichlet(np.ones(count), photos).astype(np.float32)
            for name, count in LOOKS.items()
        },
        "reference/head": _unit(rng.normal(size=(photos, FACE))),
        **{
            f"{name}/{network}": _unit(rng.normal(size=(count, FACE)))
            for name, count in {"opens2v": 32, "consisid": 16}.items()
            for network in ("cur", "arc")
        },
        "reference/protocol_cur": _unit(rng.normal(size=(photos, FACE))),
        "reference/protocol_arc": _unit(rng.normal(size=(photos, FACE))),
        "hps/frame": _unit(rng.normal(size=(frames, CLIP))),
        "reference/face": _unit(rng.normal(size=(photos, FACE))),
        "reference/clip": _unit(rng.normal(size=(photos, CLIP))),
        "reference/clip_face": _unit(rng.normal(size=(photos, CLIP))),
        "others/face": _unit(rng.normal(size=(6, FACE))),
        "foils/face": _unit(rng.normal(size=(4, FACE))),
        "tuned/face": _unit(rng.normal(size=(photos, FACE))),
        "truth/face": _unit(rng.normal(size=(1, FACE))),
        "truth/skin": rng.uniform(20, 80, (1, 3)).astype(np.float32),
        "truth/crown": rng.uniform(20, 80, (1, 3)).astype(np.float32),
        "text/clip": _unit(rng.normal(size=CLIP)),
        "text/tokens": np.array([9, 77], np.float32),
        "text/asked": np.array([3, 0, 8, 4], np.float32),
        "text/hps": _unit(rng.normal(size=CLIP)),
        "pixels/difference": rng.uniform(0, 40, size=frames - 1).astype(np.float32),
        "consisid/inception": rng.uniform(0, 1, (16, CLIP)).astype(np.float32),
        "reference/inception": rng.uniform(0, 1, (photos, CLIP)).astype(np.float32),
        "consisid/clip": _unit(rng.normal(size=(16, CLIP))),
        "vbench/clip": _unit(rng.normal(size=(frames, CLIP))),
        "opens2v/clip": _unit(rng.normal(size=(32, CLIP))),
        "vbench/aesthetic": rng.uniform(1, 10, frames).astype(np.float32),
        "opens2v/motion": rng.normal(size=2).astype(np.float32),
        "opens2v/aesthetic": rng.uniform(1, 10, 32).astype(np.float32),
        "text/consisid_clip": _unit(rng.normal(size=CLIP)),
        "style/probability": rng.dirichlet(np.ones(3), frames).astype(np.float32),
    }


def _unit(rows: np.ndarray) -> np.ndarray:
    found: np.ndarray = (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)
    return found
