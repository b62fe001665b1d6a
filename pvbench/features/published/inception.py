"""Inception-v3 on cut-out faces, by whose features ConsisID's evaluation measures what it calls FID."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from pvbench.errors import WeightsError
from pvbench.evaluator import Evaluator, FeatureGroup, Features
from pvbench.features.published.protocol_faces import frames_of, of_marked_faces
from pvbench.features.published.settings import PublishedPart
from pvbench.profile import Profile

SIDE, WIDTH = 299, 2048
_CHUNK = 16
_EXPECTED = "torchvision's inception_v3_google-0cc3c7bd.pth"
_UNUSED = ("AuxLogits.", "fc.")
"""Layers for training and for naming classes, which the features do not pass through."""


class Inception:
    """torchvision's Inception-v3 up to its last pooling, frozen.

    Source: PKU-YuanGroup/ConsisID@24f6448 eval/get_facesim_fid.py. Pictures are in [0, 1] when the network, told that
    they have ImageNet's mean and deviation, changes them once more: it sees under a quarter of the contrast that it was
    trained with. That is kept.
    """

    def __init__(self, network: Any, device: Any) -> None:
        self.network, self.device = network.to(device).requires_grad_(False).eval(), device

    def __call__(self, faces: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Features (n, 2048), of no fixed length, of RGB faces (n, H, W, 3)."""
        import torch

        found = []
        for start in range(0, len(faces), _CHUNK):
            pixels = np.stack([_resized(face) for face in faces[start : start + _CHUNK]])
            levels = torch.from_numpy(pixels).permute(0, 3, 1, 2).to(self.device).float() / 255
            with torch.no_grad():
                found.append(self.network(levels).cpu().numpy())
        made: NDArray[np.float32] = np.concatenate(found)
        return made


def _resized(face: NDArray[np.uint8]) -> NDArray[np.uint8]:
    from PIL import Image

    return np.asarray(Image.fromarray(face).resize((SIDE, SIDE), Image.Resampling.BILINEAR))


def load_inception(path: Path, device: Any) -> Inception:
    """The network of torchvision's checkpoint of Inception-v3; only tensors are read.

    Raises:
        WeightsError: the file is missing or damaged, holds code, or is another network's, pytorch-fid's among them.
        PvbenchError: torchvision is not installed.
    """
    import torch

    from pvbench.torchvision_shim import load_torchvision
    from pvbench.weights.blank import Blank
    from pvbench.weights.checkpoint import read_checkpoint

    state = read_checkpoint(path, _EXPECTED)
    models = load_torchvision().models
    with Blank():
        network = models.Inception3(aux_logits=False, transform_input=True, init_weights=False)
    network.fc = torch.nn.Identity()
    if "fc.weight" in state and len(state["fc.weight"]) == 1008:
        raise WeightsError(
            f"{path} is the Inception that FID is defined by (1008 classes, pytorch-fid's file); ConsisID's script "
            f"takes another one: expected {_EXPECTED}"
        )
    used = {name: value for name, value in state.items() if not name.startswith(_UNUSED)}
    wanted = network.state_dict()
    counters = {name for name in wanted if name.endswith(".num_batches_tracked")}
    lacks, extra = sorted(wanted.keys() - used.keys() - counters), sorted(used.keys() - wanted.keys())
    other = [name for name in sorted(wanted.keys() & used.keys()) if wanted[name].shape != used[name].shape]
    if lacks or extra or other:
        raise WeightsError(
            f"{path} does not fit Inception-v3: it lacks {len(lacks)} tensors ({', '.join(lacks[:2])}), has "
            f"{len(extra)} others ({', '.join(extra[:2])}) and {len(other)} of another shape; expected {_EXPECTED}"
        )
    network.load_state_dict(used, strict=False)
    return Inception(network, device)


class InceptionFaces(Evaluator):
    """Inception-v3 on the faces that the pack's detector marked."""

    def __init__(self, network: Inception) -> None:
        self.network = network

    def make(self, group: str, given: Any, have: Features) -> Features:
        """Features of ConsisID's frames, or of photos; NaN where no face was marked."""
        if group == "reference_inception":
            return {"reference/inception": self._features(given, have["reference/protocol_landmarks"])}
        frames = given.frames[frames_of("consisid", len(given.frames))]
        return {"consisid/inception": self._features(frames, have["consisid/landmarks"])}

    def _features(self, pictures: Any, landmarks: np.ndarray) -> NDArray[np.float32]:
        return of_marked_faces(pictures, landmarks, WIDTH, self.network)


class InceptionLoader(PublishedPart):
    """Loads Inception-v3."""

    name: ClassVar[str] = "inception_v3"
    summary: ClassVar[str] = "torchvision's Inception-v3 on faces, for what ConsisID calls FID"
    part: ClassVar[str] = "inception"
    groups: ClassVar[tuple[FeatureGroup, ...]] = (
        FeatureGroup(
            "consisid_inception", "video", ("consisid/inception",), reads=("consisid/landmarks",), on_demand=True
        ),
        FeatureGroup(
            "reference_inception",
            "reference",
            ("reference/inception",),
            reads=("reference/protocol_landmarks",),
            on_demand=True,
        ),
    )
    option: ClassVar[str] = "inception"
    memory_gib: ClassVar[float] = 1.0

    @classmethod
    def facts(cls, settings: Mapping[str, Any]) -> Mapping[str, Any]:
        """Crop, range and layer."""
        return {"crop": "224, enlarged to 299, bilinear", "range": "[0, 1], not normalised", "layer": "last pooling"}

    @classmethod
    def load(cls, profile: Profile, device: str) -> InceptionFaces:
        """The evaluator on a device."""
        from pvbench.machine.devices import torch_device

        return InceptionFaces(load_inception(cls.weights(profile), torch_device(device)))
