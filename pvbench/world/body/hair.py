"""Hair: on the scalp, on the chin, and hanging from the crown."""

from __future__ import annotations

import numpy as np

from pvbench.world.body.head_profile import HeadProfile, radius_at
from pvbench.world.body.mesh import Numbers, Parts, grid_triangles
from pvbench.world.body.paint import smooth
from pvbench.world.figure import Figure
from pvbench.world.person import Look


def beard_amount(kind: str, figure: Figure, x: Numbers, y: Numbers, z: Numbers) -> Numbers:
    """How much of each vertex is beard in [0, 1], from where it sits on the average person."""
    if kind == "none":
        return np.zeros(len(x))
    jaw = (1 - smooth(-0.062, -0.048, z + 0.35 * np.maximum(0.03 - x, 0))) * smooth(-0.145, -0.125, z)
    jaw = jaw * (1 - smooth(0.055, 0.085, y))
    upper_lip = np.exp(-(((z + 0.0565) / 0.0075) ** 4) - (x / 0.028) ** 6) * (y < 0.0)
    chin = np.exp(-((x / 0.024) ** 4)) * (1 - smooth(-0.082, -0.074, z)) * smooth(-0.135, -0.115, z) * (y < 0.03)
    amount = {
        "stubble": 0.42 * np.maximum(jaw, upper_lip),
        "moustache": upper_lip,
        "goatee": np.maximum(chin, upper_lip),
        "full beard": 0.95 * np.maximum(jaw, upper_lip),
    }[kind]
    found: Numbers = amount * (1 - np.clip(figure.masks["lips"] * 1.5, 0, 1))
    return found


def scalp_hair(figure: Figure, look: Look, ref: Numbers, capped: bool) -> tuple[Numbers, Numbers]:
    """How much of each vertex is hair in [0, 1], and how far hair stands off the skin in metres."""
    x, y, z = np.abs(ref[:, 0]), ref[:, 1], ref[:, 2]
    back = smooth(0.03, 0.10, y)
    fronts = {"shaved": 0.066, "short": 0.063, "receding": 0.083, "curly": 0.060, "bob": 0.060, "long": 0.062}
    front: float | Numbers = fronts[look.hair]
    if look.hair == "receding":
        front = front + 0.020 * smooth(0.01, 0.04, x) * (1 - smooth(0.06, 0.075, x))
    side = {"shaved": 0.012, "short": -0.005, "receding": 0.0, "curly": -0.025, "bob": -0.01, "long": -0.01}[look.hair]
    temple = np.where(x > 0.055, front - (front - side) * smooth(0.055, 0.072, x), front)
    nape = -0.055 if look.hair in ("shaved", "short", "receding") else -0.085
    line = temple * (1 - back) + nape * back
    on_head = (z > -0.10) & (y > -0.04) & (figure.weights[:, list(figure.bones).index("head")] > 0.3)
    amount = smooth(-0.004, 0.005, z - line) * on_head * (1 - np.clip(2 * figure.masks["ears"], 0, 1))
    body = figure.is_body
    amount = np.where(body, amount, 0.0)
    stand = {"shaved": 0.0015, "short": 0.011, "receding": 0.008, "curly": 0.027, "bob": 0.017, "long": 0.015}[
        look.hair
    ]
    rng = np.random.default_rng(look.hair_seed)
    stand *= rng.uniform(0.85, 1.2)
    bumps = np.zeros(len(ref))
    for _ in range(6):
        wave = rng.normal(size=3) * (95 if look.hair == "curly" else 45)
        bumps += np.sin(ref @ wave + rng.uniform(0, 6.28)) / 6
    rough = {"curly": 0.55, "shaved": 0.0}.get(look.hair, 0.15)
    if capped:
        stand = min(stand, 0.006)
    thickness = amount * stand * (1 + rough * bumps)
    if look.hair == "shaved":
        amount = amount * 0.75
    return amount, thickness


def add_curtain(parts: Parts, profile: HeadProfile, look: Look, colour: Numbers, bone: int) -> None:
    """Hair that hangs from the crown behind and beside the face, open in front."""
    rng = np.random.default_rng([look.hair_seed, 7])
    long = look.hair == "long"
    bottom = rng.uniform(-0.22, -0.17) if long else rng.uniform(-0.105, -0.075)
    reach = np.radians(rng.uniform(112, 124))
    thick = rng.uniform(0.014, 0.024)
    sectors, rows = 40, 18
    top = float(profile.heights[0]) - 0.025
    vertices = np.zeros((rows, sectors, 3))
    widest = np.zeros(sectors)
    strands = 1 + 0.10 * np.sin(np.arange(sectors) * 2.1 + rng.uniform(0, 6))
    for i, height in enumerate(np.linspace(top, bottom, rows)):
        # At the crown the sheet lies on the scalp and ends behind the ears; lower down it is thick and comes forward.
        grown = float(smooth(top, top - 0.075, np.array([height]))[0])
        direction = np.linspace(-1, 1, sectors) * (0.55 + 0.45 * grown) * reach
        radius = radius_at(profile, max(height, -0.085), direction) + (0.004 + thick * grown) * strands
        widest = np.maximum(widest * 0.985, radius)
        # Below the jaw hair keeps its width and only falls a little inwards.
        used = widest if height < 0.03 else radius
        wave = 0.004 * np.sin(height * 60 + direction * 3)
        vertices[i, :, 0] = (used + wave) * np.sin(direction)
        vertices[i, :, 1] = profile.axis_y + (used + wave) * np.cos(direction)
        vertices[i, :, 2] = height
    shade = np.ones((rows, sectors, 1)) * (1 + 0.22 * np.sin(np.arange(sectors) * 2.1)[None, :, None])
    colours = np.concatenate([colour[:3] * shade, np.full((rows, sectors, 1), 0.12)], axis=-1)
    parts.add(vertices.reshape(-1, 3), colours.reshape(-1, 4), bone, grid_triangles(rows, sectors, closed=False))
