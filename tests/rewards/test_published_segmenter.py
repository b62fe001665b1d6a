"""torchvision's DeepLabV3 as a segmenter: torchvision's own preparation and classes, and files that are another's."""

import dataclasses

import pytest
import torch

from pvbench.errors import MethodError, ProfileError, WeightsError
from pvbench.profile import load_profile
from pvbench.reward import load_segmenter, reward_signature
from pvbench.rewards import published_segmenter
from pvbench.torchvision_shim import load_torchvision

CPU = torch.device("cpu")


def profile_with(file):
    profile = load_profile("animatediff")
    return dataclasses.replace(profile, rewards={**profile.rewards, "segmenter_file": file})


@pytest.fixture(scope="module")
def published():
    """torchvision's network with random weights, whose class scores are far apart."""
    load_torchvision()
    from torchvision.models.segmentation import deeplabv3_resnet50

    torch.manual_seed(0)
    network = deeplabv3_resnet50(weights=None, weights_backbone=None, num_classes=21, aux_loss=True).eval()
    network.classifier[-1].weight.data.mul_(50)
    return network.requires_grad_(False)


@pytest.fixture(scope="module")
def file(published, tmp_path_factory):
    path = tmp_path_factory.mktemp("deeplab") / "deeplab.pth"
    torch.save(published.state_dict(), path)
    return str(path)


def test_pixels_are_people_as_torchvision_has_it(published, file, monkeypatch):
    """On smaller pictures than it is made for, of which each would take seconds."""
    from torchvision.models.segmentation import DeepLabV3_ResNet50_Weights

    weights = DeepLabV3_ResNet50_Weights.COCO_WITH_VOC_LABELS_V1
    pictures = torch.rand(2, 3, 48, 60, generator=torch.Generator().manual_seed(0))
    prepared = weights.transforms(resize_size=96)
    assert weights.transforms().resize_size == [published_segmenter._SHORT_SIDE]
    monkeypatch.setattr(published_segmenter, "_SHORT_SIDE", 96)
    logits = published(prepared(pictures))["out"]
    expected = logits.softmax(1)[:, [weights.meta["categories"].index("person")]]
    expected = torch.nn.functional.interpolate(expected, (48, 60), mode="bilinear", align_corners=False)
    found = load_segmenter(profile_with(file), "cpu").person(2 * pictures - 1)
    assert found.shape == (2, 1, 48, 60)
    assert expected.std() > 0.01
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)


def test_it_knows_no_heads(file):
    with pytest.raises(MethodError, match="tells people from the rest, not heads from bodies; use face_vcd=off"):
        load_segmenter(profile_with(file), "cpu").head(torch.zeros(1, 3, 8, 8))


def test_its_signature_is_the_files_digest(file):
    signed = reward_signature(profile_with(file), "segmenter")
    assert len(str(signed["sha256"])) == 64


def test_another_networks_file_is_refused(published, tmp_path):
    state = published.state_dict()
    del state["classifier.4.bias"]
    state["backbone.conv1.weight"] = torch.zeros(8, 3, 7, 7)
    torch.save(state, tmp_path / "other.pth")
    with pytest.raises(
        WeightsError, match=r"is not torchvision's deeplabv3_resnet50_coco-cd0a2569\.pth: it differs in backbone\.conv1"
    ):
        load_segmenter(profile_with(str(tmp_path / "other.pth")), "cpu")


@pytest.mark.parametrize(
    ("given", "kind", "message"),
    [
        (
            "deeplabv3-resnet50",
            WeightsError,
            r"deeplabv3-resnet50 \(segmenter\) is not there.*168 MB.*rewards\.segmenter",
        ),
        ("no.pth", WeightsError, r"there is no file no\.pth; set segmenter_file to the checkpoint's path"),
        (3, ProfileError, "segmenter_file is 3; expected the path of torchvision's DeepLabV3"),
    ],
)
def test_what_is_missing_is_told(given, kind, message, tmp_path, monkeypatch):
    monkeypatch.setenv("PVBENCH_WEIGHTS", str(tmp_path))
    with pytest.raises(kind, match=message):
        reward_signature(profile_with(given), "segmenter")
