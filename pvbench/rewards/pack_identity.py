"""The identity reward by an InsightFace pack: SCRFD finds faces, its recogniser is computed with gradients."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from pvbench.features.face import TEMPLATE
from pvbench.features.published.insightface_faces import InsightFaces
from pvbench.pixels import to_tensor
from pvbench.rewards.identity import AlignedFaceReward, Reference
from pvbench.rewards.onnx_network import OnnxNetwork


class PackReward(AlignedFaceReward):
    """Detector and recogniser of a pack.

    Frames are detected as eight-bit pictures, without gradient; crops are aligned to ArcFace's template and embedded
    by torch. Places between pixels are exact, where the scoring side rounds them to 32nds as OpenCV does, so that
    cosines differ by thousandths.

    Args:
        faces: the pack; its detector is used, and of its recogniser how it scales its input.
        network: the pack's recogniser.
    """

    def __init__(self, faces: InsightFaces, network: OnnxNetwork, device: torch.device) -> None:
        self.faces, self.network, self.device = faces, network.to(device), device
        self.mean, self.deviation = float(faces.recogniser.input_mean), float(faces.recogniser.input_std)

    def reference(self, photos: Sequence[NDArray[np.uint8]], height: int, width: int) -> Reference:
        """Aligned crops of the photos, each at its own size.

        Raises:
            FaceError: a photo shows no face, or more than one.
        """
        found = self.faces.reference([np.ascontiguousarray(photo) for photo in photos])
        crops = [
            self.crop(to_tensor(photo[None], self.device), torch.from_numpy(points[None]).to(self.device))
            for photo, points in zip(photos, found.landmarks, strict=True)
        ]
        return Reference(torch.cat(crops))

    @torch.no_grad()
    def landmarks(self, images: Float[Tensor, "n 3 H W"]) -> Float[Tensor, "n 5 2"]:
        """Five points (n, 5, 2) of each image's largest face, x and y in pixels; NaN where there is none."""
        levels = ((images.detach().float().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
        frames = levels.permute(0, 2, 3, 1).cpu().numpy()
        found = [self.faces.find(frame) for frame in frames]
        return torch.from_numpy(np.stack(found)).to(images.device)

    def crop(self, images: Float[Tensor, "n 3 H W"], landmarks: Float[Tensor, "n 5 2"]) -> Float[Tensor, "n 3 s s"]:
        """Aligned crops (n, 3, s, s) as the recogniser takes them: bilinear, black outside of the picture."""
        side, (height, width) = self.network.side, images.shape[-2:]
        axis = torch.arange(side, device=images.device, dtype=torch.float32)
        y, x = torch.meshgrid(axis, axis, indexing="ij")
        flat = torch.stack([x, y], dim=-1).reshape(-1, 2)
        linear, shift = _to_template(landmarks.detach().float(), side)
        # Landmarks and template are of pixels' middles, as OpenCV counts them; torch counts from their edges.
        places = (flat - shift) @ linear.inverse().transpose(1, 2) + 0.5
        grid = (places / torch.tensor([width / 2, height / 2], device=images.device) - 1).view(-1, side, side, 2)
        return functional.grid_sample(images.float() + 1, grid, mode="bilinear", align_corners=False) - 1

    def embed(self, crops: Float[Tensor, "n 3 s s"]) -> Float[Tensor, "n D"]:
        """Unit embeddings (n, D), of each crop alone, as the scoring side has them."""
        scaled = ((crops + 1) * 127.5 - self.mean) / self.deviation
        return functional.normalize(self.network(scaled), dim=-1)


def _to_template(landmarks: Float[Tensor, "n 5 2"], side: int) -> tuple[Float[Tensor, "n 2 2"], Float[Tensor, "n 1 2"]]:
    """Turning and scaling (n, 2, 2) and shift (n, 1, 2) from the picture to the crop.

    Least squares in the crop, as recognisers are trained and scored with. `pvbench.features.face.similarity` has them
    in the picture, which is another scale where landmarks do not fit the template.

    Source: InsightFace's `estimate_norm`, scikit-image's similarity transform (Umeyama 1991).
    """
    target = torch.tensor(TEMPLATE, device=landmarks.device, dtype=landmarks.dtype) * (side / 112)
    middle = landmarks.mean(dim=1, keepdim=True)
    p, q = landmarks - middle, target - target.mean(dim=0)
    power = p.square().sum(dim=(1, 2))
    a = (p * q).sum(dim=(1, 2)) / power
    b = (p[..., 0] * q[:, 1] - p[..., 1] * q[:, 0]).sum(dim=1) / power
    linear = torch.stack([torch.stack([a, -b], dim=-1), torch.stack([b, a], dim=-1)], dim=1)
    return linear, target.mean(dim=0) - middle @ linear.transpose(1, 2)
