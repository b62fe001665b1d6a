"""Teeth show in the mouth, and nowhere else."""

import numpy as np
import pytest

from pvbench.world.action import EXPRESSIONS, Pose, motion

MOUTH_CORNERS = (3, 4)  # of the five landmarks


def mouth_close_up(figure, body, pose):
    """Boolean (160, 160) of a 10 cm wide picture: where teeth show, and where they show below the lower lip."""
    from pvbench.world.body.teeth import TEETH
    from pvbench.world.raster import Camera, Light, draw

    flat = Light((0.0, -1.0, 0.0), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0))
    vertices, points = body.posed(pose)
    x, _, z = points[list(MOUTH_CORNERS)].mean(axis=0)
    camera = Camera((x, -1.5, z), (x, 0.0, z), 4.0)
    marked = np.zeros((len(body.rest), 4), np.float32)
    for row in TEETH:
        marked[figure.groups[row].reshape(-1), 0] = 1
    lips = figure.is_body & (figure.masks["lips"] > 0.5)
    marked[np.flatnonzero(lips), 1] = 1
    toothless = body.triangles[~(marked[body.triangles, 0] > 0).any(axis=1)]
    teeth = draw(vertices, body.triangles, marked, camera, flat, 160, 160, 1, "cpu")[..., 0] > 0.2
    lip = draw(vertices, toothless, marked, camera, flat, 160, 160, 1, "cpu")[..., 1] > 0.2
    rows = np.arange(160)[:, None]
    return teeth, teeth & (rows > np.where(lip, rows, -1).max(axis=0))


STRONG = {
    "smiling": EXPRESSIONS["smiling"],
    "surprised": EXPRESSIONS["surprised"],
    "angry": EXPRESSIONS["angry"],
    **{f"laugh, {t}": motion("laugh", "neutral", 8, 8.0, np.random.default_rng(0))[t].units for t in (3, 4)},
    "talk": {"jawOpen": 0.55, "mouthFunnel": 0.7},
}


@pytest.mark.parametrize("name", ["dario", "esme", "farid", "hugo", "maya", "olga", "pavel", "tara", "viktor"])
def test_teeth_show_in_the_mouth_and_never_through_the_skin_below_it(figure, dress, name):
    from pvbench.world.benchmark import benchmark_person

    body = dress(benchmark_person(figure, name))
    seen = 0
    for label, units in STRONG.items():
        for yaw in (-30, 0, 30):
            teeth, wrong = mouth_close_up(figure, body, Pose(yaw=yaw, units=units))
            assert wrong.sum() <= 4, f"{name}, {label}, yaw {yaw}"
            seen += int(teeth.sum())
    assert seen > 2000
