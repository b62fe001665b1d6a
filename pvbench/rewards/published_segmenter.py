"""torchvision's DeepLabV3 as a segmenter of people."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from pvbench.errors import MethodError, WeightsError
from pvbench.reward import PersonSegmenter
from pvbench.torchvision_shim import load_torchvision
from pvbench.weights.blank import Blank
from pvbench.weights.checkpoint import read_checkpoint

FILE = "deeplabv3_resnet50_coco-cd0a2569.pth"
_SHORT_SIDE = 520
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of the pictures that it was trained on."""


def load_deeplab(path: Path, device: torch.device) -> DeepLab:
    """The network with the weights of a file.

    Raises:
        WeightsError: the file is missing, damaged, would run code, or is another network's.
    """
    load_torchvision()
    from torchvision.models.segmentation import DeepLabV3_ResNet50_Weights, deeplabv3_resnet50

    categories = DeepLabV3_ResNet50_Weights.COCO_WITH_VOC_LABELS_V1.meta["categories"]
    state = read_checkpoint(path, f"torchvision's {FILE}")
    with Blank():
        network = deeplabv3_resnet50(weights=None, weights_backbone=None, num_classes=len(categories), aux_loss=True)
    own = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    found = {name: tuple(value.shape) for name, value in state.items()}
    if found != own:
        differing = sorted(name for name in own.keys() | found.keys() if own.get(name) != found.get(name))
        raise WeightsError(f"{path} is not torchvision's {FILE}: it differs in {', '.join(differing[:3])}")
    network.load_state_dict(state)
    return DeepLab(network, categories.index("person"), device)


class DeepLab(PersonSegmenter):
    """DeepLabV3 with a ResNet-50, trained on COCO with the classes of Pascal VOC; frozen.

    It takes the place of LangSAM, which Magic-Me asks for a "person", and whose networks no installation here shares.

    Source: torchvision, `DeepLabV3_ResNet50_Weights.COCO_WITH_VOC_LABELS_V1` and its transforms.
    """

    def __init__(self, network: Any, person: int, device: torch.device) -> None:
        self.network, self._person, self.device = network.requires_grad_(False).eval().to(device), person, device

    @torch.no_grad()
    def person(self, images: Float[Tensor, "n 3 H W"]) -> Float[Tensor, "n 1 H W"]:
        """How likely each pixel shows a person (n, 1, H, W)."""
        height, width = images.shape[-2:]
        scale = _SHORT_SIDE / min(height, width)
        size = [_SHORT_SIDE if side == min(height, width) else int(scale * side) for side in (height, width)]
        mean, deviation = (torch.tensor(values, device=self.device).view(3, 1, 1) for values in (_MEAN, _DEVIATION))
        pixels = images.clamp(-1, 1).to(self.device) / 2 + 0.5
        seen = functional.interpolate(pixels, size=size, mode="bilinear", align_corners=False, antialias=True)
        # One by one: memory that does not grow with the number of photos.
        shares = [self.network((one[None] - mean) / deviation)["out"].softmax(dim=1)[:, [self._person]] for one in seen]
        return functional.interpolate(torch.cat(shares), size=(height, width), mode="bilinear", align_corners=False)

    def head(self, images: Float[Tensor, "n 3 H W"]) -> Float[Tensor, "n 1 H W"]:
        """Its classes hold no heads.

        Raises:
            MethodError: always.
        """
        raise MethodError("the segmenter deeplab tells people from the rest, not heads from bodies; use face_vcd=off")
