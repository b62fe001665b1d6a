"""`pvbench measure` beside the public scripts, one after the other, on the same clips with the same weights.

    python benchmarks/measure.py --weights FOLDER [--clips 32] [--out measure.json]
    python benchmarks/measure.py --memory

FOLDER holds `raft-small.pth`, a face pack `pack/`, `i3d.pt`; CLIP's weights are drawn at random (they change no time).
The public scripts are rebuilt here as slowly as they are, since they cannot be installed beside today's libraries:
each decodes for itself with OpenCV and takes frames, or pairs of them, one by one; VBench's encodes both frames of a
pair, enlarges every refinement and sorts all magnitudes, common_metrics embeds both sets (with `only_final=True`; by
default it would embed them once for every length from ten frames on), the face and CLIP loops embed the references anew
for every video, as ConsisID's and VGen's scripts do, the face loop loads its networks for every video, as ConsisID's
does. They get all cores for their linear algebra, pvbench gets one process a core. Their values are compared.

`clip_one_pass` stands for a single script with all numbers by CLIP, as VGen has one; it is timed beside the others. No
public script makes CLIP-I of faces; the loop for it is what one would write.

`--memory` measures 32 and 320 small clips with the miniature evaluators and compares the largest memory.
"""

from __future__ import annotations

import argparse
import csv
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


def make_clips(folder: Path, count: int, seed: int, frames: int = 16) -> None:
    """Clips of 128 x 160 pixels: crops of a person's photo that wander, as mp4."""
    import av
    from PIL import Image

    from pvbench.identity import load_identities

    people = load_identities()[:4]
    rng = np.random.default_rng(seed)
    for index in range(count):
        person = people[index % len(people)]
        photo = np.asarray(Image.fromarray(person.references()[index % 5]).resize((200, 200)))
        path = folder / person.name / f"a person looks at the camera-{index}.mp4"
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


Values = dict[str, dict[str, float]]
"""Number -> clip, as `IDENTITY/INDEX` -> value; a number of the set has one clip, the empty one."""


def clip_name(path: Path) -> str:
    """What the values of a clip are found by."""
    return f"{path.parent.name}/{path.stem.rpartition('-')[2]}"


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


def clips_in(folder: Path) -> list[Path]:
    """The clips, by name."""
    return sorted(folder.rglob("*.mp4"))


def run_slow(name: str, folder: Path, weights: Path) -> None:
    """One script in a process of its own: prints its values."""
    import torch

    torch.set_num_threads(CORES)
    from pvbench.torchvision_shim import load_torchvision

    load_torchvision()
    print(json.dumps(SLOW[name](folder / "clips", weights)))


def timed(command: list[str], threads: int) -> tuple[float, str]:
    """Seconds, and what it printed."""
    began = time.perf_counter()
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - began
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stdout}\n{done.stderr}")
    return seconds, done.stdout


def measured(report: Path) -> Values:
    """What pvbench's report says, in the same form."""
    values: Values = {}
    with (report / "scores.csv").open() as file:
        for row in csv.DictReader(file):
            values.setdefault(row["metric"], {})[f"{row['identity']}/{row['seed']}"] = float(row["value"])
    aggregates = json.loads((report / "aggregates.json").read_text())
    values["fvd"] = {"": next(iter(aggregates["methods"].values()))["scores"]["fvd"]["value"]}
    return values


def largest_difference(slow: dict[str, float], ours: dict[str, float]) -> float:
    """Over the clips; of values above 1, such as flow and FVD, as a share of them."""
    assert slow.keys() == ours.keys(), (slow, ours)
    return max(abs(slow[name] - ours[name]) / max(1.0, abs(slow[name])) for name in slow)


def compare(clips: int, given: Path) -> dict[str, Any]:
    """Times everything once, pvbench a second time, and compares the values."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_clips(folder / "clips", clips, seed=0)
        make_clips(folder / "reference", clips, seed=1)
        weights = folder / "weights"
        weights.mkdir()
        for file in ("raft-small.pth", "pack", "i3d.pt"):
            (weights / file).symlink_to((given / file).resolve())
        random_clip(weights / "clip.pt")
        result: dict[str, Any] = {"clips": clips, "cores": CORES, "slow_s": {}, "difference": {}}
        ours = [
            sys.executable,
            "-m",
            "pvbench.cli",
            "measure",
            str(folder / "clips"),
            "--profile",
            "animatediff",
            "--reference",
            str(folder / "reference"),
            "--out",
            str(folder / "out"),
            "--weights",
            f"raft={weights / 'raft-small.pth'}",
            "--weights",
            f"i3d={weights / 'i3d.pt'}",
            "--weights",
            f"face={weights / 'pack'}",
            "--weights",
            f"clip={weights / 'clip.pt'}",
        ]
        for round_ in ("first_s", "again_s"):
            result[round_], _ = timed(ours, threads=1)
        found = measured(folder / "out" / "report")
        for script in SLOW:
            again = [sys.executable, __file__, "--slow", script, "--folder", str(folder), "--weights", str(weights)]
            result["slow_s"][script], printed = timed(again, threads=CORES)
            for number, values in json.loads(printed.splitlines()[-1]).items():
                result["difference"][number] = largest_difference(values, found[number])
    total = sum(seconds for script, seconds in result["slow_s"].items() if script != "clip_one_pass")
    one_pass = total - result["slow_s"]["clip"] + result["slow_s"]["clip_one_pass"]
    return result | {
        "slow_total_s": total,
        "faster": total / result["first_s"],
        "faster_than_clip_in_one_pass": one_pass / result["first_s"],
        "again_faster": total / result["again_s"],
    }


def memory(counts: tuple[int, ...] = (32, 320)) -> dict[str, Any]:
    """Largest memory, in MiB, of the process that scores and of its workers, by the number of clips."""
    import av

    result: dict[str, Any] = {}
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for count in counts:
            for index in range(count):
                path = folder / str(count) / "mine" / f"clip-{index}.mkv"
                path.parent.mkdir(parents=True, exist_ok=True)
                frames = rng.integers(0, 255, (8, 64, 64, 3), dtype=np.uint8)
                with av.open(str(path), "w") as container:
                    stream = container.add_stream("ffv1", rate=8)
                    stream.width, stream.height, stream.pix_fmt = 64, 64, "bgr0"
                    for frame in frames:
                        container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, "rgb24")))
                    container.mux(stream.encode(None))
            again = [sys.executable, __file__, "--measure-memory", str(folder / str(count))]
            _, printed = timed(again, threads=1)
            result[str(count)] = json.loads(printed.splitlines()[-1])
    few, many = (result[str(count)] for count in counts)
    return result | {"growth": {process: many[process] / few[process] for process in few}}


def measure_here(folder: Path) -> None:
    """Measures with the miniature evaluators in this process and its workers; prints their largest memory in MiB."""
    from pvbench.measuring.imported import Given
    from pvbench.measuring.measure import measure
    from pvbench.measuring.request import MeasureRequest
    from pvbench.metrics import choose
    from pvbench.profile import load_profile

    metrics = choose("dynamic_degree,fvd,temporal_consistency,clip_t")
    measure(
        MeasureRequest(
            (folder,),
            load_profile("mini"),
            folder / "out",
            metrics,
            Given(prompt="a person nods"),
            reference=str(folder / "mine"),
        )
    )
    of = {"scoring": resource.RUSAGE_SELF, "worker": resource.RUSAGE_CHILDREN}
    print(json.dumps({process: round(resource.getrusage(who).ru_maxrss / 1024) for process, who in of.items()}))


def main() -> None:
    """Times everything and prints the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, default=None)
    parser.add_argument("--clips", type=int, default=32)
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--out", type=Path, default=None)
    parser.add_argument("--slow", choices=sorted(SLOW), default=None, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, default=None, help=argparse.SUPPRESS)
    parser.add_argument("--measure-memory", type=Path, default=None, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.slow:
        run_slow(asked.slow, asked.folder, asked.weights)
        return
    if asked.measure_memory:
        measure_here(asked.measure_memory)
        return
    if asked.weights is None and not asked.memory:
        parser.error("give --weights FOLDER, or --memory")
    text = json.dumps(memory() if asked.memory else compare(asked.clips, asked.weights), indent=1)
    print(text)
    if asked.out:
        asked.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
