"""Blind pairs: two rows' videos of one cell beside the person's photos, judged without knowing which row is which.

    python -m workshop.pairs draw runs/mini --out runs/pairs                      # pictures, and a key kept apart
    python -m workshop.pairs tally runs/mini --out runs/pairs one.csv two.csv     # the judges' answers
    pvbench report runs/mini                                                      # says what follows

A judge sees `pairs/NN.png` and writes a CSV with the columns pair and answer: A, B or tie, for which of the two is more
like the person of the photos. The tally brings the answers into the run's folder, as judgements of its rows; a judge is
called as the file is.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from pvbench.atomic import write_bytes, write_text
from pvbench.errors import ReportError
from pvbench.identity import load_identities
from pvbench.report.data import CellKey, Judgement
from pvbench.report.frame import scores
from pvbench.report.judged import write_judgements
from pvbench.report.pictures.drawing import INK, PAPER, picture_of, scaled, write
from pvbench.report.written import read_report
from pvbench.store import Store
from pvbench.video import read_video

ROWS = ("base", "dreambooth_lora", "personalvideo", "oracle")
TIE = "tie"
_SIDE, _GAP, _PHOTOS = 128, 8, 5


@dataclass(frozen=True)
class Pair:
    """Two rows of one cell, in the order in which a judge sees them."""

    number: int
    cell: CellKey
    a: str
    b: str


def draw_pairs(cells: Sequence[CellKey], rows: Sequence[str], count: int, seed: int) -> list[Pair]:
    """So many pairs: each combination of rows as often as another, each person about as often, sides at random."""
    rng = np.random.default_rng(seed)
    both = list(combinations(rows, 2))
    people = list(dict.fromkeys(cell.identity for cell in cells))
    own = {name: [cell for cell in cells if cell.identity == name] for name in people}
    order = [people[i] for _ in range(0, count, len(people)) for i in rng.permutation(len(people))]
    pairs = []
    for number in range(count):
        first, second = both[number % len(both)]
        if rng.random() < 0.5:
            first, second = second, first
        left = own[order[number]]
        cell = left[int(rng.integers(len(left)))]
        pairs.append(Pair(number + 1, cell, first, second))
    # Rows come in turn: shuffled, so that nothing follows from a pair's number.
    places = rng.permutation(count)
    return [Pair(i + 1, pairs[j].cell, pairs[j].a, pairs[j].b) for i, j in enumerate(places)]


def picture(photos: Sequence[Image.Image], films: Mapping[str, np.ndarray], number: int) -> Image.Image:
    """The photos above, then the frames (T, H, W, 3) of A and of B."""
    width = max(len(photos), *(len(film) for film in films.values())) * (_SIDE + _GAP) + 40
    sheet = Image.new("RGB", (width, (1 + len(films)) * (_SIDE + _GAP) + 3 * _GAP), PAPER)
    draw = ImageDraw.Draw(sheet)
    write(draw, (4, _GAP), f"{number}", 16, INK, bold=True)
    for i, photo in enumerate(photos):
        sheet.paste(scaled(photo, _SIDE).crop((0, 0, _SIDE, _SIDE)), (40 + i * (_SIDE + _GAP), _GAP))
    for row, (name, film) in enumerate(films.items(), start=1):
        top = row * (_SIDE + _GAP) + 2 * _GAP
        write(draw, (12, top), name, 20, INK, bold=True)
        for i, frame in enumerate(film):
            sheet.paste(picture_of(frame, _SIDE), (40 + i * (_SIDE + _GAP), top))
    return sheet


def draw(run: Path, out: Path, rows: Sequence[str], count: int, seed: int) -> None:
    """Pictures below `out/pairs`, and `out/key.json`, which judges must not see.

    Raises:
        ReportError: a row is not one of the run's.
    """
    report, table = read_report(run), scores(run)
    for row in rows:
        report.known(row)
    place = {
        (line.method, CellKey(line.identity, line.prompt, line.seed)): report.folder.parent / line.video
        for line in table[table.method.isin(rows)].drop_duplicates("video").itertuples()
    }
    cells = [cell for cell in dict.fromkeys(cell for _, cell in place) if all((row, cell) in place for row in rows)]
    pairs = draw_pairs(cells, rows, count, seed)
    photos = {one.name: [Image.fromarray(photo) for photo in one.references()[:_PHOTOS]] for one in load_identities()}
    for pair in pairs:
        films = {name: read_video(place[row, pair.cell]).frames for name, row in (("A", pair.a), ("B", pair.b))}
        content = io.BytesIO()
        picture(photos[pair.cell.identity], films, pair.number).save(content, format="PNG")
        write_bytes(out / "pairs" / f"{pair.number:02d}.png", content.getvalue())
    key = [{"number": pair.number, "cell": pair.cell._asdict(), "a": pair.a, "b": pair.b} for pair in pairs]
    write_text(out / "key.json", json.dumps(key, indent=1) + "\n")


def read_key(out: Path) -> list[Pair]:
    """The pairs that were drawn."""
    return [
        Pair(one["number"], CellKey(**one["cell"]), one["a"], one["b"])
        for one in json.loads((out / "key.json").read_text())
    ]


def read_answers(path: Path, pairs: Sequence[Pair]) -> dict[int, str]:
    """A judge's answers by the pair's number.

    Raises:
        ReportError: one is missing, given twice, or neither A, B nor tie.
    """
    found: dict[int, str] = {}
    with path.open(newline="") as file:
        for line in csv.DictReader(file):
            number, answer = int(line["pair"]), line["answer"].strip()
            answer = TIE if answer.lower() == TIE else answer.upper()
            if answer not in ("A", "B", TIE) or number in found:
                raise ReportError(f"{path}: pair {number} has the answer {answer!r}; expected one of A, B, tie, once")
            found[number] = answer
    missing = [pair.number for pair in pairs if pair.number not in found]
    if missing:
        raise ReportError(f"{path} lacks the pairs {', '.join(map(str, missing[:5]))}; expected one line for each pair")
    return found


def judgements(pairs: Sequence[Pair], answers: Mapping[str, Mapping[int, str]]) -> list[Judgement]:
    """What judges said of the rows, by the judge's name."""
    return [
        Judgement(judge, pair.cell, pair.a, pair.b, given[pair.number].lower())  # type: ignore[arg-type]
        for judge, given in answers.items()
        for pair in pairs
    ]


def main() -> None:
    """Draws pairs, or tallies answers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("draw", "tally"):
        command = commands.add_parser(name)
        command.add_argument("run", type=Path)
        command.add_argument("--out", type=Path, default=Path("runs/pairs"))
        if name == "draw":
            command.add_argument("--pairs", type=int, default=60)
            command.add_argument("--rows", default=",".join(ROWS))
            command.add_argument("--seed", type=int, default=0)
        else:
            command.add_argument("answers", type=Path, nargs="+")
    given = parser.parse_args()
    if given.command == "draw":
        draw(given.run, given.out, given.rows.split(","), given.pairs, given.seed)
        return
    pairs = read_key(given.out)
    found = {path.stem: read_answers(path, pairs) for path in given.answers}
    write_judgements(Store(given.run).judged_file, judgements(pairs, found))


if __name__ == "__main__":
    main()
