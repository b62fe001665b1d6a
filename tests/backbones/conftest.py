"""Tiny random backbones out of diffusers' own classes, loaded from folders in the published layouts."""

import pytest
import torch
from tiny_adapters import write_adapters
from tiny_models import (
    write_cogvideox,
    write_hunyuan,
    write_motion_adapter,
    write_stable_diffusion,
    write_toml,
    write_wan,
    write_wan_vace,
)


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory):
    """A folder of tiny random checkpoints in the published layouts, each by its family's name."""
    folder = tmp_path_factory.mktemp("checkpoints")
    write_stable_diffusion(folder / "sd")
    write_motion_adapter(folder / "motion")
    write_hunyuan(folder / "hunyuan")
    write_wan(folder / "wan")
    write_wan_vace(folder / "vace")
    write_cogvideox(folder / "cogvideox")
    write_cogvideox(folder / "consisid", face=True)
    write_adapters(folder / "adapters")
    return folder


def animatediff_toml(path, checkpoints, sampling=(), **lines):
    """The profile of a tiny AnimateDiff: four frames of 64 pixels."""
    backbone = {
        "base": str(checkpoints / "sd"),
        "motion": str(checkpoints / "motion"),
        "precision": "float32",
        "checkpointing": False,
    }
    size = {"steps": 4, "frames": 4, "height": 64, "width": 64}
    return write_toml(
        path,
        extends="animatediff",
        backbone={**backbone, **lines},
        sampling={**size, **dict(sampling)},
    )


@pytest.fixture(scope="session")
def tiny_animatediff(checkpoints):
    """Stable Diffusion 1.5 and a motion adapter, tiny and random, loaded out of their folders."""
    from pvbench.backbone import load_backbone
    from pvbench.profile import load_profile

    torch.set_num_threads(1)
    return load_backbone(load_profile(str(animatediff_toml(checkpoints / "tiny-animatediff.toml", checkpoints))), "cpu")


@pytest.fixture
def animatediff(checkpoints, tmp_path):
    """Makes the profile of a tiny AnimateDiff; `lines` are of its [backbone], `sampling` of that table."""
    from pvbench.profile import load_profile

    def make(sampling=(), **lines):
        return load_profile(str(animatediff_toml(tmp_path / "tiny.toml", checkpoints, sampling, **lines)))

    return make


def hunyuan_toml(path, checkpoints, sampling=(), **lines):
    """The profile of a tiny HunyuanVideo: 29 frames of 32 pixels, three temporal tiles of its autoencoder."""
    backbone = {"base": str(checkpoints / "hunyuan"), "precision": "float32", "checkpointing": False}
    size = {"steps": 4, "frames": 29, "height": 32, "width": 32, "fps": 8.0}
    return write_toml(path, extends="hunyuan", backbone={**backbone, **lines}, sampling={**size, **dict(sampling)})


@pytest.fixture(scope="session")
def tiny_hunyuan(checkpoints):
    """HunyuanVideo, tiny and random, loaded out of its folder."""
    from pvbench.backbone import load_backbone
    from pvbench.profile import load_profile

    torch.set_num_threads(1)
    return load_backbone(load_profile(str(hunyuan_toml(checkpoints / "tiny-hunyuan.toml", checkpoints))), "cpu")


@pytest.fixture
def hunyuan(checkpoints, tmp_path):
    """Makes the profile of a tiny HunyuanVideo; `lines` are of its [backbone], `sampling` of that table."""
    from pvbench.profile import load_profile

    def make(sampling=(), **lines):
        return load_profile(str(hunyuan_toml(tmp_path / "tiny.toml", checkpoints, sampling, **lines)))

    return make


def wan_toml(path, checkpoints, sampling=(), **lines):
    """The profile of a tiny Wan: nine frames of 32 pixels, three latents."""
    backbone = {"base": str(checkpoints / "wan"), "precision": "float32", "checkpointing": False}
    size = {"steps": 4, "frames": 9, "height": 32, "width": 32, "fps": 8.0}
    return write_toml(path, extends="wan", backbone={**backbone, **lines}, sampling={**size, **dict(sampling)})


@pytest.fixture(scope="session")
def tiny_wan(checkpoints):
    """Wan 2.1, tiny and random, loaded out of its folder."""
    from pvbench.backbone import load_backbone
    from pvbench.profile import load_profile

    torch.set_num_threads(1)
    return load_backbone(load_profile(str(wan_toml(checkpoints / "tiny-wan.toml", checkpoints))), "cpu")


@pytest.fixture(scope="session")
def tiny_vace(checkpoints):
    """VACE of Wan 2.1, tiny and random, loaded out of its folder."""
    from pvbench.backbone import load_backbone
    from pvbench.profile import load_profile

    torch.set_num_threads(1)
    lines = {"kind": "wan_vace", "base": str(checkpoints / "vace")}
    return load_backbone(load_profile(str(wan_toml(checkpoints / "tiny-vace.toml", checkpoints, **lines))), "cpu")


@pytest.fixture
def wan(checkpoints, tmp_path):
    """Makes the profile of a tiny Wan; `lines` are of its [backbone], `sampling` of that table."""
    from pvbench.profile import load_profile

    def make(sampling=(), **lines):
        return load_profile(str(wan_toml(tmp_path / "tiny.toml", checkpoints, sampling, **lines)))

    return make


def cogvideox_toml(path, checkpoints, sampling=(), kind="cogvideox", **lines):
    """The profile of a tiny CogVideoX or ConsisID: seventeen frames of 32 pixels, five latents in two pieces."""
    backbone = {"base": str(checkpoints / kind), "precision": "float32", "checkpointing": False}
    size = {"steps": 4, "frames": 17, "height": 32, "width": 32, "fps": 8.0}
    return write_toml(path, extends=kind, backbone={**backbone, **lines}, sampling={**size, **dict(sampling)})


@pytest.fixture(scope="session")
def tiny_cogvideox(checkpoints):
    """CogVideoX, tiny and random, loaded out of its folder."""
    from pvbench.backbone import load_backbone
    from pvbench.profile import load_profile

    torch.set_num_threads(1)
    return load_backbone(load_profile(str(cogvideox_toml(checkpoints / "tiny-cogvideox.toml", checkpoints))), "cpu")


@pytest.fixture(scope="session")
def tiny_consisid(checkpoints):
    """ConsisID, tiny and random, loaded out of its folder."""
    from pvbench.backbone import load_backbone
    from pvbench.profile import load_profile

    torch.set_num_threads(1)
    path = cogvideox_toml(checkpoints / "tiny-consisid.toml", checkpoints, kind="consisid")
    return load_backbone(load_profile(str(path)), "cpu")


@pytest.fixture
def cogvideox(checkpoints, tmp_path):
    """Makes the profile of a tiny CogVideoX or ConsisID (`kind`); `lines` are of its [backbone]."""
    from pvbench.profile import load_profile

    def make(sampling=(), **lines):
        return load_profile(str(cogvideox_toml(tmp_path / "tiny.toml", checkpoints, sampling, **lines)))

    return make


@pytest.fixture
def no_network(monkeypatch):
    """Any attempt to reach another machine is an error."""
    import socket

    def refuse(*address):
        raise AssertionError(f"a connection to {address[1:]} was tried")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
