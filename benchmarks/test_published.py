"""Published networks on a CPU in the forms that pvbench measures with, beside torch's own; random weights."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

CPU = torch.device("cpu")
FORMS = ("torch", "pvbench")


@pytest.fixture(scope="module")
def frames():
    """Sixteen frames of blocks that move."""
    still = np.random.default_rng(0).integers(0, 256, (48, 56, 3), dtype=np.uint8).repeat(4, 0).repeat(4, 1)
    return np.stack([still[2 * i : 2 * i + 128, 3 * i : 3 * i + 160] for i in range(16)])


def timed(benchmark, group: str, step: Callable[[], object]) -> None:
    torch.set_num_threads(1)
    benchmark.group = group
    with torch.no_grad():
        benchmark.pedantic(step, rounds=3, warmup_rounds=1)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("size", ["small", "large"])
def test_flow_of_eight_pairs(benchmark, frames, size, form):
    """torch's: both frames of each pair encoded, all flows enlarged."""
    from pvbench.features.published.raft import UPDATES, Raft
    from pvbench.torchvision_shim import load_torchvision

    network = getattr(load_torchvision().models.optical_flow, f"raft_{size}")(weights=None).eval()
    images = torch.from_numpy(frames[:9].copy()).permute(0, 3, 1, 2) / 127.5 - 1
    raft = Raft(network, CPU)
    timed(
        benchmark,
        f"RAFT-{size}",
        (lambda: network(images[:-1], images[1:], num_flow_updates=UPDATES))
        if form == "torch"
        else lambda: raft(frames[:9]),
    )


@pytest.mark.parametrize("form", FORMS)
def test_embedding_of_a_video(benchmark, frames, form):
    from pvbench.features.published.i3d import I3D, embed
    from pvbench.features.published.i3d_cpu import I3DOnCpu

    network = I3D().eval().requires_grad_(False)
    chosen = network if form == "torch" else I3DOnCpu(network)
    timed(benchmark, "I3D", lambda: embed(chosen, frames, "styleganv"))


@pytest.mark.parametrize("form", FORMS)
def test_embeddings_of_pictures(benchmark, frames, form):
    from pvbench.features.published.open_clip_model import OpenClip
    from pvbench.torchvision_shim import load_open_clip_package

    open_clip = load_open_clip_package()
    network = open_clip.create_model("ViT-B-32-quickgelu", pretrained=None)
    clip = OpenClip(network, open_clip.get_tokenizer("ViT-B-32-quickgelu"), CPU)
    if form == "pvbench":
        clip.pack()
    else:
        for module in network.modules():
            vars(module).pop("forward", None)
    timed(benchmark, "CLIP ViT-B/32", lambda: clip.frames(frames))
