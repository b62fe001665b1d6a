"""A small triangle rasteriser in warp: visibility, one shadow map and shading, on the CPU or CUDA.

A 64x64 frame asks for 37 000 samples of 27 000 tiny triangles, where walking the triangles, shading included, costs a
third of casting rays against a hierarchy that must be built for every pose (measured in `benchmarks/test_raster.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import warp as wp

# Kernels are warp's own language in Python's syntax: annotations are its types, `float(x)` declares a variable.
# mypy: disable-error-code="no-untyped-def, operator"
# ruff: noqa: UP018, SIM102

wp.config.quiet = True


@wp.kernel
def _project(
    vertices: wp.array(dtype=wp.vec3),  # type: ignore[valid-type]
    eye: wp.vec3,
    right: wp.vec3,
    up: wp.vec3,
    forward: wp.vec3,
    scale: wp.vec2,
    centre: wp.vec2,
    perspective: float,
    screen: wp.array(dtype=wp.vec3),  # type: ignore[valid-type]
):
    i = wp.tid()
    p = vertices[i] - eye
    depth = wp.dot(p, forward)
    w = float(1.0)
    if perspective > 0.5:
        w = wp.max(depth, 1.0e-3)
    screen[i] = wp.vec3(centre[0] + scale[0] * wp.dot(p, right) / w, centre[1] - scale[1] * wp.dot(p, up) / w, depth)


@wp.func
def _edge(a: wp.vec3, b: wp.vec3, x: float, y: float) -> float:
    return (b[0] - a[0]) * (y - a[1]) - (b[1] - a[1]) * (x - a[0])  # type: ignore[no-any-return]


@wp.kernel
def _depth_pass(
    screen: wp.array(dtype=wp.vec3),  # type: ignore[valid-type]
    triangles: wp.array(dtype=wp.int32),  # type: ignore[valid-type]
    width: int,
    height: int,
    depth: wp.array(dtype=float),  # type: ignore[valid-type]
):
    t = wp.tid()
    a = screen[triangles[3 * t]]
    b = screen[triangles[3 * t + 1]]
    c = screen[triangles[3 * t + 2]]
    area = _edge(a, b, c[0], c[1])
    if wp.abs(area) < 1.0e-9 or wp.min(a[2], wp.min(b[2], c[2])) < 0.05:
        return
    x0 = wp.max(int(wp.ceil(wp.min(a[0], wp.min(b[0], c[0])) - 0.5)), 0)
    x1 = wp.min(int(wp.floor(wp.max(a[0], wp.max(b[0], c[0])) - 0.5)), width - 1)
    y0 = wp.max(int(wp.ceil(wp.min(a[1], wp.min(b[1], c[1])) - 0.5)), 0)
    y1 = wp.min(int(wp.floor(wp.max(a[1], wp.max(b[1], c[1])) - 0.5)), height - 1)
    for y in range(y0, y1 + 1):
        for x in range(x0, x1 + 1):
            px = float(x) + 0.5
            py = float(y) + 0.5
            wa = _edge(b, c, px, py) / area
            wb = _edge(c, a, px, py) / area
            wc = 1.0 - wa - wb
            if wa >= 0.0 and wb >= 0.0 and wc >= 0.0:
                wp.atomic_min(depth, y * width + x, wa * a[2] + wb * b[2] + wc * c[2])


@wp.kernel
def _index_pass(
    screen: wp.array(dtype=wp.vec3),  # type: ignore[valid-type]
    triangles: wp.array(dtype=wp.int32),  # type: ignore[valid-type]
    width: int,
    height: int,
    depth: wp.array(dtype=float),  # type: ignore[valid-type]
    index: wp.array(dtype=wp.int32),  # type: ignore[valid-type]
):
    t = wp.tid()
    a = screen[triangles[3 * t]]
    b = screen[triangles[3 * t + 1]]
    c = screen[triangles[3 * t + 2]]
    area = _edge(a, b, c[0], c[1])
    if wp.abs(area) < 1.0e-9 or wp.min(a[2], wp.min(b[2], c[2])) < 0.05:
        return
    x0 = wp.max(int(wp.ceil(wp.min(a[0], wp.min(b[0], c[0])) - 0.5)), 0)
    x1 = wp.min(int(wp.floor(wp.max(a[0], wp.max(b[0], c[0])) - 0.5)), width - 1)
    y0 = wp.max(int(wp.ceil(wp.min(a[1], wp.min(b[1], c[1])) - 0.5)), 0)
    y1 = wp.min(int(wp.floor(wp.max(a[1], wp.max(b[1], c[1])) - 0.5)), height - 1)
    for y in range(y0, y1 + 1):
        for x in range(x0, x1 + 1):
            px = float(x) + 0.5
            py = float(y) + 0.5
            wa = _edge(b, c, px, py) / area
            wb = _edge(c, a, px, py) / area
            wc = 1.0 - wa - wb
            if wa >= 0.0 and wb >= 0.0 and wc >= 0.0:
                if wa * a[2] + wb * b[2] + wc * c[2] <= depth[y * width + x]:
                    # The larger number wins a tie, so that CUDA's order of threads cannot show.
                    wp.atomic_max(index, y * width + x, t)


@wp.kernel
def _face_normals(
    vertices: wp.array(dtype=wp.vec3),  # type: ignore[valid-type]
    triangles: wp.array(dtype=wp.int32),  # type: ignore[valid-type]
    normals: wp.array(dtype=wp.vec3),  # type: ignore[valid-type]
):
    t = wp.tid()
    i = triangles[3 * t]
    j = triangles[3 * t + 1]
    k = triangles[3 * t + 2]
    n = wp.cross(vertices[j] - vertices[i], vertices[k] - vertices[i])
    wp.atomic_add(normals, i, n)
    wp.atomic_add(normals, j, n)
    wp.atomic_add(normals, k, n)


@wp.kernel
def _shade(
    screen: wp.array(dtype=wp.vec3),  # type: ignore[valid-type]
    vertices: wp.array(dtype=wp.vec3),  # type: ignore[valid-type]
    normals: wp.array(dtype=wp.vec3),  # type: ignore[valid-type]
    colours: wp.array(dtype=wp.vec4),  # type: ignore[valid-type]
    triangles: wp.array(dtype=wp.int32),  # type: ignore[valid-type]
    index: wp.array(dtype=wp.int32),  # type: ignore[valid-type]
    width: int,
    eye: wp.vec3,
    light: wp.vec3,
    key: wp.vec3,
    sky: wp.vec3,
    ground: wp.vec3,
    rim: wp.vec3,
    light_screen: wp.array(dtype=wp.vec3),  # type: ignore[valid-type]
    light_depth: wp.array(dtype=float),  # type: ignore[valid-type]
    light_size: int,
    out: wp.array(dtype=wp.vec4),  # type: ignore[valid-type]
):
    pixel = wp.tid()
    t = index[pixel]
    if t < 0:
        out[pixel] = wp.vec4(0.0, 0.0, 0.0, 0.0)
        return
    i = triangles[3 * t]
    j = triangles[3 * t + 1]
    k = triangles[3 * t + 2]
    a = screen[i]
    b = screen[j]
    c = screen[k]
    px = float(pixel % width) + 0.5
    py = float(pixel / width) + 0.5
    area = _edge(a, b, c[0], c[1])
    wa = _edge(b, c, px, py) / area
    wb = _edge(c, a, px, py) / area
    wc = 1.0 - wa - wb
    p = vertices[i] * wa + vertices[j] * wb + vertices[k] * wc
    n = wp.normalize(normals[i] * wa + normals[j] * wb + normals[k] * wc)
    view = wp.normalize(eye - p)
    if wp.dot(n, view) < 0.0:
        n = -n
    material = colours[i] * wa + colours[j] * wb + colours[k] * wc
    base = wp.vec3(material[0], material[1], material[2])
    s = light_screen[i] * wa + light_screen[j] * wb + light_screen[k] * wc
    lit = float(0.0)
    for dy in range(2):
        for dx in range(2):
            x = wp.clamp(int(wp.floor(s[0] - 0.5)) + dx, 0, light_size - 1)
            y = wp.clamp(int(wp.floor(s[1] - 0.5)) + dy, 0, light_size - 1)
            if s[2] - 0.012 <= light_depth[y * light_size + x]:
                lit += 0.25
    slope = wp.dot(n, light)
    diffuse = wp.max((slope + 0.15) / 1.15, 0.0) * (0.15 + 0.85 * lit)
    sideways = 0.5 + 0.5 * n[2]
    ambient = sky * sideways + ground * (1.0 - sideways)
    half = wp.normalize(light + view)
    gloss = wp.pow(wp.max(wp.dot(n, half), 0.0), 24.0) * material[3] * lit
    edge = wp.pow(1.0 - wp.max(wp.dot(n, view), 0.0), 3.0)
    shaded = wp.cw_mul(base, key * diffuse + ambient) + key * gloss + rim * edge
    out[pixel] = wp.vec4(shaded[0], shaded[1], shaded[2], 1.0)


@dataclass(frozen=True)
class Camera:
    """A pinhole camera: `eye` and `target` in metres (z up, the figure faces -y), vertical field of view in degrees."""

    eye: tuple[float, float, float]
    target: tuple[float, float, float]
    fov: float
    roll: float = 0.0

    def axes(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Unit vectors right, up and forward, each of shape (3,)."""
        forward = np.asarray(self.target, float) - np.asarray(self.eye, float)
        forward /= np.linalg.norm(forward)
        right = np.cross(forward, [0.0, 0.0, 1.0])
        right /= np.linalg.norm(right)
        up = np.cross(right, forward)
        angle = np.radians(self.roll)
        return np.cos(angle) * right + np.sin(angle) * up, np.cos(angle) * up - np.sin(angle) * right, forward

    def project(self, points: np.ndarray, height: int, width: int) -> np.ndarray:
        """Pixel coordinates x, y and depth in metres of `points` (n, 3), as an array (n, 3)."""
        right, up, forward = self.axes()
        offset = np.asarray(points, float) - np.asarray(self.eye, float)
        depth = offset @ forward
        scale = height / 2 / np.tan(np.radians(self.fov) / 2)
        return np.stack(
            [width / 2 + scale * (offset @ right) / depth, height / 2 - scale * (offset @ up) / depth, depth], axis=1
        )


@dataclass(frozen=True)
class Light:
    """One directional key light with a sky/ground ambient and a rim, colours in linear RGB."""

    direction: tuple[float, float, float]
    key: tuple[float, float, float]
    sky: tuple[float, float, float]
    ground: tuple[float, float, float]
    rim: tuple[float, float, float] = (0.0, 0.0, 0.0)


_SHADOW_SIZE = 160
_SHADOW_SPAN = 1.0  # metres across the shadow map, centred on the head


@dataclass(frozen=True)
class _Mesh:
    """A mesh in the device's memory."""

    points: Any
    corners: Any
    paint: Any
    vertices: int
    triangles: int

    @classmethod
    def of(cls, vertices: np.ndarray, triangles: np.ndarray, colours: np.ndarray) -> _Mesh:
        return cls(
            wp.array(np.ascontiguousarray(vertices, np.float32), dtype=wp.vec3),
            wp.array(np.ascontiguousarray(triangles, np.int32).reshape(-1), dtype=wp.int32),
            wp.array(np.ascontiguousarray(colours, np.float32), dtype=wp.vec4),
            len(vertices),
            len(triangles),
        )

    def normals(self) -> Any:
        normals = wp.zeros(self.vertices, dtype=wp.vec3)
        wp.launch(_face_normals, dim=self.triangles, inputs=[self.points, self.corners], outputs=[normals])
        return normals

    def visible(self, projection: list[Any], wide: int, high: int) -> tuple[Any, Any]:
        """Vertices on a screen, and the depth of what is nearest in each of its pixels."""
        screen = wp.empty(self.vertices, dtype=wp.vec3)
        wp.launch(_project, dim=self.vertices, inputs=[self.points, *projection], outputs=[screen])
        depth = wp.full(wide * high, 1.0e9, dtype=float)
        wp.launch(_depth_pass, dim=self.triangles, inputs=[screen, self.corners, wide, high], outputs=[depth])
        return screen, depth

    def nearest(self, screen: Any, depth: Any, wide: int, high: int) -> Any:
        """The triangle that each pixel shows; -1 where there is none."""
        index = wp.full(wide * high, -1, dtype=wp.int32)
        wp.launch(_index_pass, dim=self.triangles, inputs=[screen, self.corners, wide, high, depth], outputs=[index])
        return index


def _projection(camera: Camera, scale: float, wide: int, high: int, *, perspective: bool) -> list[Any]:
    """What `_project` takes after the vertices; `scale` is pixels a metre, at a depth of one metre in perspective."""
    return [
        wp.vec3(*camera.eye),
        *(wp.vec3(*axis) for axis in camera.axes()),
        wp.vec2(scale, scale),
        wp.vec2(wide / 2, high / 2),
        1.0 if perspective else 0.0,
    ]


def _towards(light: Light) -> np.ndarray:
    """Unit vector to the light."""
    towards = np.asarray(light.direction, float)
    towards /= np.linalg.norm(towards)
    return towards


def _shadow_map(mesh: _Mesh, target: tuple[float, float, float], towards: np.ndarray) -> tuple[Any, Any]:
    """Vertices on the light's screen, and the depth to which it reaches."""
    sun = Camera(tuple(np.asarray(target) + 3 * towards), target, 1.0)
    projection = _projection(sun, _SHADOW_SIZE / _SHADOW_SPAN, _SHADOW_SIZE, _SHADOW_SIZE, perspective=False)
    return mesh.visible(projection, _SHADOW_SIZE, _SHADOW_SIZE)


def draw(
    vertices: np.ndarray,
    triangles: np.ndarray,
    colours: np.ndarray,
    camera: Camera,
    light: Light,
    height: int,
    width: int,
    supersample: int = 2,
    device: str = "cpu",
    marked: np.ndarray | None = None,
    far: float | None = None,
) -> np.ndarray:
    """Premultiplied linear RGB and coverage of the mesh, float32 (height, width, 4).

    With `marked`, a further channel has the share of each pixel's samples that show a marked triangle, and with `far`
    a last one the mean depth of its samples.

    Args:
        vertices: (v, 3) metres.
        triangles: (t, 3) vertex numbers.
        colours: (v, 4) linear RGB and gloss of every vertex.
        supersample: samples a pixel along each axis.
        marked: (t,) which triangles to tell from the others.
        far: the depth, in metres, of samples that show nothing.
    """
    wp.init()
    h, w = height * supersample, width * supersample
    with wp.ScopedDevice(device):
        mesh = _Mesh.of(vertices, triangles, colours)
        normals = mesh.normals()
        scale = h / 2 / np.tan(np.radians(camera.fov) / 2)
        screen, depth = mesh.visible(_projection(camera, scale, w, h, perspective=True), w, h)
        index = mesh.nearest(screen, depth, w, h)
        towards = _towards(light)
        light_screen, light_depth = _shadow_map(mesh, camera.target, towards)
        out = wp.empty(w * h, dtype=wp.vec4)
        wp.launch(
            _shade,
            dim=w * h,
            inputs=[
                screen,
                mesh.points,
                normals,
                mesh.paint,
                mesh.corners,
                index,
                w,
                wp.vec3(*camera.eye),
                wp.vec3(*towards),
                wp.vec3(*light.key),
                wp.vec3(*light.sky),
                wp.vec3(*light.ground),
                wp.vec3(*light.rim),
                light_screen,
                light_depth,
                _SHADOW_SIZE,
            ],
            outputs=[out],
        )
        samples = out.numpy().reshape(height, supersample, width, supersample, 4)
        if marked is not None:
            # The last flag is that of -1: where no triangle is.
            shown = np.append(marked, False)[index.numpy()].reshape(*samples.shape[:-1], 1)
            samples = np.concatenate([samples, shown.astype(np.float32)], axis=-1)
        if far is not None:
            metres = np.minimum(depth.numpy(), np.float32(far)).reshape(*samples.shape[:-1], 1)
            samples = np.concatenate([samples, metres], axis=-1)
    found: np.ndarray = samples.mean(axis=(1, 3), dtype=np.float32)
    return found
