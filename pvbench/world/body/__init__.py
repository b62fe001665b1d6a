"""A dressed person as a mesh: shape, paint, hair, beard, glasses, clothes, and how it follows a pose."""

from pvbench.world.body.assembly import build
from pvbench.world.body.clothes import CLOTHES, COLOURS, Outfit
from pvbench.world.body.posed import Body

__all__ = [
    "CLOTHES",
    "COLOURS",
    "Body",
    "Outfit",
    "build",
]
