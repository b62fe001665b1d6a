"""Rewards whose weights others published, by checkpoints of the user's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pvbench.digest import file_digest
from pvbench.errors import ProfileError, WeightsError
from pvbench.machine.devices import torch_device
from pvbench.profile import Profile
from pvbench.reward import RewardLoader, Role
from pvbench.rewards.published_files import (
    EVA,
    PACK,
    PARSER,
    all_found,
    brought,
    check_face_encoder,
    face_encoder_of,
    image_encoder_of,
    own_or_published,
    pack_of,
)
from pvbench.weights.digests import digest_of
from pvbench.weights.presence import size_in_words

if TYPE_CHECKING:
    from pvbench.features.published.insightface_faces import InsightFaces
    from pvbench.rewards.pack_identity import PackReward
    from pvbench.rewards.published_animator import AnimatorPrompt
    from pvbench.rewards.published_consisid import ConsisIdFaces
    from pvbench.rewards.published_ip_adapter import IpAdapterPrompt
    from pvbench.rewards.published_segmenter import DeepLab
    from pvbench.rewards.semantic import PreferenceReward


class PackIdentityLoader(RewardLoader):
    """A face recogniser of an InsightFace pack, the paper's identity reward, computed with gradients.

    Lines of a profile's `[rewards]`:
        face: an unpacked pack, other than the one that scores: its name below `insightface/` of the weights folder, or
            a path.
    """

    name: ClassVar[str] = "insightface"
    summary: ClassVar[str] = "a recogniser of InsightFace's packs, with gradients; another one than scores"
    role: ClassVar[Role] = "identity"
    weights: ClassVar[tuple[str, ...]] = ("face",)

    @classmethod
    def signature(cls, profile: Profile) -> Mapping[str, Any]:
        """Digests of the detector's and the recogniser's files."""
        detector, recogniser = pack_of(profile)
        return {"version": 1, "detector": digest_of(detector), "recogniser": digest_of(recogniser)}

    @classmethod
    def judges(cls, profile: Profile) -> frozenset[str]:
        """The recogniser; packs share detectors."""
        return frozenset({str(cls.signature(profile)["recogniser"])})

    @classmethod
    def load(cls, profile: Profile, device: str) -> PackReward:
        """The reward on a device.

        Raises:
            WeightsError: the pack is missing or damaged, or its recogniser has operators that are not known.
        """
        from pvbench.features.published.insightface_faces import load_pack
        from pvbench.rewards.onnx_network import OnnxNetwork
        from pvbench.rewards.pack_identity import PackReward

        place, (_, recogniser) = torch_device(device), pack_of(profile)
        return PackReward(load_pack(recogniser.parent, place), OnnxNetwork.read(recogniser), place)

    @classmethod
    def located(cls, profile: Profile) -> str:
        """The pack's folder."""
        return str(pack_of(profile)[0].parent)


def _faces(detector: Path, device: str) -> InsightFaces:
    from pvbench.features.published.insightface_faces import load_pack

    return load_pack(detector.parent, torch_device(device), size=320)


class _PhotoPromptLoader(RewardLoader):
    """A published adapter that takes a photo of a face: its file, and the folder of CLIP ViT-H/14's image encoder.

    Attributes:
        line: of a profile's `[rewards]` that names the file; `published` says whose it is.
    """

    line: ClassVar[str]
    published: ClassVar[str]

    @classmethod
    def signature(cls, profile: Profile) -> Mapping[str, Any]:
        """Digests of the adapter, of the encoder's files and of the detector."""
        adapter, encoder, detector = cls._files(profile)
        files = sorted(file for file in encoder.iterdir() if file.suffix in (".json", ".safetensors", ".bin"))
        return {
            "version": 1,
            cls.line: digest_of(adapter),
            "image_encoder": {file.name: digest_of(file) for file in files},
            "detector": digest_of(detector),
        }

    @classmethod
    def located(cls, profile: Profile) -> str:
        """The adapter's file, and the folders of the encoder and of the pack."""
        adapter, encoder, detector = cls._files(profile)
        return f"{adapter}, {encoder} and {detector.parent}"

    @classmethod
    def _files(cls, profile: Profile) -> tuple[Path, Path, Path]:
        """The adapter, the encoder's folder and the detector."""
        adapter, encoder, detector = all_found(
            lambda: brought(profile, cls.line, cls.published),
            lambda: image_encoder_of(profile),
            lambda: pack_of(profile)[0],
        )
        return adapter, encoder, detector


class IdAnimatorLoader(_PhotoPromptLoader):
    """ID-Animator by its published checkpoint: a photo of the face as a prompt, for Stable Diffusion 1.5.

    Lines of a profile's `[rewards]`:
        animator: the checkpoint, by its path, or by one below the weights folder.
        image_encoder: the folder of CLIP ViT-H/14's image encoder, likewise.
        face: a pack, whose detector finds the face, as for `insightface`.
    """

    name: ClassVar[str] = "id_animator"
    summary: ClassVar[str] = "ID-Animator's published adapter: a photo of the face as a prompt"
    role: ClassVar[Role] = "image_prompt"
    line: ClassVar[str] = "animator"
    weights: ClassVar[tuple[str, ...]] = ("animator", "image_encoder", "face")
    published: ClassVar[str] = f"animator.ckpt of ID-Animator/ID-Animator ({size_in_words(None)})"

    @classmethod
    def load(cls, profile: Profile, device: str) -> AnimatorPrompt:
        """The adapter on a device.

        Raises:
            WeightsError: a file is missing, damaged, or another model's.
        """
        from pvbench.rewards.published_animator import load_animator

        adapter, encoder, detector = cls._files(profile)
        return load_animator(_faces(detector, device), adapter, encoder, torch_device(device))


class IpAdapterFaceLoader(_PhotoPromptLoader):
    """IP-Adapter's own adapter for faces, for Stable Diffusion 1.5.

    Lines of a profile's `[rewards]`:
        ip_adapter_file: the adapter, by its path, or by one below the weights folder.
        image_encoder, face: as for `id_animator`.
    """

    name: ClassVar[str] = "ip_adapter_face"
    summary: ClassVar[str] = "IP-Adapter's published adapter plus face: a photo of the face as a prompt"
    role: ClassVar[Role] = "ip_adapter"
    line: ClassVar[str] = "ip_adapter_file"
    weights: ClassVar[tuple[str, ...]] = ("ip_adapter_file", "image_encoder", "face")
    published: ClassVar[str] = "models/ip-adapter-plus-face_sd15.safetensors of h94/IP-Adapter (98 MB)"

    @classmethod
    def load(cls, profile: Profile, device: str) -> IpAdapterPrompt:
        """The adapter on a device.

        Raises:
            WeightsError: a file is missing, damaged, or another model's.
        """
        from pvbench.rewards.published_ip_adapter import load_ip_adapter

        adapter, encoder, detector = cls._files(profile)
        return load_ip_adapter(_faces(detector, device), adapter, encoder, torch_device(device))


class ConsisIdLoader(RewardLoader):
    """What ConsisID reads of a photo, by the face networks that are published beside it.

    Lines of a profile's `[rewards]`:
        face_encoder: the folder face_encoder of ConsisID's repository: its path, or one below the weights folder; by
            default that of the checkpoint that `[backbone] base` names.
    """

    name: ClassVar[str] = "consisid"
    summary: ClassVar[str] = "ConsisID's face networks: antelopev2, a face parser and EVA-CLIP"
    role: ClassVar[Role] = "face_control"
    weights: ClassVar[tuple[str, ...]] = ("face_encoder",)

    @classmethod
    def signature(cls, profile: Profile) -> Mapping[str, Any]:
        """Digests of the files that are read."""
        from pvbench.features.published.insightface_faces import pack_files

        folder = cls._folder(profile)
        detector, recogniser = pack_files(folder / PACK)
        parts = {name: digest_of(folder / name) for name in (EVA, PARSER)}
        return {"version": 1, **parts, "detector": digest_of(detector), "recogniser": digest_of(recogniser)}

    @classmethod
    def judges(cls, profile: Profile) -> frozenset[str]:
        """The recogniser, whose vector of the photo the model is given."""
        return frozenset({str(cls.signature(profile)["recogniser"])})

    @classmethod
    def load(cls, profile: Profile, device: str) -> ConsisIdFaces:
        """The networks on a device.

        Raises:
            WeightsError: a file is missing, damaged, or another network's.
        """
        from pvbench.rewards.published_consisid import load_consisid_faces

        return load_consisid_faces(cls._folder(profile), torch_device(device))

    @classmethod
    def located(cls, profile: Profile) -> str:
        """The folder."""
        return str(cls._folder(profile))

    @classmethod
    def _folder(cls, profile: Profile) -> Path:
        return check_face_encoder(face_encoder_of(profile), f"profile {profile.name!r} [rewards] face_encoder")


class HpsLoader(RewardLoader):
    """HPSv2 by its checkpoint, 2.0 or 2.1: the paper's semantic reward, in full precision.

    Lines of a profile's `[rewards]`:
        hps: path of the checkpoint, or its published name (HPS_v2.1 or HPS_v2), to be found in the weights folder.
        hps_model: open_clip's name of the network that the checkpoint holds; ViT-H-14 by default.
    """

    name: ClassVar[str] = "hps"
    summary: ClassVar[str] = "HPSv2, the paper's semantic reward, by its checkpoint"
    role: ClassVar[Role] = "semantic"
    weights: ClassVar[tuple[str, ...]] = ("hps",)

    @classmethod
    def signature(cls, profile: Profile) -> Mapping[str, Any]:
        """The network's name and the checkpoint's digest."""
        path, model = cls._files(profile)
        return {"model": model, "sha256": file_digest(path)}

    @classmethod
    def judges(cls, profile: Profile) -> frozenset[str]:
        """The checkpoint."""
        return frozenset({str(cls.signature(profile)["sha256"])})

    @classmethod
    def load(cls, profile: Profile, device: str) -> PreferenceReward:
        """The reward on a device.

        Raises:
            WeightsError: the checkpoint is missing, damaged, would run code, or does not fit the model.
        """
        from pvbench.features.published.open_clip_model import load_open_clip
        from pvbench.rewards.semantic import HpsModel, PreferenceReward

        path, model = cls._files(profile)
        return PreferenceReward(HpsModel(load_open_clip(model, path, torch_device(device))))

    @classmethod
    def located(cls, profile: Profile) -> str:
        """The checkpoint."""
        return str(cls._files(profile)[0])

    @classmethod
    def _files(cls, profile: Profile) -> tuple[Path, str]:
        given, model = profile.rewards.get("hps"), profile.rewards.get("hps_model", "ViT-H-14")
        if not isinstance(given, str) or not isinstance(model, str):
            raise ProfileError(
                f"profile {profile.name!r} [rewards]: hps is {given!r} and hps_model {model!r}; expected the path of "
                f"HPSv2's checkpoint or its published name, and a name of open_clip's"
            )
        path = own_or_published(given, "hps", "hps")
        if not path.is_file():
            raise WeightsError(
                f"profile {profile.name!r} [rewards]: there is no file {path}; set hps to the checkpoint's path"
            )
        return path, model


class DeepLabLoader(RewardLoader):
    """torchvision's DeepLabV3 as a segmenter of people, for the masks of MagicMe.

    Lines of a profile's `[rewards]`:
        segmenter_file: path of the checkpoint, or its published name, deeplabv3-resnet50.
    """

    name: ClassVar[str] = "deeplab"
    summary: ClassVar[str] = "torchvision's DeepLabV3 with a ResNet-50: which pixels show a person"
    role: ClassVar[Role] = "segmenter"
    weights: ClassVar[tuple[str, ...]] = ("segmenter_file",)

    @classmethod
    def signature(cls, profile: Profile) -> Mapping[str, Any]:
        """The checkpoint's digest."""
        return {"version": 1, "sha256": digest_of(cls._file(profile))}

    @classmethod
    def load(cls, profile: Profile, device: str) -> DeepLab:
        """The segmenter on a device.

        Raises:
            WeightsError: the checkpoint is missing, damaged, would run code, or is another network's.
        """
        from pvbench.rewards.published_segmenter import load_deeplab

        return load_deeplab(cls._file(profile), torch_device(device))

    @classmethod
    def located(cls, profile: Profile) -> str:
        """The checkpoint."""
        return str(cls._file(profile))

    @classmethod
    def _file(cls, profile: Profile) -> Path:
        given = profile.rewards.get("segmenter_file")
        if not isinstance(given, str):
            raise ProfileError(
                f"profile {profile.name!r} [rewards]: segmenter_file is {given!r}; expected the path of torchvision's "
                f"DeepLabV3 or its published name, deeplabv3-resnet50"
            )
        path = own_or_published(given, "segmenter", "segmenter_file")
        if not path.is_file():
            raise WeightsError(
                f"profile {profile.name!r} [rewards]: there is no file {path}; set segmenter_file to the checkpoint's "
                f"path"
            )
        return path
