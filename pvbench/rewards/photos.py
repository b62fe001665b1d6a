"""Reference photos: where each one's only face is."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from pvbench.errors import FaceError
from pvbench.features.mini.face_networks import FaceDetector


def only_faces(detector: FaceDetector, images: Float[Tensor, "n 3 H W"]) -> Float[Tensor, "n 5 2"]:
    """Five landmarks (n, 5, 2), x and y in pixels, of the one face in each image (n, 3, H, W) in [-1, 1].

    Raises:
        FaceError: an image shows no face, or more than one.
    """
    landmarks = []
    for i, found in enumerate(detector.detect(images)):
        if len(found.scores) != 1:
            what = f"{len(found.scores)} faces" if len(found.scores) else "no face"
            raise FaceError(
                f"reference photo {i + 1} of {len(images)} shows {what}; expected exactly one: replace the photo"
            )
        landmarks.append(found.landmarks[0])
    return torch.stack(landmarks)
