"""Teeth, seated so that lips, cheeks and chin cover them in every strong expression."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from pvbench.world.action import EXPRESSIONS
from pvbench.world.body.mesh import Numbers, vertex_normals
from pvbench.world.body.reference import reference_coordinates
from pvbench.world.figure import Figure

TEETH = ("upper teeth", "lower teeth")  # groups of the figure
_LIP_DEPTH = 0.0015  # metres of lip, cheek or chin before the teeth, at least
_LAUGH = {"mouthSmileLeft": 1.2, "mouthSmileRight": 1.2, "cheekSquintLeft": 0.9, "cheekSquintRight": 0.9}
_STRONG_UNITS: tuple[dict[str, float], ...] = (
    {},
    EXPRESSIONS["smiling"],
    EXPRESSIONS["surprised"],
    EXPRESSIONS["sad"],
    EXPRESSIONS["angry"],
    {**_LAUGH, "jawOpen": 0.28},
    {**_LAUGH, "jawOpen": 0.68},
    {"jawOpen": 0.55, "mouthFunnel": 0.7},
)
_SKIN: dict[int, Numbers] = {}


def _skin_before_teeth(figure: Figure) -> Numbers:
    """Vertex numbers of the outside of lips, cheeks and chin; the cavity of the mouth is left out."""
    if id(figure) not in _SKIN:
        reference = reference_coordinates(figure)
        mouth = np.array([0.0, 0.02, -0.07])
        outwards = ((reference - mouth) * vertex_normals(reference, figure.groups["body"])).sum(axis=1) > 0
        x, y, z = np.abs(reference[:, 0]), reference[:, 1], reference[:, 2]
        around = (x < 0.05) & (y < 0.05) & (z > -0.115) & (z < -0.04)
        _SKIN[id(figure)] = np.flatnonzero(figure.is_body & outwards & around)
    return _SKIN[id(figure)]


def seat_teeth(figure: Figure, shape: Numbers) -> Numbers:
    """Each row of teeth moved back until lips, cheeks and chin cover it in every strong expression.

    The asset's sliders move lips and chin without the teeth, and its smiles flatten the lips: teeth would come through
    the skin below the lower lip of a short or receding chin.
    """
    rows = [np.unique(figure.groups[name]) for name in TEETH]
    part = np.concatenate([_skin_before_teeth(figure), *rows])
    skin, *parts = np.split(np.arange(len(part)), np.cumsum([len(part) - sum(map(len, rows)), len(rows[0])]))
    back = np.zeros(len(rows))
    for units in _STRONG_UNITS:
        posed = shape[part].astype(float)
        for name, value in units.items():
            posed += value * figure.shapes[figure.action_rows[name], part]
        tree = cKDTree(posed[skin][:, [0, 2]])
        for k, row in enumerate(parts):
            near = tree.query(posed[row][:, [0, 2]], k=4)[1]
            cover = posed[skin, 1][near].max(axis=1)  # of the four nearest before a tooth, the one furthest back
            back[k] = max(back[k], (cover + _LIP_DEPTH - posed[row, 1]).max())
    seated = shape.copy()
    for row, by in zip(rows, back, strict=True):
        seated[row, 1] += by
    return seated
