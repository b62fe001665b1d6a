"""Every method keeps its contract on every family that serves it, loaded from tiny random folders."""

import pytest
import torch
from tiny_models import write_toml

from pvbench.backbone import load_backbone
from pvbench.method import METHODS
from pvbench.profile import load_profile
from pvbench.testing import MethodContract

TUNED = {
    "base": {},
    "dreambooth_lora": {"steps": 2, "token_steps": 1, "references": 1, "batch": 1},
    "personalvideo": {"steps": 2, "token_steps": 1, "references": 1, "prefixes": 1, "rank": 2},
}
# Transformers take no learned words.
RARE = {name: settings | {"token": "rare"} if settings else {} for name, settings in TUNED.items()}
ON_PICTURES = {
    "magicme": {"steps": 2, "references": 1, "batch": 1},
    "personalvideo_plus": {
        "steps": 1, "warm_steps": 1, "token_steps": 1, "references": 1, "prefixes": 1, "rank": 2, "icr_frames": 2,
        "scr_frames": 2, "photo_steps": 1, "photo_teacher": "on", "centre": "on",
    },
}  # fmt: skip
PLUS_ON_TRANSFORMERS = {
    "personalvideo_plus": {
        "steps": 1, "warm_steps": 1, "references": 1, "prefixes": 1, "rank": 2, "icr_frames": 2, "scr_frames": 2,
        "token": "rare", "photo_steps": 1, "photo_teacher": "on", "centre": "on",
    },
}  # fmt: skip
PHOTOS_AS_PROMPTS = {"id_animator": {}, "ip_adapter_face": {}}
SIZE = {"steps": 4, "frames": 5, "height": 64, "width": 64, "fps": 8.0}
FAMILIES = {
    "animatediff": (("base", "motion"), SIZE | {"frames": 4}, TUNED | ON_PICTURES | PHOTOS_AS_PROMPTS),
    "hunyuan": (("base",), SIZE, RARE | PLUS_ON_TRANSFORMERS),
    "wan": (("base",), SIZE, RARE),
    "cogvideox": (("base",), SIZE | {"frames": 9}, RARE),
    "consisid": (("base",), SIZE | {"frames": 9}, {"base": {}, "consisid": {}}),
    "wan-vace": (("base",), SIZE, {"wan_vace": {}}),
}
FOLDERS = {"animatediff": {"base": "sd", "motion": "motion"}, "wan-vace": {"base": "vace"}}


def on_photos(checkpoints):
    """Lines of `[rewards]` for random adapters that take photos as prompts."""
    files = checkpoints / "adapters"
    return {
        "image_prompt": "tiny_adapters:TinyAnimatorLoader",
        "ip_adapter": "tiny_adapters:TinyIpAdapterLoader",
        "animator": str(files / "animator.ckpt"),
        "ip_adapter_file": str(files / "ip.safetensors"),
        "image_encoder": str(files / "image_encoder"),
    }


class OnTinyFolders(MethodContract):
    """Backbone and rewards are random or miniature; what a method learns does not matter here, what it keeps does."""

    family = ""

    @pytest.fixture(scope="class")
    @classmethod
    def profile(cls, checkpoints, tmp_path_factory):
        lines, sampling, _ = FAMILIES[cls.family]
        folders = FOLDERS.get(cls.family, {"base": cls.family})
        rewards = {"identity": "mini_identity", "semantic": "mini_semantic", "segmenter": "mini_segmenter"}
        if cls.family == "consisid":
            rewards["face_control"] = "example_control:MeanColourLoader"
        if cls.family == "animatediff":
            rewards |= on_photos(checkpoints)
        path = write_toml(
            tmp_path_factory.mktemp(cls.family) / "tiny.toml",
            extends=cls.family,
            backbone={**{line: str(checkpoints / folders[line]) for line in lines}, "precision": "float32"},
            sampling=sampling,
            rewards={**rewards, "weights": "mini"},
            prompts={"evaluation": "mini_evaluation", "simulated": "mini_simulated"},
        )
        return load_profile(str(path))

    @pytest.fixture(scope="class")
    @classmethod
    def backbone(cls, profile):
        torch.set_num_threads(1)
        return load_backbone(profile, "cpu")


def _contract(family, method, settings):
    name = f"Test{family.title().replace('-', '')}{method.title().replace('_', '')}"
    return name, type(name, (OnTinyFolders,), {"family": family, "method": METHODS.get(method), "settings": settings})


globals().update(
    _contract(family, method, settings)
    for family, (_, _, methods) in FAMILIES.items()
    for method, settings in methods.items()
)
