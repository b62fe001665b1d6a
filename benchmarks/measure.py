"""`pvbench measure` beside the public scripts, one after the other, on the same clips with the same weights.

    python benchmarks/measure.py --weights FOLDER [--clips 32] [--out measure.json]

FOLDER holds `raft-small.pth`, a face pack `pack/`, `i3d.pt`; CLIP's weights are drawn at random (they change no time).
The public scripts are rebuilt here as slowly as they are, since they cannot be installed beside today's libraries:
each decodes for itself with OpenCV and takes frames, or pairs of them, one by one; VBench's sorts all magnitudes, the
face and CLIP loops embed the reference anew for every video, as ConsisID's scripts do with their networks, too. They
get all cores for their linear algebra, pvbench gets one process a core.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

CORES = len(os.sched_getaffinity(0))


def make_clips(folder: Path, count: int, frames: int = 16) -> None:
    """Clips of 128 x 160 pixels: crops of a person's photo that wander, as mp4."""
    import av
    from PIL import Image

    from pvbench.identity import load_identities

    people = load_identities()[:4]
    rng = np.random.default_rng(0)
    for index in range(count):
        person = people[index % len(people)]
        photo = np.asarray(Image.fromarray(person.references()[index % 5]).resize((200, 200)))
        path = folder / "clips" / person.name / f"a person looks at the camera-{index}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        place = rng.integers(8, 32, 2).astype(float)
        with av.open(str(path), "w") as container:
            stream = container.add_stream("libx264", rate=8)
            stream.width, stream.height, stream.pix_fmt = 160, 128, "yuv420p"
            stream.options = {"crf": "18"}
            for _ in range(frames):
                place = np.clip(place + rng.normal(size=2) * 3, 0, 39)
                y, x = place.astype(int)
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(photo[y : y + 128, x : x + 160]), "rgb24")
                for packet in stream.encode(frame):
                    container.mux(packet)
            for packet in stream.encode(None):
                container.mux(packet)


def random_clip(path: Path) -> None:
    """ViT-B-32 with random weights, as a state dict."""
    import torch

    from pvbench.torchvision_shim import load_torchvision

    load_torchvision()
    import open_clip

    torch.manual_seed(0)
    torch.save(open_clip.create_model("ViT-B-32-quickgelu").state_dict(), path)


def decoded(path: Path) -> np.ndarray:
    """All frames by OpenCV, RGB."""
    import cv2

    capture, frames = cv2.VideoCapture(str(path)), []
    while True:
        there, frame = capture.read()
        if not there:
            return np.stack(frames)
        frames.append(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB))


def slow_flow(clips: list[Path], weights: Path) -> list[float]:
    """VBench's loop: pairs one by one, both frames encoded for each, all magnitudes sorted."""
    import torch
    from torchvision.models.optical_flow import raft_small

    from pvbench.features.raft import _read, _torchvision_names

    network = raft_small(weights=None)
    network.load_state_dict(_torchvision_names(_read(weights / "raft-small.pth")))
    network.eval()
    values = []
    for path in clips:
        frames = torch.from_numpy(decoded(path)).permute(0, 3, 1, 2).float() / 127.5 - 1
        for before, after in pairwise(frames):
            with torch.no_grad():
                flow = network(before[None], after[None], num_flow_updates=20)[-1][0].numpy()
            sizes = np.sort(np.sqrt((flow**2).sum(axis=0)).ravel())[::-1]
            values.append(float(sizes[: int(len(sizes) * 0.05)].mean()))
    return values


def slow_fvd(clips: list[Path], weights: Path) -> list[float]:
    """common_metrics' loop: one video at a time."""
    import torch

    from pvbench.features.i3d import embed, load_i3d

    network = load_i3d(weights / "i3d.pt", torch.device("cpu"))
    return [float(embed(network, decoded(path), "styleganv")[0]) for path in clips]


def slow_faces(clips: list[Path], weights: Path) -> list[float]:
    """ConsisID's loop: networks loaded and references embedded for every video."""
    from pvbench.features.insightface_faces import load_pack
    from pvbench.identity import load_identities

    values = []
    for path in clips:
        pack = load_pack(weights / "pack")
        (person,) = load_identities([path.parent.name])
        template = pack.reference(person.references()).embedding.mean(axis=0)
        template /= np.linalg.norm(template)
        found = pack(decoded(path)).embedding
        values.append(float(np.nan_to_num(found @ template).mean()))
    return values


def slow_clip(clips: list[Path], weights: Path) -> list[float]:
    """A plain loop for CLIP-T, CLIP-I and temporal consistency: three passes, frames one by one."""
    import torch

    from pvbench.features.open_clip_model import load_open_clip
    from pvbench.identity import load_identities

    network = load_open_clip("ViT-B-32-quickgelu", weights / "clip.pt", torch.device("cpu"))
    values = []
    for path in clips:
        for what in ("text", "image", "next"):
            frames = np.concatenate([network.frames(frame[None]) for frame in decoded(path)])
            if what == "text":
                values.append(float((frames @ network.texts([path.stem.rpartition("-")[0]])[0]).mean()))
            elif what == "image":
                (person,) = load_identities([path.parent.name])
                photos = np.concatenate([network.frames(photo[None]) for photo in person.references()])
                values.append(float((frames @ photos.T).mean()))
            else:
                values.append(float((frames[:-1] * frames[1:]).sum(axis=1).mean()))
    return values


SLOW = {"dynamic_degree": slow_flow, "fvd": slow_fvd, "face_sim": slow_faces, "clip": slow_clip}


def run_slow(name: str, folder: Path, weights: Path) -> None:
    """One script in a process of its own: prints its values."""
    import torch

    torch.set_num_threads(CORES)
    from pvbench.torchvision_shim import load_torchvision

    load_torchvision()
    clips = sorted((folder / "clips").rglob("*.mp4"))
    print(json.dumps(SLOW[name](clips, weights)))


def timed(command: list[str], environment: dict[str, str]) -> tuple[float, str, float]:
    """Seconds, what it printed, and the largest resident memory of any process it started, in MiB."""
    began = time.perf_counter()
    done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - began
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stdout}\n{done.stderr}")
    return seconds, done.stdout, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


def main() -> None:
    """Times everything and prints the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--clips", type=int, default=32)
    parser.add_argument("--out", type=Path, default=None)
    parser.add_argument("--slow", choices=sorted(SLOW), default=None, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, default=None, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.slow:
        run_slow(asked.slow, asked.folder, asked.weights)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_clips(folder, asked.clips)
        weights = folder / "weights"
        weights.mkdir()
        for file in ("raft-small.pth", "pack", "i3d.pt"):
            (weights / file).symlink_to((asked.weights / file).resolve())
        random_clip(weights / "clip.pt")
        result: dict[str, Any] = {"clips": asked.clips, "cores": CORES, "slow_s": {}}
        ours = [sys.executable, "-m", "pvbench.cli", "measure", str(folder / "clips"), "--profile", "animatediff",
                "--reference", str(folder / "clips"), "--out", str(folder / "out"),
                "--weights", f"raft={weights / 'raft-small.pth'}", "--weights", f"i3d={weights / 'i3d.pt'}",
                "--weights", f"face={weights / 'pack'}", "--weights", f"clip={weights / 'clip.pt'}"]
        for round_ in ("first_s", "again_s"):
            result[round_], _, memory = timed(ours, {"OMP_NUM_THREADS": "1"})
            result.setdefault("largest_process_mib", round(memory))
        for script in SLOW:
            again = [sys.executable, __file__, "--slow", script, "--folder", str(folder), "--weights", str(weights)]
            result["slow_s"][script], _, _ = timed(again, {"OMP_NUM_THREADS": str(CORES)})
        slow = sum(result["slow_s"].values())
        result |= {"slow_total_s": slow, "faster": slow / result["first_s"], "again_faster": slow / result["again_s"]}
    text = json.dumps(result, indent=1)
    print(text)
    if asked.out:
        asked.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
