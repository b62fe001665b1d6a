"""What ConsisID reads of a photo, by its published face networks: antelopev2, a face parser and EVA-CLIP."""

from __future__ import annotations

# ruff: noqa: E402  the shim comes before anything that imports torchvision
from pvbench.torchvision_shim import load_torchvision

load_torchvision()

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import timm
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from PIL import Image
from timm.models.eva import checkpoint_filter_fn
from torch import Tensor
from torch.nn import functional

from pvbench.errors import FaceError, WeightsError
from pvbench.features.published.insightface_faces import InsightFaces
from pvbench.reward import FaceControl, FaceSeen
from pvbench.rewards.face_parser import FaceParser, load_parser
from pvbench.rewards.published_files import EVA, PACK, PARSER
from pvbench.weights.checkpoint import read_checkpoint

_EVA_NAME = "eva02_large_patch14_clip_336"
DEPTHS = (3, 7, 11, 15, 19)
"""Blocks of EVA-CLIP whose output is read."""
_SIDE = 512
_TEMPLATE = (
    (192.98138, 239.94708),
    (318.90277, 240.1936),
    (256.63416, 314.01935),
    (201.26117, 371.41043),
    (313.08905, 371.15118),
)
"""facexlib's place of five landmarks in an aligned face of 512 pixels."""
_BORDER = (132, 133, 135)
_LONGEST = 1024
_MEAN, _DEVIATION = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
_GREY = (0.299, 0.587, 0.114)


class ConsisIdFaces(FaceControl):
    """Detector and recogniser of a pack, parser and image encoder, frozen. The model has its control already.

    Source: ConsisID@60429e4 models/utils.py, as diffusers' `consisid_utils` has it. The face is found and aligned by
    the pack's landmarks, where the published code aligns by those of a second detector, RetinaFace, of the face nearest
    to the middle; and a photo must show exactly one face. Photos above 1024 pixels are made smaller by Pillow.

    Args:
        eva: timm's network; its blocks' outputs are read.
        depths: which of them.
    """

    def __init__(
        self,
        faces: InsightFaces,
        parser: FaceParser,
        eva: Any,
        device: torch.device,
        depths: tuple[int, ...] = DEPTHS,
    ) -> None:
        self.faces, self.parser, self.eva, self.device, self.depths = faces, parser, eva, device, depths
        self.tensors, self.lora = {}, {}

    @torch.no_grad()
    def see(self, photo: NDArray[np.uint8], height: int, width: int) -> FaceSeen:
        """The head on white (1, 3, height, width), its shape not kept, as published; the vector and the states.

        Raises:
            FaceError: the photo shows no face, or more than one; or nothing of it is face or hair.
        """
        photo = _no_longer(photo)
        points = self.faces.reference([photo]).landmarks[0]
        head = torch.from_numpy(aligned(photo, points)).permute(2, 0, 1)[None].to(self.device) / 255
        background = self.parser.background(head)
        if bool(background.all()):
            raise FaceError("reference photo 1 shows nothing that the face parser takes for face or hair: replace it")
        white = torch.ones_like(head)
        shares = torch.tensor(_GREY, device=self.device).view(3, 1, 1)
        grey = (head * shares).sum(dim=1, keepdim=True).expand(-1, 3, -1, -1)
        described, states = self._looked_at(torch.where(background, white, grey))
        whose = torch.from_numpy(self.faces.feature(photo, points)).to(self.device)[None]
        picture = _stretched(torch.where(background, white, head), height, width)
        return FaceSeen(picture, torch.cat([whose, described], dim=-1), states)

    def _looked_at(
        self, head: Float[Tensor, "1 3 H W"]
    ) -> tuple[Float[Tensor, "1 d"], tuple[Float[Tensor, "1 length width"], ...]]:
        """EVA-CLIP's vector of length 1 and its blocks' outputs, class token first."""
        side = self.eva.patch_embed.img_size[0]
        mean, deviation = (torch.tensor(values, device=self.device).view(3, 1, 1) for values in (_MEAN, _DEVIATION))
        small = functional.interpolate(head, size=(side, side), mode="bicubic", antialias=True)
        last, outputs = self.eva.forward_intermediates(
            (small - mean) / deviation, indices=list(self.depths), norm=False, output_fmt="NLC",
            return_prefix_tokens=True,
        )  # fmt: skip
        states = tuple(torch.cat([prefix, places], dim=1) for places, prefix in outputs)
        return functional.normalize(self.eva.forward_head(last), dim=-1), states


def _stretched(picture: Float[Tensor, "1 3 H W"], height: int, width: int) -> Float[Tensor, "1 3 {height} {width}"]:
    """A picture in [0, 1] as a frame in [-1, 1], by way of whole numbers and Pillow, as the published code does it."""
    whole = (picture[0].permute(1, 2, 0).cpu().numpy() * 255).astype(np.uint8)
    resized = np.array(Image.fromarray(whole).resize((width, height), Image.Resampling.LANCZOS))
    return torch.from_numpy(resized).permute(2, 0, 1)[None].to(picture.device) / 127.5 - 1


def aligned(photo: NDArray[np.uint8], points: NDArray[np.float32]) -> NDArray[np.uint8]:
    """The face in a square of 512 pixels, its landmarks at facexlib's places, grey where the photo ends."""
    matrix = cv2.estimateAffinePartial2D(points, np.array(_TEMPLATE, np.float32), method=cv2.LMEDS)[0]
    found: NDArray[np.uint8] = cv2.warpAffine(
        np.ascontiguousarray(photo), matrix, (_SIDE, _SIDE), borderMode=cv2.BORDER_CONSTANT, borderValue=_BORDER
    )
    return found


def _no_longer(photo: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The photo with sides of at most 1024 pixels."""
    high, wide = photo.shape[:2]
    if max(high, wide) <= _LONGEST:
        return np.ascontiguousarray(photo)
    share = _LONGEST / max(high, wide)
    return np.asarray(Image.fromarray(photo).resize((int(wide * share), int(high * share)), Image.Resampling.LANCZOS))


def load_eva(path: Path, device: torch.device, name: str = _EVA_NAME) -> Any:
    """EVA-CLIP's image side out of its original checkpoint, by timm's network of the same shape.

    Raises:
        WeightsError: the file is missing or damaged, holds code, or is another network's.
    """
    state = read_checkpoint(path, f"{EVA} of ConsisID's folder face_encoder")
    network = timm.create_model(name)
    try:
        network.load_state_dict(checkpoint_filter_fn(state, network))
    except (RuntimeError, KeyError, ValueError) as error:
        raise WeightsError(f"{path} is not the image encoder that ConsisID takes: {str(error)[:300]}") from error
    return network.requires_grad_(False).eval().to(device)


def load_consisid_faces(folder: Path, device: torch.device) -> ConsisIdFaces:
    """All networks out of the folder face_encoder of ConsisID's repository.

    Raises:
        WeightsError: a file is missing, damaged, or another network's.
    """
    from pvbench.features.published.insightface_faces import load_pack

    faces = load_pack(folder / PACK, device)
    return ConsisIdFaces(faces, load_parser(folder / PARSER, device), load_eva(folder / EVA, device), device)
