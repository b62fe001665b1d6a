"""`pvbench measure` beside the public scripts, one after the other, on the same clips with the same weights.

    python benchmarks/measure.py --weights FOLDER [--clips 32] [--out measure.json]
    python benchmarks/measure.py --memory

FOLDER holds `raft-small.pth`, a face pack `pack/`, `i3d.pt`; CLIP's weights are drawn at random (they change no time).
The public scripts are those of `public_scripts.py`; their values are compared with pvbench's.

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
from pathlib import Path
from typing import Any

import numpy as np
from public_scripts import SLOW, Values

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
