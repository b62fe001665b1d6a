"""Grid and tint: how far a row's videos are from the untuned model's where the person is not.

    python -m workshop.grid runs/mini personalvideo dreambooth_lora

Stripes are the power of the pattern whose period is one patch of the autoencoder, four pixels, over that of the periods
beside it: a shift of a whole latent channel draws the same pattern in every patch. The tint is how far the mean colour
of the upper corners, where the background is, lies from the untuned model's in the same cell. Nothing is chosen by
either.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from jaxtyping import Float, UInt8

from pvbench.errors import PvbenchError
from pvbench.report.data import CellKey
from pvbench.stats import sign_flip_p
from pvbench.store import Store
from pvbench.video import read_video

UNTUNED = "base"
_PATCH = 4
_CORNER = (1 / 2, 1 / 6)
"""Height and width of a corner, as shares of the frame's."""

Frames = UInt8[np.ndarray, "frames height width 3"]
Colour = Float[np.ndarray, "3"]


@dataclass(frozen=True)
class Marks:
    """What a row's videos have of grid and tint, as means over videos.

    Attributes:
        upright: power of upright stripes of a patch's period over that of neighbouring periods; 1 is none.
        level: the same of level stripes.
        tint: distance of the corners' mean colour from the untuned model's in the same cell, in grey levels of 255.
        p: of the upright stripes being the untuned model's, by sign flips over people; 1 of that model itself.
    """

    videos: int
    upright: float
    level: float
    tint: float
    p: float


_Line: TypeAlias = tuple[float, float, Colour]
"""Of one video: both kinds of stripes, and its corners' colour."""


def stripes(frames: Frames) -> tuple[float, float]:
    """Power of upright and of level stripes of a patch's period, each over the mean of four neighbouring periods'.

    Raises:
        PvbenchError: the frames are too small for neighbouring periods.
    """
    grey = frames.astype(float).mean(axis=-1)
    grey -= grey.mean(axis=(1, 2), keepdims=True)
    found = []
    for axis in (2, 1):
        size = grey.shape[axis]
        number = size // _PATCH
        if size % _PATCH or number < 8:
            raise PvbenchError(f"frames of {size} pixels; expected a multiple of {_PATCH}, from {8 * _PATCH} on")
        window = np.hanning(size).reshape([-1 if i == axis else 1 for i in range(3)])
        power = np.square(np.abs(np.fft.rfft(grey * window, axis=axis))).mean(axis=(0, 3 - axis))
        # The window spreads a pattern over the periods next to its own: those are left out.
        near = power[[number - 3, number - 2, number + 2, number + 3]].mean()
        found.append(float(power[number] / max(near, 1e-12)))
    return found[0], found[1]


def corners(frames: Frames) -> Colour:
    """The mean colour of both upper corners, over all frames."""
    height, width = (max(1, int(size * share)) for size, share in zip(frames.shape[1:3], _CORNER, strict=True))
    both = np.concatenate([frames[:, :height, :width], frames[:, :height, -width:]], axis=2)
    mean: Colour = both.astype(float).mean(axis=(0, 1, 2))
    return mean


def videos(run: Path, row: str) -> dict[CellKey, Path]:
    """The videos of a row, or of a folder below the run's `videos`: long names of rows are cut short there.

    Raises:
        PvbenchError: there are none, or a cell has videos of two versions of the row.
    """
    folder = Store(run).video_path("", row, "nobody", "none", 0).parents[1]
    if not folder.is_dir():
        folder = folder.parent / row
    found: dict[CellKey, Path] = {}
    for path in sorted(folder.glob("*/*.mkv")):
        match = re.fullmatch(r"(.+)-s(\d+)-[0-9a-f]+", path.stem)
        if match is None:
            raise PvbenchError(f"{path} is not named as a run's videos are")
        cell = CellKey(path.parent.name, match[1], int(match[2]))
        if cell in found:
            raise PvbenchError(f"{folder}: {path.name} and {found[cell].name} are videos of one cell; delete the older")
        found[cell] = path
    if not found:
        raise PvbenchError(f"{folder} has no videos; expected a run of {row}")
    return found


def marks(run: Path, rows: Sequence[str]) -> Mapping[str, Marks]:
    """Grid and tint of rows in the cells that all of them and the untuned model have.

    Raises:
        PvbenchError: the rows have no cell in common, or as `videos`.
    """
    places = {row: videos(run, row) for row in dict.fromkeys((UNTUNED, *rows))}
    cells = [cell for cell in places[UNTUNED] if all(cell in one for one in places.values())]
    if not cells:
        raise PvbenchError(f"{run}: {', '.join(places)} have no cell in common")
    read = {row: [_read(one[cell]) for cell in cells] for row, one in places.items()}
    people = [cell.identity for cell in cells]
    return {row: _summed_up(people, lines, read[UNTUNED]) for row, lines in read.items()}


def _read(path: Path) -> _Line:
    frames = read_video(path).frames
    return (*stripes(frames), corners(frames))


def _summed_up(people: Sequence[str], row: Sequence[_Line], untuned: Sequence[_Line]) -> Marks:
    upright, level = (np.array([line[i] for line in row]) for i in (0, 1))
    further = upright - np.array([line[0] for line in untuned])
    tints = [float(np.linalg.norm(one[2] - other[2])) for one, other in zip(row, untuned, strict=True)]
    who = np.array(people)
    means = np.array([further[who == name].mean() for name in dict.fromkeys(people)])
    p = sign_flip_p(means, np.random.default_rng(0))
    return Marks(len(row), float(upright.mean()), float(level.mean()), float(np.mean(tints)), p)


def main() -> None:
    """Prints a line for each row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="folder of a run")
    parser.add_argument("rows", nargs="+", help="rows of it, beside the untuned model")
    given = parser.parse_args()
    try:
        found = marks(given.run, given.rows)
    except PvbenchError as error:
        parser.exit(1, f"{error}\n")
    print("| row | videos | stripes, upright | stripes, level | tint | p of the upright ones |")
    print("|---|---:|---:|---:|---:|---:|")
    for row, one in found.items():
        print(f"| {row} | {one.videos} | {one.upright:.2f} | {one.level:.2f} | {one.tint:.1f} | {one.p:.2g} |")


if __name__ == "__main__":
    main()
