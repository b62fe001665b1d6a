"""Somebody's program: reads photos and a prompt, and writes a video whose colours come from them; not of pvbench."""

import argparse
import hashlib
import os
import sys
import time
from pathlib import Path

import av
import numpy as np

parser = argparse.ArgumentParser()
parser.add_argument("--photos", nargs="+", required=True)
parser.add_argument("--prompt", required=True)
for name in ("seed", "frames", "width", "height", "fps"):
    parser.add_argument(f"--{name}", type=int, required=True)
parser.add_argument("--out", required=True)
given = parser.parse_args()

print(f"making {given.prompt!r} of {len(given.photos)} photos", flush=True)
wish = os.environ.get("STUB", "")
if wish == "fails":
    print("CUDA out of memory", file=sys.stderr)
    sys.exit(3)
if wish == "hangs":
    time.sleep(600)
if wish == "writes nothing":
    sys.exit(0)

seen = [Path(path).read_bytes() for path in given.photos]
base = hashlib.sha256(b"".join([*seen, given.prompt.encode(), str(given.seed).encode()])).digest()
height = given.height + (2 if wish == "another size" else 0)
with av.open(given.out, "w") as container:
    stream = container.add_stream("ffv1", rate=given.fps)
    stream.width, stream.height, stream.pix_fmt = given.width, height, "bgr0"
    for number in range(given.frames):
        colours = np.frombuffer(base, np.uint8)[:3].astype(int) + 3 * number
        frame = np.broadcast_to(colours % 256, (height, given.width, 3)).astype(np.uint8)
        container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), "rgb24")))
    container.mux(stream.encode())
