"""BiSeNet, which says what each pixel of an aligned face shows; it reads the published checkpoint's own names."""

from __future__ import annotations

# ruff: noqa: E402  the shim comes before anything that imports torchvision
from pvbench.torchvision_shim import load_torchvision

load_torchvision()

from pathlib import Path

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models import resnet18

from pvbench.errors import WeightsError
from pvbench.weights.checkpoint import read_checkpoint

CLASSES = 19
BACKGROUND = (0, 7, 8, 9, 14, 15, 16, 18)
"""Classes that ConsisID paints white: background, ears and what hangs there, neck and what it wears, clothes, hat."""
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class _Block(nn.Module):
    """Convolution, normalisation, rectifier."""

    def __init__(self, given: int, made: int, size: int = 3) -> None:
        super().__init__()
        self.conv = nn.Conv2d(given, made, size, padding=size // 2, bias=False)
        self.bn = nn.BatchNorm2d(made)

    def forward(self, x: Float[Tensor, "n a H W"]) -> Float[Tensor, "n b h w"]:
        found: Tensor = self.bn(self.conv(x))
        return found.relu()


class _Refined(nn.Module):
    """Channels weighed by what they hold in the whole picture."""

    def __init__(self, given: int, made: int) -> None:
        super().__init__()
        self.conv = _Block(given, made)
        self.conv_atten = nn.Conv2d(made, made, 1, bias=False)
        self.bn_atten = nn.BatchNorm2d(made)

    def forward(self, x: Float[Tensor, "n a H W"]) -> Float[Tensor, "n b h w"]:
        found: Tensor = self.conv(x)
        weight = self.bn_atten(self.conv_atten(found.mean(dim=(2, 3), keepdim=True))).sigmoid()
        refined: Tensor = found * weight
        return refined


class _Context(nn.Module):
    """ResNet-18 and, from its deepest levels upwards, what the whole picture says."""

    def __init__(self) -> None:
        super().__init__()
        self.resnet = resnet18(weights=None)
        del self.resnet.fc
        self.arm16, self.arm32 = _Refined(256, 128), _Refined(512, 128)
        self.conv_head32, self.conv_head16 = _Block(128, 128), _Block(128, 128)
        self.conv_avg = _Block(512, 128, 1)

    def forward(self, x: Float[Tensor, "n 3 H W"]) -> tuple[Float[Tensor, "n d h w"], Float[Tensor, "n d h w"]]:
        net = self.resnet
        x = net.maxpool(net.relu(net.bn1(net.conv1(x))))
        eighth = net.layer2(net.layer1(x))
        sixteenth = net.layer3(eighth)
        deepest = net.layer4(sixteenth)
        whole = self.conv_avg(deepest.mean(dim=(2, 3), keepdim=True))
        x = self.arm32(deepest) + whole
        x = self.conv_head32(functional.interpolate(x, size=sixteenth.shape[2:], mode="nearest"))
        x = self.arm16(sixteenth) + x
        return eighth, self.conv_head16(functional.interpolate(x, size=eighth.shape[2:], mode="nearest"))


class _Fused(nn.Module):
    """Fine and coarse features together, channels weighed once more."""

    def __init__(self, given: int, made: int) -> None:
        super().__init__()
        self.convblk = _Block(given, made, 1)
        self.conv1 = nn.Conv2d(made, made // 4, 1, bias=False)
        self.conv2 = nn.Conv2d(made // 4, made, 1, bias=False)

    def forward(self, fine: Float[Tensor, "n a h w"], coarse: Float[Tensor, "n b h w"]) -> Float[Tensor, "n c h w"]:
        found: Tensor = self.convblk(torch.cat([fine, coarse], dim=1))
        weight = self.conv2(functional.relu(self.conv1(found.mean(dim=(2, 3), keepdim=True)))).sigmoid()
        fused: Tensor = found * weight + found
        return fused


class _Output(nn.Module):
    def __init__(self, given: int, between: int) -> None:
        super().__init__()
        self.conv = _Block(given, between)
        self.conv_out = nn.Conv2d(between, CLASSES, 1, bias=False)

    def forward(self, x: Float[Tensor, "n a H W"]) -> Float[Tensor, "n b h w"]:
        found: Tensor = self.conv_out(self.conv(x))
        return found


class FaceParser(nn.Module):
    """BiSeNet without a spatial path, of the nineteen classes of CelebAMask-HQ.

    Source: Yu et al., "BiSeNet", 2018, as facexlib loads it (`parsing_bisenet.pth`). Its two outputs that helped its
    training are left out.
    """

    def __init__(self) -> None:
        super().__init__()
        self.cp, self.ffm, self.conv_out = _Context(), _Fused(256, 256), _Output(256, 256)

    def forward(self, images: Float[Tensor, "n 3 H W"]) -> Float[Tensor, "n 19 H W"]:
        """Scores (n, 19, H, W) of each class, of images (n, 3, H, W) in [0, 1]; sides are multiples of 32."""
        mean, deviation = (torch.tensor(values, device=images.device).view(3, 1, 1) for values in (_MEAN, _DEVIATION))
        fine, coarse = self.cp((images - mean) / deviation)
        scores = self.conv_out(self.ffm(fine, coarse))
        return functional.interpolate(scores, size=images.shape[2:], mode="bilinear", align_corners=True)

    def background(self, images: Float[Tensor, "n 3 H W"]) -> Bool[Tensor, "n 1 H W"]:
        """Which pixels (n, 1, H, W) show neither face nor hair."""
        label = self(images).argmax(dim=1, keepdim=True)
        return torch.isin(label, torch.tensor(BACKGROUND, device=label.device))


def load_parser(path: Path, device: torch.device) -> FaceParser:
    """The parser by its published checkpoint.

    Raises:
        WeightsError: the file is missing or damaged, holds code, or is another network's.
    """
    state = read_checkpoint(path, "parsing_bisenet.pth of facexlib")
    unused = ("conv_out16.", "conv_out32.")
    network = FaceParser()
    try:
        network.load_state_dict({key: value for key, value in state.items() if not key.startswith(unused)})
    except RuntimeError as error:
        raise WeightsError(f"{path} is not the face parser that ConsisID takes: {str(error)[:300]}") from error
    network.requires_grad_(False).eval().to(device)
    return network
