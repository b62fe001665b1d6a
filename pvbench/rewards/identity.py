"""The identity consistency reward (ICR): how like the references a generated frame's face is, differentiably."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from pvbench.features.face import crop_faces, embed_faces
from pvbench.features.mini.face_networks import FaceDetector
from pvbench.pixels import photo_tensor
from pvbench.reward import IdentityReward, Jitter
from pvbench.rewards.photos import only_faces


@dataclass(frozen=True)
class Reference:
    """A person as the reward knows them: aligned crops of the reference photos."""

    crops: Float[Tensor, "photos 3 side side"]


class AlignedFaceReward(IdentityReward):
    """One minus the cosine of aligned crops, by a recogniser; subclasses find faces and embed crops.

    Source: PersonalVideo, eq. 2, read as 1 - cos (as printed it would minimise the similarity). Faces are cropped and
    aligned; references are colour-jittered.

    Attributes:
        device: where images and networks are.
    """

    device: torch.device

    @abstractmethod
    def landmarks(self, images: Float[Tensor, "n 3 H W"]) -> Float[Tensor, "n 5 2"]:
        """Five points (n, 5, 2) of each image's best face, x and y in pixels; NaN where there is none."""

    @abstractmethod
    def crop(self, images: Float[Tensor, "n 3 H W"], landmarks: Float[Tensor, "n 5 2"]) -> Float[Tensor, "n 3 s s"]:
        """Aligned crops (n, 3, s, s) of images (n, 3, H, W) in about [-1, 1], with gradient in the images."""

    @abstractmethod
    def embed(self, crops: Float[Tensor, "n 3 s s"]) -> Float[Tensor, "n D"]:
        """Unit embeddings (n, D) of crops in about [-1, 1], with gradient."""

    @torch.no_grad()
    def face_mask(self, images: Float[Tensor, "n 3 H W"], reach: float = 1.5) -> Float[Tensor, "n 1 H W"]:
        """How near each pixel is to the best face (n, 1, H, W): 1 at its middle, a Gaussian falling off around it.

        Args:
            images: (n, 3, H, W) in about [-1, 1].
            reach: the Gaussian's standard deviation in eye distances; all zero where no face is found.
        """
        n, _, height, width = images.shape
        y = torch.arange(height, device=images.device, dtype=torch.float32)[:, None] + 0.5
        x = torch.arange(width, device=images.device, dtype=torch.float32)[None] + 0.5
        mask = torch.zeros(n, 1, height, width, device=images.device)
        for i, points in enumerate(self.landmarks(images)):
            if not points.isnan().any():
                middle, eyes = points.mean(dim=0), (points[1] - points[0]).norm().clamp(min=4.0)
                mask[i, 0] = torch.exp(-((x - middle[0]) ** 2 + (y - middle[1]) ** 2) / (2 * (reach * eyes) ** 2))
        return mask

    def __call__(
        self, images: Float[Tensor, "n 3 H W"], reference: Reference, jitter: Jitter, generator: torch.Generator
    ) -> Float[Tensor, " m"] | None:
        """1 - cosine (m,) of the generated images that show a face to the references' mean; None where none does.

        Args:
            images: (n, 3, H, W) in about [-1, 1], with gradient.
            jitter: sizes of the random changes of both.
            generator: on the CPU.
        """
        points = self.landmarks(images.detach())
        have = (~points.isnan().any(dim=-1).any(dim=-1)).nonzero()[:, 0].tolist()
        if not have:
            return None
        moved = self._moved(points[have], jitter.crop, generator)
        crops = self._blurred(self.crop(images[have], moved), jitter.crop, generator)
        sizes = torch.tensor([jitter.reference, jitter.image]).reshape(2, 1, 1, 1)
        gain = (1 + sizes * (2 * torch.rand(2, 3, 1, 1, generator=generator) - 1)).to(self.device)
        offset = (0.5 * sizes * (2 * torch.rand(2, 3, 1, 1, generator=generator) - 1)).to(self.device)
        with torch.no_grad():
            # The network's average over jittered references is steadier than any one of them.
            wanted = self.embed(reference.crops * gain[:1] + offset[:1]).mean(dim=0)
            wanted = wanted / wanted.norm()
        found = self.embed(crops * gain[1:] + offset[1:])
        result: Tensor | None = 1 - found @ wanted
        return result

    def _moved(
        self, landmarks: Float[Tensor, "m 5 2"], jitter: float, generator: torch.Generator
    ) -> Float[Tensor, "m 5 2"]:
        """Landmarks (m, 5, 2) of a crop that is shifted and scaled a little at random."""
        m = len(landmarks)
        eyes = (landmarks[:, 1] - landmarks[:, 0]).norm(dim=-1)[:, None, None]
        shift = torch.randn(m, 1, 2, generator=generator).to(self.device) * 0.5 * jitter * eyes
        scale = 1 + 0.3 * jitter * torch.randn(m, 1, 1, generator=generator).to(self.device)
        middle = landmarks.mean(dim=1, keepdim=True)
        found: Tensor = middle + (landmarks - middle) * scale + shift
        return found

    def _blurred(
        self, crops: Float[Tensor, "m 3 side side"], jitter: float, generator: torch.Generator
    ) -> Float[Tensor, "m 3 side side"]:
        """The crops, blurred at random: what a likeness in the finest pixels earns is lost."""
        if jitter == 0:
            return crops
        share = torch.rand(len(crops), 1, 1, 1, generator=generator).to(self.device)
        soft = functional.avg_pool2d(functional.pad(crops, (1, 1, 1, 1), mode="replicate"), 3, 1)
        return crops + share * (soft - crops)


class FaceReward(AlignedFaceReward):
    """The miniature world's detector and reward recogniser, frozen.

    Args:
        threshold: the least score of a face in a generated frame; photos have the detector's own.
    """

    def __init__(
        self, detector: FaceDetector, recogniser: nn.Module, device: torch.device, threshold: float = 0.3
    ) -> None:
        self.detector, self.recogniser, self.device, self.threshold = detector, recogniser, device, threshold

    def reference(self, photos: Sequence[NDArray[np.uint8]], height: int, width: int) -> Reference:
        """Aligned crops of reference photos.

        Raises:
            FaceError: a photo shows no face, or more than one.
        """
        images = photo_tensor(photos, height, width, self.device)
        return Reference(crop_faces(images, only_faces(self.detector, images)))

    @torch.no_grad()
    def landmarks(self, images: Float[Tensor, "n 3 H W"]) -> Float[Tensor, "n 5 2"]:
        """Five points (n, 5, 2) of each image's best face, x and y in pixels; NaN where there is none."""
        found = torch.full((len(images), 5, 2), torch.nan, device=images.device)
        for i, faces in enumerate(self.detector.detect(images.clamp(-1, 1), self.threshold)):
            if len(faces.scores):
                found[i] = faces.landmarks[0]
        return found

    def crop(self, images: Float[Tensor, "n 3 H W"], landmarks: Float[Tensor, "n 5 2"]) -> Float[Tensor, "n 3 s s"]:
        """Aligned crops (n, 3, 32, 32)."""
        return crop_faces(images, landmarks)

    def embed(self, crops: Float[Tensor, "n 3 s s"]) -> Float[Tensor, "n D"]:
        """Unit embeddings (n, D), of each crop and its mirror image together."""
        return embed_faces(self.recogniser, crops)
