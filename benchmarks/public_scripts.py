"""The public scripts that `pvbench measure` is timed beside, and its values compared with.

They are rebuilt here as slowly as they are, since they cannot be installed beside today's libraries: each decodes for
itself with OpenCV and takes frames, or pairs of them, one by one; VBench's encodes both frames of a pair, enlarges
every refinement and sorts all magnitudes, common_metrics embeds both sets (with `only_final=True`; by default it would
embed them once for every length from ten frames on), the face and CLIP loops embed the references anew for every video,
as ConsisID's and VGen's scripts do, the face loop loads its networks for every video, as ConsisID's does. They get all
cores for their linear algebra, pvbench gets one process a core. Their values are compared.

`clip_one_pass` stands for a single script with all numbers by CLIP, as VGen has one; it is timed beside the others. No
public script makes CLIP-I of faces; the loop for it is what one would write.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np


def decoded(path: Path) -> np.ndarray:
    """All frames by OpenCV, RGB."""
    import cv2

    capture, frames = cv2.VideoCapture(str(path)), []
    while True:
        there, frame = capture.read()
        if not there:
            return np.stack(frames)
        frames.append(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB))


Values = dict[str, dict[str, float]]
"""Number -> clip, as `IDENTITY/INDEX` -> value; a number of the set has one clip, the empty one."""


def clip_name(path: Path) -> str:
    """What the values of a clip are found by."""
    return f"{path.parent.name}/{path.stem.rpartition('-')[2]}"


def clips_in(folder: Path) -> list[Path]:
    """The clips, by name."""
    return sorted(folder.rglob("*.mp4"))


def slow_flow(folder: Path, weights: Path) -> Values:
    """VBench's loop: pairs one by one, both frames encoded for each, all magnitudes sorted."""
    import torch
    from torchvision.models.optical_flow import raft_small

    from pvbench.features.published.raft import _torchvision_names
    from pvbench.weights.checkpoint import read_checkpoint

    network = raft_small(weights=None)
    network.load_state_dict(_torchvision_names(read_checkpoint(weights / "raft-small.pth", "RAFT")))
    network.eval()
    values: Values = {"flow_magnitude": {}, "dynamic_degree": {}}
    for path in clips_in(folder):
        frames = torch.from_numpy(decoded(path)).permute(0, 3, 1, 2).float() / 127.5 - 1
        scores = []
        for before, after in pairwise(frames):
            with torch.no_grad():
                flow = network(before[None], after[None], num_flow_updates=20)[-1][0].numpy()
            sizes = np.sort(np.sqrt((flow**2).sum(axis=0)).ravel())[::-1]
            scores.append(float(sizes[: int(len(sizes) * 0.05)].mean()))
        threshold = 6.0 * min(frames.shape[2:]) / 256
        # pvbench gives flow in pixels of a short side of 256.
        values["flow_magnitude"][clip_name(path)] = float(np.mean(scores)) * 256 / min(frames.shape[2:])
        moving = sum(score > threshold for score in scores)
        values["dynamic_degree"][clip_name(path)] = float(moving >= round(4 * len(frames) / 16))
    return values


def slow_fvd(folder: Path, weights: Path) -> Values:
    """common_metrics' loop: both sets, one video at a time, torch's own pooling; a matrix root."""
    import scipy.linalg
    import torch

    from pvbench.features.published import i3d
    from pvbench.features.published.i3d import embed, load_i3d

    def pool(x: torch.Tensor, window: tuple[int, ...], stride: tuple[int, ...]) -> torch.Tensor:
        return torch.nn.functional.max_pool3d(i3d.pad_same(x, window, stride), window, stride)

    i3d.pool_same = pool
    network = load_i3d(weights / "i3d.pt", torch.device("cpu"))
    one, other = (
        np.stack([embed(network, decoded(path), "styleganv") for path in clips_in(where)]).astype(np.float64)
        for where in (folder, folder.parent / "reference")
    )
    cov, cov_other = np.cov(one, rowvar=False), np.cov(other, rowvar=False)
    root = np.trace(scipy.linalg.sqrtm(cov @ cov_other)).real
    mean = ((one.mean(axis=0) - other.mean(axis=0)) ** 2).sum()
    return {"fvd": {"": float(mean + np.trace(cov + cov_other) - 2 * root)}}


def slow_faces(folder: Path, weights: Path) -> Values:
    """ConsisID's loop: networks loaded and references embedded for every video."""
    from pvbench.features.published.insightface_faces import load_pack
    from pvbench.identity import load_identities

    values = {}
    for path in clips_in(folder):
        pack = load_pack(weights / "pack")
        (person,) = load_identities([path.parent.name])
        template = pack.reference(person.references()).embedding.mean(axis=0)
        template /= np.linalg.norm(template)
        found = pack(decoded(path)).embedding
        values[clip_name(path)] = float(np.nan_to_num(found @ template).mean())
    return {"face_sim": values}


def plain_clip(weights: Path) -> Any:
    """CLIP as open_clip has it, without what pvbench leaves out."""
    from pvbench.features.published.open_clip_model import load_open_clip

    clip = load_open_clip("ViT-B-32-quickgelu", weights / "clip.pt")
    for module in clip.network.modules():
        vars(module).pop("forward", None)
    return clip


def slow_clip_faces(folder: Path, weights: Path) -> Values:
    """CLIP-I of faces: they are found again, and crops embedded one by one."""
    from pvbench.features.published.insightface_faces import load_pack
    from pvbench.identity import load_identities

    network = plain_clip(weights)
    pack = load_pack(weights / "pack")
    values = {}
    for path in clips_in(folder):
        (person,) = load_identities([path.parent.name])
        frames, photos = decoded(path), person.references()
        of_photos, of_frames = pack.reference(photos).landmarks, pack(frames).landmarks
        crops = np.concatenate([network.faces(f[None], at[None]) for f, at in zip(frames, of_frames, strict=True)])
        references = np.concatenate([network.faces(f[None], at[None]) for f, at in zip(photos, of_photos, strict=True)])
        # A frame without a face counts 0.
        values[clip_name(path)] = float((np.nan_to_num(crops) @ references.T).mean())
    return {"clip_i_face": values}


def slow_clip(folder: Path, weights: Path) -> Values:
    """A plain loop for CLIP-T, CLIP-I and temporal consistency: three passes, frames one by one."""
    return clip_loop(folder, weights, (("clip_t",), ("clip_i",), ("temporal_consistency",)))


def slow_clip_one_pass(folder: Path, weights: Path) -> Values:
    """The same in a single pass."""
    return clip_loop(folder, weights, (("clip_t", "clip_i", "temporal_consistency"),))


def clip_loop(folder: Path, weights: Path, passes: tuple[tuple[str, ...], ...]) -> Values:
    """The numbers of each pass over all clips."""
    from pvbench.identity import load_identities

    network = plain_clip(weights)
    values: Values = {name: {} for names in passes for name in names}
    for names in passes:
        for path in clips_in(folder):
            frames = np.concatenate([network.frames(frame[None]) for frame in decoded(path)])
            if "clip_t" in names:
                text = network.texts([path.stem.rpartition("-")[0]])[0]
                values["clip_t"][clip_name(path)] = float((frames @ text).mean())
            if "clip_i" in names:
                (person,) = load_identities([path.parent.name])
                photos = np.concatenate([network.frames(photo[None]) for photo in person.references()])
                values["clip_i"][clip_name(path)] = float((frames @ photos.T).mean())
            if "temporal_consistency" in names:
                values["temporal_consistency"][clip_name(path)] = float((frames[:-1] * frames[1:]).sum(axis=1).mean())
    return values


SLOW = {
    "dynamic_degree": slow_flow,
    "fvd": slow_fvd,
    "face_sim": slow_faces,
    "clip": slow_clip,
    "clip_faces": slow_clip_faces,
    "clip_one_pass": slow_clip_one_pass,
}
