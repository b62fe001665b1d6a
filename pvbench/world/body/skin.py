"""The paint of a face: skin, blush, eyelids, lips, brows and beard."""

from __future__ import annotations

import numpy as np

from pvbench.world.body.hair import beard_amount
from pvbench.world.body.mesh import Numbers
from pvbench.world.body.paint import linear, smooth
from pvbench.world.figure import Figure
from pvbench.world.person import HAIR_COLOURS, Person


def painted_skin(figure: Figure, person: Person, shape: Numbers, ref: Numbers) -> tuple[Numbers, Numbers]:
    """The skin's vertices, and their colours and gloss (v, 4)."""
    skin = linear(person.skin)
    hair = linear(HAIR_COLOURS[person.look.hair_colour])
    x, y, z = np.abs(ref[:, 0]), ref[:, 1], ref[:, 2]
    colour = np.tile(skin, (len(shape), 1))

    def blend(amount: Numbers, target: Numbers) -> None:
        colour[:] = colour * (1 - amount[:, None]) + target * amount[:, None]

    cheek = np.exp(-(((x - 0.042) / 0.016) ** 2 + ((z + 0.030) / 0.016) ** 2)) * (y < 0.02)
    blend(0.55 * person.blush * cheek, skin * np.array([1.25, 0.72, 0.70]))
    blend(0.4 * figure.masks["eyelids"], skin * np.array([0.75, 0.66, 0.66]))
    sockets = np.exp(-(((x - 0.031) / 0.018) ** 2 + ((z - 0.002) / 0.010) ** 2)) * (y < 0.03)
    blend(0.28 * sockets, skin * np.array([0.6, 0.5, 0.5]))
    blend(figure.masks["lips"] * (0.45 + 0.5 * person.lip[0]), skin * np.array([0.95 * person.lip[1], 0.42, 0.42]))
    beard = beard_amount(person.look.beard, figure, x, y, z)
    blend(beard, 0.85 * hair + 0.15 * skin)
    strength, lift = person.brow
    arch = 0.0205 + lift - 1.9 * (x - 0.034) ** 2 * 4
    thick = 0.0028 + 0.0026 * strength
    brow = np.exp(-(((z - arch) / thick) ** 4)) * smooth(0.009, 0.014, x) * (1 - smooth(0.049, 0.057, x)) * (y < 0.02)
    blend(brow * (0.55 + 0.45 * strength), 0.6 * hair)
    gloss = np.full((len(shape), 1), 0.09)
    return shape.copy(), np.concatenate([colour, gloss], axis=1)
