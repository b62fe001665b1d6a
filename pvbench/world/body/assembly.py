"""Puts a dressed person together: shape, paint, hair, clothes and what is worn on the head."""

from __future__ import annotations

import numpy as np

from pvbench.world.body.clothes import Outfit, add_shirt, dress_skin, shirt_mesh
from pvbench.world.body.eyes import EYE_RINGS, EYE_SECTORS, add_eye
from pvbench.world.body.hair import add_curtain, scalp_hair
from pvbench.world.body.head_profile import HeadProfile, head_profile
from pvbench.world.body.headwear import add_cap, add_glasses
from pvbench.world.body.mesh import Numbers, Parts, vertex_normals
from pvbench.world.body.paint import linear
from pvbench.world.body.posed import Body
from pvbench.world.body.reference import face_points, reference_coordinates
from pvbench.world.body.skin import painted_skin
from pvbench.world.body.teeth import TEETH, seat_teeth
from pvbench.world.figure import Figure
from pvbench.world.person import HAIR_COLOURS, Person


def build(figure: Figure, person: Person, outfit: Outfit) -> Body:
    """The mesh of `person` dressed in `outfit`."""
    shape, joints = _bare(figure, person)
    bone = {name: i for i, name in enumerate(figure.bones)}
    # All people look into the camera from the same height.
    eyes = [shape[numbers] for numbers in figure.eyes]
    eye_middle = (eyes[0].mean(axis=0) + eyes[1].mean(axis=0)) / 2
    shape = shape - eye_middle
    joints = joints - eye_middle
    eyes = [e - eye_middle for e in eyes]
    reference = reference_coordinates(figure)

    parts = Parts(len(figure.bones))
    rest, paint = painted_skin(figure, person, shape, reference)
    body_triangles = figure.groups["body"]
    hair_rgb = np.append(linear(HAIR_COLOURS[person.look.hair_colour]), 0.10)
    scalp, thickness = scalp_hair(figure, person.look, reference, bool(outfit.cap))
    normals = vertex_normals(rest, body_triangles)
    rest = rest + normals * thickness[:, None]
    paint = paint * (1 - scalp[:, None]) + hair_rgb * scalp[:, None]
    dress_skin(figure, outfit, rest, normals, paint, joints, bone)
    for row in TEETH:
        paint[figure.groups[row].reshape(-1)] = (0.80, 0.78, 0.72, 0.2)
    paint[figure.groups["tongue"].reshape(-1)] = (0.35, 0.10, 0.10, 0.1)
    paint[figure.groups["lashes"].reshape(-1)] = np.append(0.25 * linear(HAIR_COLOURS[person.look.hair_colour]), 0.0)
    parts.add(
        rest,
        paint,
        figure.weights,
        np.concatenate([body_triangles] + [figure.groups[g] for g in (*TEETH, "tongue", "lashes")]),
    )
    add_shirt(parts, figure, outfit, rest, reference)
    for side, eye in zip("LR", eyes, strict=True):
        add_eye(parts, eye, person, bone[f"eye.{side}"])
    around = person.look.hair in ("bob", "long") or person.look.glasses != "none" or bool(outfit.cap)
    profile = head_profile(rest, reference, figure) if around else HeadProfile.empty()
    if person.look.hair in ("bob", "long"):
        add_curtain(parts, profile, person.look, hair_rgb, bone["head"])
    if person.look.glasses != "none":
        add_glasses(parts, eyes, profile, person.look.glasses, bone["head"])
    if outfit.cap:
        add_cap(parts, profile, outfit.cap, bone["head"])
    units = {name: i for i, name in enumerate(figure.action_rows)}
    first_eye = len(rest) + shirt_mesh(figure)[0].shape[0]
    eye_vertices = EYE_RINGS * EYE_SECTORS
    landmarks = [
        np.arange(first_eye + eye_vertices, first_eye + 2 * eye_vertices),  # the person's right eye: viewer's left
        np.arange(first_eye, first_eye + eye_vertices),
        *face_points(figure, reference),
    ]
    weights = np.concatenate(parts.weights).astype(np.float32)
    triangles = np.concatenate(parts.triangles).astype(np.int32)
    of_head = weights[:, _below(figure, "head")].sum(axis=1)
    return Body(
        rest=np.concatenate(parts.vertices).astype(np.float32),
        colours=np.concatenate(parts.colours).astype(np.float32),
        weights=weights,
        triangles=triangles,
        joints=joints,
        unit_rows=units,
        unit_shapes=figure.shapes[list(figure.action_rows.values())],
        landmark_points=landmarks,
        head_middle=np.array([0.0, 0.02, 0.005]),
        head=of_head[triangles].mean(axis=1) > 0.5,
        figure=figure,
    )


def _below(figure: Figure, name: str) -> list[int]:
    """The numbers of a bone and of all that hang on it."""
    found = [figure.bones.index(name)]
    # Parents come first.
    for i, parent in enumerate(figure.parents):
        if parent in found:
            found.append(i)
    return found


_LAST_BARE: list[tuple[Person, Numbers, Numbers]] = []


def _bare(figure: Figure, person: Person) -> tuple[Numbers, Numbers]:
    """Vertices and joints before paint; the last person's are kept, since pictures of one person come together."""
    if not _LAST_BARE or (_LAST_BARE[0][0].sliders, _LAST_BARE[0][0].phenotypes) != (person.sliders, person.phenotypes):
        coefficients = figure.coefficients(person.phenotypes, person.sliders)
        shape = seat_teeth(figure, figure.template + np.tensordot(coefficients, figure.shapes, axes=1))
        joints = (figure.bone_heads + np.tensordot(coefficients, figure.bone_shapes, axes=1)).astype(float)
        _LAST_BARE[:] = [(person, shape, joints)]
    return _LAST_BARE[0][1], _LAST_BARE[0][2]
