"""Photos and videos of a person, rendered from what a prompt asks for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pvbench.world.action import motion
from pvbench.world.body import Body, Outfit, build
from pvbench.world.canvas import CANVAS
from pvbench.world.figure import Figure
from pvbench.world.person import Person
from pvbench.world.raster import Camera, Light, draw
from pvbench.world.scene import Scene, paint_scene
from pvbench.world.shot import Shot as Shot
from pvbench.world.style import DRAWN, FINE, FLAT, layers_of, reduced
from pvbench.world.vocabulary import STYLES

Array = NDArray[Any]

DOMAINS = ("photo", "video", *STYLES)
_DISTANCE = 1.5  # metres from camera to face at nearness 1
_FIELD_OF_VIEW = 13.8
_EVEN_LIGHT = Light((0.25, -1.0, 0.55), (0.62, 0.61, 0.59), (0.50, 0.51, 0.53), (0.38, 0.37, 0.36))


@dataclass(frozen=True)
class Rendering:
    """One photo or video.

    Attributes:
        frames: uint8 (T, H, W, 3).
        landmarks: (T, 5, 2) pixels: eyes, nose tip, mouth corners, the viewer's left first.
        yaw: (T,) degrees, positive to the viewer's right.
        person, head: (T, H, W) share of each pixel that shows the person, and the person's head with hair and cap.
    """

    frames: NDArray[np.uint8]
    landmarks: NDArray[np.float32]
    yaw: NDArray[np.float32]
    person: NDArray[np.float32]
    head: NDArray[np.float32]


def _blend_light(a: Light, b: Light, part: float) -> Light:
    def mix(x: tuple[float, float, float], y: tuple[float, float, float]) -> tuple[float, float, float]:
        r, g, b_ = ((1 - part) * p + part * q for p, q in zip(x, y, strict=True))
        return r, g, b_

    return Light(*(mix(getattr(a, f), getattr(b, f)) for f in ("direction", "key", "sky", "ground", "rim")))


def _vary_light(light: Light, rng: np.random.Generator) -> Light:
    turn = rng.normal() * 0.45
    x, y, z = light.direction
    direction = (x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn), z * rng.uniform(0.8, 1.3))
    power, fill = rng.uniform(0.85, 1.15), rng.uniform(0.85, 1.15)

    def scaled(colour: tuple[float, float, float], by: float) -> tuple[float, float, float]:
        return colour[0] * by, colour[1] * by, colour[2] * by

    if direction[1] > -0.3:  # a key light from behind would hide the face
        direction = (direction[0], -0.3, direction[2])
    return replace(light, direction=direction, key=scaled(light.key, power), sky=scaled(light.sky, fill))


@dataclass(frozen=True)
class _Take:
    """What is drawn once for a photo or video: its light, its framing and the look of its film."""

    light: Light
    zoom: float
    dx: float
    dz: float
    drift: Array
    eye_x: float
    eye_z: float
    tint: Array
    contrast: float

    @classmethod
    def drawn(cls, light: Light, domain: str, rng: np.random.Generator) -> _Take:
        """One by chance: free for a video; even light and steady framing for a photo."""
        if domain != "photo":
            light = _vary_light(light, rng)
            zoom, dx, dz = rng.uniform(0.90, 1.10), rng.normal() * 0.012, rng.normal() * 0.008
            drift = rng.normal(size=2) * 0.006
            eye_x, eye_z = rng.normal() * 0.10, rng.normal() * 0.06
        else:
            light = _blend_light(_EVEN_LIGHT, _vary_light(light, rng), 0.22)
            zoom, dx, dz = rng.uniform(0.97, 1.03), rng.normal() * 0.004, rng.normal() * 0.004
            drift = np.zeros(2)
            eye_x, eye_z = rng.normal() * 0.03, rng.normal() * 0.02
        tint = 1 + rng.normal(size=3) * 0.035
        return cls(light, zoom, dx, dz, drift, eye_x, eye_z, tint, rng.uniform(0.92, 1.0))

    def camera(self, pan: Array, nearness: float) -> Camera:
        """Where the camera stands in a frame."""
        middle = np.array([self.dx + pan[0], 0.0, -0.042 + self.dz + pan[1]])
        return Camera(
            (self.eye_x + middle[0], -_DISTANCE / self.zoom / nearness, middle[2] + 0.03 + self.eye_z),
            (float(middle[0]), 0.0, float(middle[2])),
            _FIELD_OF_VIEW,
        )


def _ground(backdrop: Image.Image, pan: Array, take: _Take, size: int) -> NDArray[np.float32]:
    """The part of the backdrop that the camera sees, (size, size, 3) in [0, 255]."""
    margin = CANVAS * 0.11
    shift = np.array([pan[0] + take.eye_x * 0.12, -(pan[1] + take.eye_z * 0.12)]) * CANVAS * 0.8
    box = (margin + shift[0], margin + shift[1], CANVAS - margin + shift[0], CANVAS - margin + shift[1])
    kernel = Image.Resampling.BOX if size < 120 else Image.Resampling.BICUBIC
    return np.asarray(backdrop.resize((size, size), kernel, box), np.float32)


def _over(
    layer: NDArray[np.floating], backdrop: Image.Image, pan: Array, take: _Take, size: int
) -> NDArray[np.floating]:
    """The person in front of the part of the backdrop that the camera sees."""
    ground = _ground(backdrop, pan, take, size)
    alpha = layer[..., 3:4]
    straight = np.clip(layer[..., :3] / np.where(alpha > 0, alpha, 1), 0, 1) ** (1 / 2.2)
    found: NDArray[np.floating] = straight * alpha + ground / 255 * (1 - alpha)
    return found


def _film(rgb: NDArray[np.floating], take: _Take) -> NDArray[np.floating]:
    """The look of a video: graded colours, lifted blacks, a darker rim."""
    yy, xx = np.mgrid[-1 : 1 : len(rgb) * 1j, -1 : 1 : len(rgb) * 1j]
    vignette = (1 - 0.22 * np.clip((xx**2 + yy**2) / 2, 0, 1) ** 1.2)[..., None].astype(np.float32)
    grey = rgb.mean(axis=-1, keepdims=True)
    graded = (grey + (rgb - grey) * 0.92) * take.tint
    found: NDArray[np.floating] = 0.015 + (0.5 + (graded - 0.5) * take.contrast) * vignette * 0.98
    return found


def _in_style(
    style: str,
    vertices: Array,
    body: Body,
    camera: Camera,
    take: _Take,
    backdrop: Image.Image,
    pan: Array,
    size: int,
    device: str,
) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """A frame in a style, and its layer as `draw` makes it: the coverage by the person and by the head."""
    fine = size * FINE

    def drawn(light: Light) -> NDArray[np.float32]:
        return draw(
            vertices, body.triangles, body.colours, camera, light, fine, fine, 1, device, body.head, far=_DISTANCE + 1
        )

    lit = drawn(take.light)
    rgb = DRAWN[style](layers_of(lit, drawn(FLAT), _ground(backdrop, pan, take, fine) / np.float32(255)))
    return reduced(rgb), reduced(lit)


def render(
    figure: Figure,
    person: Person,
    shot: Shot,
    rng: np.random.Generator,
    *,
    domain: str = "video",
    frames: int = 8,
    fps: float = 8.0,
    size: int = 64,
    supersample: int = 3,
    device: str = "cpu",
    body: Body | None = None,
    scene: Scene | None = None,
    single: bool = False,
    last: bool = False,
) -> Rendering:
    """One photo (a single frame out of the action) or video.

    Args:
        rng: draws the scene's details, the motion, light, framing and the video's look.
        domain: `photo` (even light, steady framing, no grading), `video`, or a style of `STYLES`, which moves and is
            lit and framed as a video, without grading.
        body: the dressed person, when the caller has it already.
        scene: the painted scene, when the caller has it already.
        single: a single frame out of the action, in every domain; in a style it is lit and framed as a photo.
        last: draws the last frame alone, which is the same as that of the whole video.
    """
    if domain not in DOMAINS:
        raise ValueError(f"domain is {domain!r}; expected {', '.join(DOMAINS[:-1])} or {DOMAINS[-1]}")
    body = body or build(figure, person, Outfit(shot.clothes, shot.colour, shot.cap))
    scene = scene or paint_scene(shot.scene, rng)
    poses = motion(shot.action, shot.expression, frames, fps, rng)
    if single or domain == "photo":
        poses = [poses[int(rng.integers(frames))]]
    take = _Take.drawn(scene.light, "photo" if single and domain in STYLES else domain, rng)
    backdrop = Image.fromarray((scene.backdrop * 255).astype(np.uint8))
    out, marks, persons, heads = [], [], [], []
    drawn = list(enumerate(poses))[-1:] if last else list(enumerate(poses))
    for i, pose in drawn:
        pan = take.drift * (i / max(len(poses) - 1, 1) - 0.5) * 2
        camera = take.camera(pan, pose.nearness)
        vertices, points = body.posed(pose)
        if domain in STYLES:
            rgb, layer = _in_style(domain, vertices, body, camera, take, backdrop, pan, size, device)
        else:
            layer = draw(
                vertices, body.triangles, body.colours, camera, take.light, size, size, supersample, device, body.head
            )
            rgb = _over(layer, backdrop, pan, take, size)
        if domain == "video":
            rgb = _film(rgb, take)
        out.append((np.clip(rgb, 0, 1) * 255 + 0.5).astype(np.uint8))
        marks.append(camera.project(points, size, size)[:, :2])
        persons.append(layer[..., 3])
        heads.append(layer[..., 4])
    return Rendering(
        np.stack(out),
        np.stack(marks).astype(np.float32),
        np.array([pose.yaw for _, pose in drawn], np.float32),
        np.stack(persons),
        np.stack(heads),
    )
