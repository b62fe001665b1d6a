"""ConsisID's evaluation as a manifest: its table of prompts, above folders `PICTURE--INDEX` with the videos of each.

Source: PKU-YuanGroup/ConsisID@90003e0 eval/eval_all_in_once.py, which writes the videos of a face picture and of a
prompt's row there, and asks with the column for women where the picture's name says woman.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from pvbench.errors import VideoError
from pvbench.video import VIDEO_SUFFIXES

COLUMNS = frozenset({"index", "Class", "Refined_man", "Refined_woman"})
"""The columns by which the table of prompts is known."""
_PICTURES = ("eval/face_images", "face_images")
_BETWEEN = "--"


def rows_of_consisid(path: Path, table: Mapping[int, Mapping[str, str]]) -> Iterator[tuple[int, dict[str, str]]]:
    """A manifest's row for each video below the table's folder, with the number of its prompt's line.

    A folder above those of single cells names the method. A row of a prompt that the table lacks has no prompt.

    Args:
        table: rows by line number, as `read_rows` gives them.

    Raises:
        VideoError: there are no such folders.
    """
    prompts = {row["index"]: (number, row) for number, row in table.items()}
    cells = sorted(
        folder
        for pattern in (f"*{_BETWEEN}*", f"*/*{_BETWEEN}*")
        for folder in path.parent.glob(pattern)
        if folder.is_dir()
    )
    found = False
    for folder in cells:
        picture, _, index = folder.name.rpartition(_BETWEEN)
        number, row = prompts.get(index, (0, {}))
        films = sorted(file for file in folder.iterdir() if file.suffix.lower() in VIDEO_SUFFIXES)
        for seed, film in enumerate(films):
            found = True
            yield (
                number,
                {
                    "video": os.path.relpath(film, path.parent),
                    "identity": _picture(path.parent, picture),
                    "prompt": _text(row, picture),
                    "method": "" if folder.parent == path.parent else folder.parent.name,
                    "seed": str(seed),
                },
            )
    if not found:
        raise VideoError(
            f"{path} lists the prompts of ConsisID's evaluation; expected it above folders PICTURE{_BETWEEN}INDEX with "
            f"the videos, and above {' or '.join(_PICTURES)} with the pictures"
        )


def _picture(folder: Path, name: str) -> str:
    """The face picture's path from the table's folder, or where it is expected."""
    there = (f"{place}/{name}" for place in _PICTURES if (folder / place / name).is_file())
    return next(there, f"{_PICTURES[0]}/{name}")


def _text(row: Mapping[str, str], picture: str) -> str:
    if not row:
        return ""
    return row["Refined_woman" if "woman" in picture else "Refined_man"].replace("{class_token}", row["Class"])
