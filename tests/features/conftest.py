"""Small networks of random weights, in the places of the trained ones."""

import json

import pytest
import torch

from pvbench.features.face import TEMPLATE
from pvbench.features.mini.face_networks import FaceDetector, PlainRecogniser
from pvbench.torchvision_shim import load_torchvision

SIDE = 64


class ByBrightness(FaceDetector):
    """Finds no face in a black picture, one in a grey one and two in a white one."""

    def __init__(self):
        super().__init__(4)

    def forward(self, images):
        n, light = len(images), images.mean(dim=(1, 2, 3))
        logits = torch.full((n, 16, 16), -9.0)
        points = torch.zeros(n, 16, 16, 5, 2)
        face = torch.tensor(TEMPLATE) * (16 / 112)
        points[:, 8, 4], points[:, 8, 12] = face + torch.tensor([8.0, 24.0]), face + torch.tensor([40.0, 24.0])
        logits[:, 8, 4] = torch.where(light > -0.9, 9.0, -9.0)
        logits[:, 8, 12] = torch.where(light > 0.9, 8.0, -9.0)
        return logits, points


@pytest.fixture(scope="session")
def face():
    """A face extractor over `ByBrightness`."""
    from pvbench.features.mini.face_extractor import FaceExtractor

    torch.manual_seed(0)
    return FaceExtractor(ByBrightness(), PlainRecogniser().eval().requires_grad_(False), torch.device("cpu"))


@pytest.fixture(scope="session")
def clip():
    """A CLIP of random weights whose tokens are letters."""
    load_torchvision()
    import open_clip

    from pvbench.features.mini.clip_networks import ClipModel

    torch.manual_seed(0)
    vision = {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 8}
    text = {"context_length": 12, "vocab_size": 130, "width": 32, "heads": 2, "layers": 1}
    model = open_clip.CLIP(24, vision, text, output_dict=True).eval().requires_grad_(False)

    class Letters:
        def __call__(self, texts, **_):
            rows = [[*(ord(letter) % 128 for letter in text[:11]), 129] for text in texts]
            self.input_ids = torch.tensor([row + [0] * (12 - len(row)) for row in rows])
            return self

    return ClipModel(model, Letters(), 12, torch.device("cpu"))


@pytest.fixture(scope="session")
def open_clip(tmp_path_factory):
    """open_clip, with two tiny models among its own: pvbench-tiny and pvbench-tiny-quickgelu."""
    load_torchvision()
    import open_clip
    from open_clip import factory

    folder = tmp_path_factory.mktemp("configs")
    vision = {"image_size": 64, "layers": 1, "width": 64, "head_width": 32, "patch_size": 16}
    text = {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 1, "layers": 1}
    config = {"embed_dim": 24, "vision_cfg": vision, "text_cfg": text}
    (folder / "pvbench-tiny.json").write_text(json.dumps(config))
    (folder / "pvbench-tiny-quickgelu.json").write_text(json.dumps(config | {"quick_gelu": True}))
    open_clip.add_model_config(folder)
    yield open_clip
    factory._MODEL_CONFIG_PATHS.remove(folder)
    factory._rescan_model_configs()


@pytest.fixture(scope="session")
def tiny_clip(open_clip, tmp_path_factory):
    """The loader's own class over pvbench-tiny with random weights."""
    from pvbench.features.published.open_clip_model import load_open_clip

    path = tmp_path_factory.mktemp("clip") / "clip.pt"
    torch.manual_seed(0)
    torch.save(open_clip.create_model("pvbench-tiny").state_dict(), path)
    return load_open_clip("pvbench-tiny", path)
