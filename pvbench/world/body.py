"""A dressed person as a mesh: shape, paint, hair, beard, glasses, clothes, and how it follows a pose."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from pvbench.world.action import EXPRESSIONS, Pose
from pvbench.world.figure import Figure
from pvbench.world.person import HAIR_COLOURS, Look, Person

Array = NDArray[np.float32]
Numbers = NDArray[Any]
"""Of floats or whole numbers."""

CLOTHES = ("T-shirt", "jacket", "turtleneck")
COLOURS = {
    "red": (0.78, 0.07, 0.08),
    "blue": (0.10, 0.20, 0.75),
    "green": (0.08, 0.50, 0.17),
    "yellow": (0.93, 0.80, 0.08),
    "white": (0.93, 0.93, 0.93),
    "black": (0.035, 0.035, 0.04),
    "purple": (0.47, 0.12, 0.60),
    "orange": (0.95, 0.45, 0.05),
    "pink": (0.95, 0.52, 0.70),
}
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


@dataclass(frozen=True)
class Outfit:
    """Clothes of one video: `kind` of `CLOTHES`, `colour` of `COLOURS`, and a cap's colour or an empty string."""

    kind: str
    colour: str
    cap: str = ""


def linear(srgb: NDArray[np.floating] | tuple[float, ...]) -> NDArray[np.float64]:
    """Linear RGB of sRGB values in [0, 1]."""
    return np.asarray(srgb, float) ** 2.2


def _smooth(low: float, high: float, x: NDArray[np.floating]) -> NDArray[np.floating]:
    t = np.clip((x - low) / (high - low), 0, 1)
    found: NDArray[np.floating] = t * t * (3 - 2 * t)
    return found


class _Parts:
    """Grows vertices, colours, skinning weights and triangles part by part."""

    def __init__(self, bones: int) -> None:
        self.vertices: list[Numbers] = []
        self.colours: list[Numbers] = []
        self.weights: list[Numbers] = []
        self.triangles: list[Numbers] = []
        self.count, self.bones = 0, bones

    def add(self, vertices: Numbers, colours: Numbers, weights: Numbers | int, triangles: Numbers) -> None:
        if isinstance(weights, int):
            one = np.zeros((len(vertices), self.bones), np.float32)
            one[:, weights] = 1
            weights = one
        self.vertices.append(vertices)
        self.colours.append(np.broadcast_to(colours, (len(vertices), 4)))
        self.weights.append(weights)
        self.triangles.append(np.asarray(triangles) + self.count)
        self.count += len(vertices)


def _grid_triangles(rows: int, columns: int, closed: bool) -> Numbers:
    """Triangles of a rows x columns sheet of vertices, its columns joined up when `closed`."""
    last = columns if closed else columns - 1
    r, c = np.meshgrid(np.arange(rows - 1), np.arange(last), indexing="ij")
    a, b = r * columns + c, r * columns + (c + 1) % columns
    return np.stack([a, b, a + columns, b, b + columns, a + columns], -1).reshape(-1, 3)


def _tube(points: Numbers, radius: float, closed: bool) -> tuple[Numbers, Numbers]:
    """A square tube along `points` (n, 3)."""
    ring = np.array([[radius, 0, radius], [radius, 0, -radius], [-radius, 0, -radius], [-radius, 0, radius]]) * 0.8
    depth = np.array([[0, -radius, 0], [0, -radius, 0], [0, radius, 0], [0, radius, 0]]) * 0.6
    vertices = (points[:, None] + ring[None] + depth[None]).reshape(-1, 3)
    n = len(points)
    steps = n if closed else n - 1
    triangles = []
    for i in range(steps):
        j = (i + 1) % n
        for k in range(4):
            m = (k + 1) % 4
            triangles += [[4 * i + k, 4 * j + k, 4 * i + m], [4 * i + m, 4 * j + k, 4 * j + m]]
    return vertices, np.array(triangles)


@dataclass
class Body:
    """A person in an outfit, ready to pose.

    Attributes:
        rest: (v, 3) metres; colours: (v, 4) linear RGB and gloss; weights: (v, j); triangles: (t, 3).
        joints: (j, 3) positions of the bones' heads.
        unit_shapes: (u, f, 3) displacement of the first `f` vertices by each face unit; `unit_rows` names its rows.
        landmark_points: vertex numbers whose middles are left eye, right eye (the viewer's), nose tip, left and right
            mouth corner.
        head_middle: (3,) metres.
    """

    rest: Array
    colours: Array
    weights: Array
    triangles: NDArray[np.int32]
    joints: NDArray[np.float64]
    unit_rows: dict[str, int]
    unit_shapes: Array
    landmark_points: list[Numbers]
    head_middle: NDArray[np.float64]
    figure: Figure

    def posed(self, pose: Pose) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """Vertices (v, 3) and landmark positions (5, 3) in metres."""
        rest = self.rest
        if pose.units:
            rest = rest.copy()
            moved = self.unit_shapes.shape[1]
            for name, value in pose.units.items():
                rest[:moved] += np.float32(value) * self.unit_shapes[self.unit_rows[name]]
        transforms = _transforms(self.figure, self.joints, pose)
        mixed = self.weights @ transforms.reshape(len(transforms), 12)
        matrix = mixed.reshape(-1, 3, 4)
        vertices = np.einsum("vij,vj->vi", matrix[:, :, :3], rest) + matrix[:, :, 3]
        points = np.stack([vertices[numbers].mean(axis=0) for numbers in self.landmark_points])
        return vertices.astype(np.float32), points.astype(np.float64)


def _rotation(axis: int, degrees: float) -> Numbers:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    i, j = [(1, 2), (2, 0), (0, 1)][axis]
    matrix = np.eye(3)
    matrix[i, i], matrix[i, j], matrix[j, i], matrix[j, j] = c, -s, s, c
    return matrix


def _align(source: Numbers, target: Numbers) -> Numbers:
    """The smallest rotation (3, 3) that turns direction `source` into direction `target`."""
    a, b = source / np.linalg.norm(source), target / np.linalg.norm(target)
    v, c = np.cross(a, b), float(a @ b)
    cross = np.array([[0, -v[2], v[1]], [v[2], 0, -v[0]], [-v[1], v[0], 0]])
    found: Numbers = np.eye(3) + cross + cross @ cross / (1 + c)
    return found


def _head_turn(pose: Pose, share: float) -> Numbers:
    # The figure faces -y: a positive yaw brings the nose to +x, the viewer's right.
    return _rotation(2, share * pose.yaw) @ _rotation(0, -share * pose.pitch) @ _rotation(1, share * pose.roll)


def _transforms(figure: Figure, joints: Numbers, pose: Pose) -> NDArray[np.float32]:
    """(j, 3, 4) motion of every bone; rotations are about the bone's head, in world axes, parents first."""
    turn = {name: np.eye(3) for name in figure.bones}
    for name, share in (("neck01", 0.15), ("neck02", 0.15), ("neck03", 0.2), ("head", 0.5)):
        turn[name] = _head_turn(pose, share)
    turn["spine05"] = _rotation(1, pose.lean)
    for side, sign in (("L", 1), ("R", -1)):
        gaze = _rotation(2, pose.gaze[0]) @ _rotation(0, -pose.gaze[1])
        turn[f"eye.{side}"] = gaze
        turn[f"upperarm01.{side}"] = _rotation(1, sign * 34)
    if pose.wave is not None:
        # The arm at the viewer's left: elbow down and forward, the open hand up beside the head.
        swing = np.radians(pose.wave)
        upper, lower, wrist = (
            joints[figure.bones.index(f"{name}.R")] for name in ("upperarm01", "lowerarm01", "wrist")
        )
        lift = _align(lower - upper, np.array([-0.17, -0.80, -0.50]))
        turn["upperarm01.R"] = lift
        up = _align(wrist - lower, np.array([np.sin(swing) - 0.03, -0.12, np.cos(swing)]))
        turn["lowerarm01.R"] = lift.T @ up
    shift = np.array([pose.shift[0], 0.0, pose.shift[1]])
    out = np.zeros((len(figure.bones), 3, 4))
    for i, (name, parent) in enumerate(zip(figure.bones, figure.parents, strict=True)):
        base_r, base_t = (np.eye(3), shift) if parent < 0 else (out[parent, :, :3], out[parent, :, 3])
        rotation = turn[name]
        out[i, :, :3] = base_r @ rotation
        out[i, :, 3] = base_r @ (joints[i] - rotation @ joints[i]) + base_t
    return out.astype(np.float32)


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
    reference = _reference_coordinates(figure)

    parts = _Parts(len(figure.bones))
    rest, paint = _painted_skin(figure, person, shape, reference)
    body_triangles = figure.groups["body"]
    hair_rgb = np.append(linear(HAIR_COLOURS[person.look.hair_colour]), 0.10)
    scalp, thickness = _scalp(figure, person.look, reference, bool(outfit.cap))
    normals = _normals(rest, body_triangles)
    rest = rest + normals * thickness[:, None]
    paint = paint * (1 - scalp[:, None]) + hair_rgb * scalp[:, None]
    _dress_skin(figure, outfit, rest, normals, paint, joints, bone)
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
    _add_shirt(parts, figure, outfit, rest, reference)
    for side, eye in zip("LR", eyes, strict=True):
        _add_eye(parts, eye, person, bone[f"eye.{side}"])
    around = person.look.hair in ("bob", "long") or person.look.glasses != "none" or bool(outfit.cap)
    profile = _head_profile(rest, reference, figure) if around else _HeadProfile.empty()
    if person.look.hair in ("bob", "long"):
        _add_curtain(parts, profile, person.look, hair_rgb, bone["head"])
    if person.look.glasses != "none":
        _add_glasses(parts, eyes, profile, person.look.glasses, bone["head"])
    if outfit.cap:
        _add_cap(parts, profile, outfit.cap, bone["head"])
    units = {name: i for i, name in enumerate(figure.action_rows)}
    first_eye = len(rest) + _shirt_mesh(figure)[0].shape[0]
    eye_vertices = _EYE_RINGS * _EYE_SECTORS
    landmarks = [
        np.arange(first_eye + eye_vertices, first_eye + 2 * eye_vertices),  # the person's right eye: viewer's left
        np.arange(first_eye, first_eye + eye_vertices),
        *_face_points(figure, reference),
    ]
    return Body(
        rest=np.concatenate(parts.vertices).astype(np.float32),
        colours=np.concatenate(parts.colours).astype(np.float32),
        weights=np.concatenate(parts.weights).astype(np.float32),
        triangles=np.concatenate(parts.triangles).astype(np.int32),
        joints=joints,
        unit_rows=units,
        unit_shapes=figure.shapes[list(figure.action_rows.values())],
        landmark_points=landmarks,
        head_middle=np.array([0.0, 0.02, 0.005]),
        figure=figure,
    )


_LAST_BARE: list[tuple[Person, Numbers, Numbers]] = []


def _bare(figure: Figure, person: Person) -> tuple[Numbers, Numbers]:
    """Vertices and joints before paint; the last person's are kept, since pictures of one person come together."""
    if not _LAST_BARE or (_LAST_BARE[0][0].sliders, _LAST_BARE[0][0].phenotypes) != (person.sliders, person.phenotypes):
        coefficients = figure.coefficients(person.phenotypes, person.sliders)
        shape = _seat_teeth(figure, figure.template + np.tensordot(coefficients, figure.shapes, axes=1))
        joints = (figure.bone_heads + np.tensordot(coefficients, figure.bone_shapes, axes=1)).astype(float)
        _LAST_BARE[:] = [(person, shape, joints)]
    return _LAST_BARE[0][1], _LAST_BARE[0][2]


_REFERENCE: dict[int, Numbers] = {}


def _reference_coordinates(figure: Figure) -> Numbers:
    """(v, 3) of the average person relative to the middle of the eyes: where a vertex sits, whoever it belongs to."""
    key = id(figure)
    if key not in _REFERENCE:
        neutral = {"gender": 0.5, "age": 0.75, "african": 0.33, "asian": 0.33, "caucasian": 0.34}
        coefficients = figure.coefficients(neutral, {})
        shape = figure.template + np.tensordot(coefficients, figure.shapes, axes=1)
        middle = (shape[figure.eyes[0]].mean(axis=0) + shape[figure.eyes[1]].mean(axis=0)) / 2
        _REFERENCE[key] = shape - middle
    return _REFERENCE[key]


_FACE_POINTS: dict[int, list[Numbers]] = {}


def _face_points(figure: Figure, reference: Numbers) -> list[Numbers]:
    """Vertex numbers of nose tip and the mouth's corners (viewer's left first)."""
    if id(figure) not in _FACE_POINTS:
        body = np.flatnonzero(figure.is_body)
        front = reference[body]
        near = body[(np.abs(front[:, 0]) < 0.004) & (front[:, 2] < -0.015) & (front[:, 2] > -0.06)]
        tip = near[np.argmin(reference[near, 1])]
        lips = body[figure.masks["lips"][body] > 0.5]
        # The lips' mask reaches into the mouth; its outer ring is what shows.
        shown = lips[reference[lips, 1] < np.median(reference[lips, 1]) + 0.01]
        left, right = shown[np.argmin(reference[shown, 0])], shown[np.argmax(reference[shown, 0])]
        _FACE_POINTS[id(figure)] = [np.array([tip]), np.array([left]), np.array([right])]
    return _FACE_POINTS[id(figure)]


_SKIN: dict[int, Numbers] = {}


def _skin_before_teeth(figure: Figure) -> Numbers:
    """Vertex numbers of the outside of lips, cheeks and chin; the cavity of the mouth is left out."""
    if id(figure) not in _SKIN:
        reference = _reference_coordinates(figure)
        mouth = np.array([0.0, 0.02, -0.07])
        outwards = ((reference - mouth) * _normals(reference, figure.groups["body"])).sum(axis=1) > 0
        x, y, z = np.abs(reference[:, 0]), reference[:, 1], reference[:, 2]
        around = (x < 0.05) & (y < 0.05) & (z > -0.115) & (z < -0.04)
        _SKIN[id(figure)] = np.flatnonzero(figure.is_body & outwards & around)
    return _SKIN[id(figure)]


def _seat_teeth(figure: Figure, shape: Numbers) -> Numbers:
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


def _normals(vertices: Numbers, triangles: Numbers) -> Numbers:
    normals = np.zeros_like(vertices)
    corners = vertices[triangles]
    face = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    for k in range(3):
        np.add.at(normals, triangles[:, k], face)
    found: Numbers = normals / (np.linalg.norm(normals, axis=1, keepdims=True) + 1e-12)
    return found


def _painted_skin(figure: Figure, person: Person, shape: Numbers, ref: Numbers) -> tuple[Numbers, Numbers]:
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
    beard = _beard_amount(person.look.beard, figure, x, y, z)
    blend(beard, 0.85 * hair + 0.15 * skin)
    strength, lift = person.brow
    arch = 0.0205 + lift - 1.9 * (x - 0.034) ** 2 * 4
    thick = 0.0028 + 0.0026 * strength
    brow = np.exp(-(((z - arch) / thick) ** 4)) * _smooth(0.009, 0.014, x) * (1 - _smooth(0.049, 0.057, x)) * (y < 0.02)
    blend(brow * (0.55 + 0.45 * strength), 0.6 * hair)
    gloss = np.full((len(shape), 1), 0.09)
    return shape.copy(), np.concatenate([colour, gloss], axis=1)


def _beard_amount(kind: str, figure: Figure, x: Numbers, y: Numbers, z: Numbers) -> Numbers:
    if kind == "none":
        return np.zeros(len(x))
    jaw = (1 - _smooth(-0.062, -0.048, z + 0.35 * np.maximum(0.03 - x, 0))) * _smooth(-0.145, -0.125, z)
    jaw = jaw * (1 - _smooth(0.055, 0.085, y))
    upper_lip = np.exp(-(((z + 0.0565) / 0.0075) ** 4) - (x / 0.028) ** 6) * (y < 0.0)
    chin = np.exp(-((x / 0.024) ** 4)) * (1 - _smooth(-0.082, -0.074, z)) * _smooth(-0.135, -0.115, z) * (y < 0.03)
    amount = {
        "stubble": 0.42 * np.maximum(jaw, upper_lip),
        "moustache": upper_lip,
        "goatee": np.maximum(chin, upper_lip),
        "full beard": 0.95 * np.maximum(jaw, upper_lip),
    }[kind]
    found: Numbers = amount * (1 - np.clip(figure.masks["lips"] * 1.5, 0, 1))
    return found


def _scalp(figure: Figure, look: Look, ref: Numbers, capped: bool) -> tuple[Numbers, Numbers]:
    """How much of each vertex is hair in [0, 1], and how far hair stands off the skin in metres."""
    x, y, z = np.abs(ref[:, 0]), ref[:, 1], ref[:, 2]
    back = _smooth(0.03, 0.10, y)
    fronts = {"shaved": 0.066, "short": 0.063, "receding": 0.083, "curly": 0.060, "bob": 0.060, "long": 0.062}
    front: float | Numbers = fronts[look.hair]
    if look.hair == "receding":
        front = front + 0.020 * _smooth(0.01, 0.04, x) * (1 - _smooth(0.06, 0.075, x))
    side = {"shaved": 0.012, "short": -0.005, "receding": 0.0, "curly": -0.025, "bob": -0.01, "long": -0.01}[look.hair]
    temple = np.where(x > 0.055, front - (front - side) * _smooth(0.055, 0.072, x), front)
    nape = -0.055 if look.hair in ("shaved", "short", "receding") else -0.085
    line = temple * (1 - back) + nape * back
    on_head = (z > -0.10) & (y > -0.04) & (figure.weights[:, list(figure.bones).index("head")] > 0.3)
    amount = _smooth(-0.004, 0.005, z - line) * on_head * (1 - np.clip(2 * figure.masks["ears"], 0, 1))
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


def _dress_skin(
    figure: Figure,
    outfit: Outfit,
    rest: Numbers,
    normals: Numbers,
    paint: Numbers,
    joints: Numbers,
    bone: dict[str, int],
) -> None:
    """Gives skin under cloth the cloth's colour and a turtleneck its collar, in place."""
    ref = _reference_coordinates(figure)
    x, y, z = np.abs(ref[:, 0]), ref[:, 1], ref[:, 2]
    body = figure.is_body
    sleeve = 0.21 if outfit.kind == "T-shirt" else 0.47
    if outfit.kind == "T-shirt":
        covered = body & (z < -0.17) & (x < sleeve) & (((x / 0.095) ** 2 + ((z + 0.155) / 0.080) ** 2 > 1) | (y > 0.10))
    else:
        covered = body & ((z < -0.16) | (x > 0.085)) & (z < -0.10) & (x < sleeve)
    colour = np.append(linear(COLOURS[outfit.colour]) * 0.95, 0.03)
    paint[covered] = colour
    if outfit.kind == "jacket":
        paint[covered & (y < 0.10) & (x < _opening(z))] = np.append(_under_jacket(outfit.colour), 0.03)
    rest[covered] -= normals[covered] * 0.012
    if outfit.kind == "turtleneck":
        collar = (body & (z < -0.112) & (z > -0.25) & (x < 0.12)).astype(float)
        collar *= 1 - _smooth(0.55, 0.9, figure.weights[:, bone["head"]])
        rest += normals * (0.012 * collar)[:, None]
        paint[:] = paint * (1 - collar[:, None]) + colour * collar[:, None]


def _opening(z: Numbers) -> Numbers:
    """Half the width in metres of a jacket's opening at height `z`."""
    return 0.020 + 0.50 * np.clip(z + 0.28, 0, 0.13)


def _under_jacket(colour: str) -> Numbers:
    return linear((0.92, 0.92, 0.90) if colour in ("black", "blue", "purple", "red", "green") else (0.13, 0.13, 0.17))


_SHIRTS: dict[int, tuple[Numbers, Numbers]] = {}


def _shirt_mesh(figure: Figure) -> tuple[Numbers, Numbers]:
    """The shirt once subdivided: pairs of figure vertices whose middles are its vertices (n, 2), triangles (t, 3)."""
    key = id(figure)
    if key not in _SHIRTS:
        triangles = figure.groups["shirt"]
        numbers: dict[tuple[int, int], int] = {}

        def number(i: int, j: int) -> int:
            return numbers.setdefault((min(i, j), max(i, j)), len(numbers))

        fine = []
        for a, b, c in triangles.tolist():
            corner, middle = (number(a, a), number(b, b), number(c, c)), (number(a, b), number(b, c), number(c, a))
            fine += [
                [corner[0], middle[0], middle[2]],
                [corner[1], middle[1], middle[0]],
                [corner[2], middle[2], middle[1]],
                list(middle),
            ]
        _SHIRTS[key] = (np.array(list(numbers)), np.array(fine))
    return _SHIRTS[key]


def _add_shirt(parts: _Parts, figure: Figure, outfit: Outfit, rest: Numbers, reference: Numbers) -> None:
    pairs, triangles = _shirt_mesh(figure)
    vertices = rest[pairs].mean(axis=1)
    ref = reference[pairs].mean(axis=1)
    x, y, z = np.abs(ref[:, 0]), ref[:, 1], ref[:, 2]
    colour = linear(COLOURS[outfit.colour])
    paint = np.tile(np.append(colour, 0.03), (len(vertices), 1))
    hidden = np.zeros(len(vertices), bool)
    if outfit.kind == "jacket":
        opening = _opening(z)
        front = y < 0.10
        inner = front & (x < opening)
        paint[inner, :3] = _under_jacket(outfit.colour)
        lapel = front & ~inner & (x < opening + 0.030)
        paint[lapel, :3] = colour * 0.35 + 0.01
        vertices[~inner] += np.stack(
            [np.sign(ref[~inner, 0]) * 0.012, np.where(front[~inner], -0.012, 0.012), 0 * x[~inner]], 1
        )
        vertices[:, :2] *= 1 + 0.07 * _smooth(0.08, 0.2, x)[:, None]
        hidden = (z > -0.150) & (x < 0.09)
    elif outfit.kind == "T-shirt":
        collar = (x / 0.088) ** 2 + ((z + 0.155) / 0.072) ** 2
        hidden = ((collar < 1) & (y < 0.10)) | ((z > -0.155) & (x < 0.10)) | (x > 0.25)
        paint[(collar < 1.5) & (y < 0.10) & ~hidden, :3] = colour * 0.6
    kept = triangles[~hidden[triangles].any(axis=1)]
    parts.add(vertices, paint, figure.weights[pairs].mean(axis=1), kept)


_EYE_RINGS, _EYE_SECTORS = 9, 20


def _add_eye(parts: _Parts, eye: Numbers, person: Person, bone: int) -> None:
    """A finely ringed eyeball in the place of the mesh's coarse one, so that iris and pupil have clean edges."""
    middle = (eye.max(axis=0) + eye.min(axis=0)) / 2
    radius = (eye.max(axis=0) - eye.min(axis=0)).mean() / 2
    angles = np.radians([0.5, 14, 15.5, 25, 35, 37, 55, 90, 135])
    around = np.linspace(0, 2 * np.pi, _EYE_SECTORS, endpoint=False)
    rings = np.stack(
        [
            np.sin(angles)[:, None] * np.cos(around)[None],
            np.broadcast_to(-np.cos(angles)[:, None], (_EYE_RINGS, _EYE_SECTORS)),
            np.sin(angles)[:, None] * np.sin(around)[None],
        ],
        axis=-1,
    ).reshape(-1, 3)
    iris, white = linear(person.iris), linear((0.90, 0.89, 0.87))
    ring_colours = [np.full(3, 0.008)] * 2 + [iris, iris * 1.15, iris * 0.55] + [white] * 4
    colours = np.repeat(np.array(ring_colours), _EYE_SECTORS, axis=0)
    gloss = np.full((len(colours), 1), 0.5)
    parts.add(
        middle + radius * rings,
        np.concatenate([colours, gloss], axis=1),
        bone,
        _grid_triangles(_EYE_RINGS, _EYE_SECTORS, closed=True),
    )


@dataclass(frozen=True)
class _HeadProfile:
    """The head's outline: distance from its vertical axis by direction and height."""

    axis_y: float
    heights: Numbers
    directions: Numbers  # radians, 0 is the back, +-pi the face
    radius: Numbers  # (heights, directions)

    @classmethod
    def empty(cls) -> _HeadProfile:
        return cls(0.0, np.zeros(0), np.zeros(0), np.zeros((0, 0)))


def _head_profile(rest: Numbers, ref: Numbers, figure: Figure) -> _HeadProfile:
    on_head = (figure.weights[:, list(figure.bones).index("head")] > 0.5) & (ref[:, 2] > -0.09)
    body = figure.is_body
    points = rest[on_head & body]
    axis_y = float((points[:, 1].max() + points[:, 1].min()) / 2)
    flat = points[:, :2] - [0, axis_y]
    angle = np.arctan2(flat[:, 0], flat[:, 1])
    distance = np.linalg.norm(flat, axis=1)
    heights = np.linspace(points[:, 2].max() - 0.006, -0.09, 16)
    directions = np.linspace(-np.pi, np.pi, 37)
    radius = np.zeros((16, 37))
    for i, height in enumerate(heights):
        level = np.abs(points[:, 2] - height) < 0.012
        for j, direction in enumerate(directions):
            gap = np.abs((angle[level] - direction + np.pi) % (2 * np.pi) - np.pi)
            near = distance[level][gap < 0.30]
            radius[i, j] = near.max() if len(near) else 0.02
    return _HeadProfile(axis_y, heights, directions, radius)


def _outline(profile: _HeadProfile, height: float, direction: Numbers) -> Numbers:
    order = np.argsort(profile.heights)
    column = np.array(
        [np.interp(height, profile.heights[order], profile.radius[order, j]) for j in range(len(profile.directions))]
    )
    found: Numbers = np.interp(direction, profile.directions, column)
    return found


def _add_curtain(parts: _Parts, profile: _HeadProfile, look: Look, colour: Numbers, bone: int) -> None:
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
        grown = float(_smooth(top, top - 0.075, np.array([height]))[0])
        direction = np.linspace(-1, 1, sectors) * (0.55 + 0.45 * grown) * reach
        radius = _outline(profile, max(height, -0.085), direction) + (0.004 + thick * grown) * strands
        widest = np.maximum(widest * 0.985, radius)
        # Below the jaw hair keeps its width and only falls a little inwards.
        used = widest if height < 0.03 else radius
        wave = 0.004 * np.sin(height * 60 + direction * 3)
        vertices[i, :, 0] = (used + wave) * np.sin(direction)
        vertices[i, :, 1] = profile.axis_y + (used + wave) * np.cos(direction)
        vertices[i, :, 2] = height
    shade = np.ones((rows, sectors, 1)) * (1 + 0.22 * np.sin(np.arange(sectors) * 2.1)[None, :, None])
    colours = np.concatenate([colour[:3] * shade, np.full((rows, sectors, 1), 0.12)], axis=-1)
    parts.add(vertices.reshape(-1, 3), colours.reshape(-1, 4), bone, _grid_triangles(rows, sectors, closed=False))


def _add_glasses(parts: _Parts, eyes: list[Numbers], profile: _HeadProfile, kind: str, bone: int) -> None:
    colour = np.array([0.015, 0.015, 0.02, 0.3])
    turns = np.linspace(0, 2 * np.pi, 18, endpoint=False)
    middles = []
    for eye in eyes:
        middle = (eye.max(axis=0) + eye.min(axis=0)) / 2
        middle = np.array([middle[0] * 1.08, eye[:, 1].min() - 0.014, middle[2] - 0.001])
        middles.append(middle)
        c, s = np.cos(turns), np.sin(turns)
        if kind == "square":
            stretch = 1 / np.maximum(np.abs(c), np.abs(s))
            outline = np.stack([0.0245 * c * stretch, 0 * c, 0.017 * s * stretch], axis=1)
        else:
            outline = np.stack([0.0235 * c, 0 * c, 0.0215 * s], axis=1)
        vertices, triangles = _tube(middle + outline, 0.0028, closed=True)
        parts.add(vertices, colour, bone, triangles)
    left, right = middles
    half = np.array([0.022, 0, 0])
    bridge = np.linspace(left - half, right + half, 5) + np.array([[0, -0.002, 0.003]])
    parts.add(*_with_colour(_tube(bridge, 0.0022, closed=False), colour, bone))
    for middle in middles:
        side = np.sign(middle[0])
        width = float(_outline(profile, float(middle[2]), np.array([side * np.pi / 2]))[0])
        hinge = middle + np.array([side * 0.024, 0, 0.004])
        arm = np.linspace(hinge, [side * (width + 0.002), profile.axis_y, middle[2]], 8)
        parts.add(*_with_colour(_tube(arm, 0.0022, closed=False), colour, bone))


def _with_colour(tube: tuple[Numbers, Numbers], colour: Numbers, bone: int) -> tuple[Numbers, Numbers, int, Numbers]:
    return tube[0], colour, bone, tube[1]


def _add_cap(parts: _Parts, profile: _HeadProfile, colour_name: str, bone: int) -> None:
    colour = linear(COLOURS[colour_name])
    sectors, rows = 37, 9
    direction = np.linspace(-np.pi, np.pi, sectors)
    top = float(profile.heights[0]) + 0.010
    bottom = 0.046
    vertices = np.zeros((rows, sectors, 3))
    base = _outline(profile, bottom, direction) + 0.013
    for i in range(rows):
        part = i / (rows - 1)
        arc = np.sin(part * np.pi / 2)
        vertices[i, :, 0] = base * arc * np.sin(direction)
        vertices[i, :, 1] = profile.axis_y + base * arc * np.cos(direction)
        vertices[i, :, 2] = bottom + (top - bottom) * np.cos(part * np.pi / 2)
    parts.add(vertices.reshape(-1, 3), np.append(colour, 0.02), bone, _grid_triangles(rows, sectors, closed=False))
    brim_direction = np.pi + np.linspace(-0.95, 0.95, 15)
    inner = np.interp((brim_direction + np.pi) % (2 * np.pi) - np.pi, direction, base)
    reach = 0.075 * np.sqrt(np.clip(1 - (np.linspace(-1, 1, 15)) ** 2, 0.05, 1))
    rows_ = []
    for part in (0.0, 0.5, 1.0):
        radius = inner + part * reach
        rows_.append(
            np.stack(
                [
                    radius * np.sin(brim_direction),
                    profile.axis_y + radius * np.cos(brim_direction),
                    np.full(15, bottom + 0.006 - 0.026 * part**1.5),
                ],
                axis=1,
            )
        )
    brim = np.concatenate(rows_)
    parts.add(brim, np.append(colour * 0.75, 0.02), bone, _grid_triangles(3, 15, closed=False))
