"""Why the renderer walks triangles: one 64x64 frame of 9 samples a pixel, against rays cast at the same mesh."""

import numpy as np
import pytest

wp = pytest.importorskip("warp", reason='needs pip install "pvbench[world]"')

SIDE, SUPERSAMPLE = 64, 3


@wp.kernel
def _cast(scene: wp.uint64, eye: wp.vec3, rays: wp.array(dtype=wp.vec3), sun: wp.vec3, lit: wp.array(dtype=float)):
    i = wp.tid()
    hit = wp.mesh_query_ray(scene, eye, rays[i], 10.0)
    if hit.result:
        shadow = wp.mesh_query_ray(scene, eye + rays[i] * hit.t + sun * 0.004, sun, 2.0)
        lit[i] = 1.0
        if shadow.result:
            lit[i] = 0.5


@pytest.fixture(scope="module")
def mesh():
    """Vertices, triangles, colours and camera of a person."""
    pytest.importorskip("anny", reason='needs pip install "pvbench[world]"')
    from pvbench.world.action import Pose
    from pvbench.world.benchmark import benchmark_person
    from pvbench.world.body import Outfit, build
    from pvbench.world.figure import load_figure
    from pvbench.world.raster import Camera

    figure = load_figure()
    body = build(figure, benchmark_person(figure, "ada"), Outfit("T-shirt", "blue"))
    vertices, _ = body.posed(Pose(yaw=10.0))
    return vertices, body.triangles, body.colours, Camera((0.0, -1.5, -0.02), (0.0, 0.0, -0.05), 15.8)


def test_walking_triangles(benchmark, mesh):
    """Visibility, shadow and shading."""
    from pvbench.world.raster import Light, draw

    vertices, triangles, colours, camera = mesh
    light = Light((0.25, -1.0, 0.55), (0.6, 0.6, 0.6), (0.5, 0.5, 0.5), (0.4, 0.4, 0.4))
    benchmark(draw, vertices, triangles, colours, camera, light, SIDE, SIDE, SUPERSAMPLE)


def test_building_a_hierarchy(benchmark, mesh):
    """What rays need for every new pose before the first is cast."""
    points = wp.array(mesh[0], dtype=wp.vec3, device="cpu")
    corners = wp.array(mesh[1].reshape(-1), dtype=wp.int32, device="cpu")
    benchmark(wp.Mesh, points, corners)


def test_casting_rays(benchmark, mesh):
    """Visibility and shadow, no shading."""
    vertices, triangles, _, camera = mesh
    scene = wp.Mesh(
        wp.array(vertices, dtype=wp.vec3, device="cpu"), wp.array(triangles.reshape(-1), dtype=wp.int32, device="cpu")
    )
    count = SIDE * SUPERSAMPLE
    right, up, forward = camera.axes()
    scale = count / 2 / np.tan(np.radians(camera.fov) / 2)
    y, x = (np.mgrid[:count, :count] + 0.5 - count / 2) / scale
    rays = forward + x[..., None] * right - y[..., None] * up
    rays = wp.array((rays / np.linalg.norm(rays, axis=-1, keepdims=True)).reshape(-1, 3), dtype=wp.vec3, device="cpu")
    found = wp.zeros(count * count, dtype=float, device="cpu")
    sun = np.array([0.25, -1.0, 0.55])
    sun = wp.vec3(*(sun / np.linalg.norm(sun)))
    eye = wp.vec3(*camera.eye)
    inputs = [scene.id, eye, rays, sun]
    benchmark(wp.launch, _cast, dim=count * count, inputs=inputs, outputs=[found], device="cpu")
