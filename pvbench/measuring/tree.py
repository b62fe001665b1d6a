"""What lies below a folder: videos, folders of frames, and files that are neither."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

from pvbench.identity import CARD
from pvbench.video import PICTURE_SUFFIXES, VIDEO_SUFFIXES, is_video_file

_REPORT = "aggregates.json"


class Below(NamedTuple):
    """What lies below a folder, in the order of the paths.

    Attributes:
        videos: whatever is named as a video is, pictures that move, and folders whose pictures are a video's frames;
            links to nowhere and folders that cannot be read are among them, so that reading them says what is wrong.
        others: files that are passed over.
    """

    videos: list[Path]
    others: list[Path]


def look_below(folder: Path, besides: Collection[Path] = ()) -> Below:
    """Everything below a folder; links are followed.

    Args:
        besides: folders that are not looked into; a report's is not either, whose pictures are filmstrips.
    """
    found = Below([], [])
    for path in sorted(_inside(folder, (), {path.resolve() for path in besides})):
        (found.videos if path.is_dir() or is_video_file(path) else found.others).append(path)
    return found


def _inside(folder: Path, above: tuple[Path, ...], besides: Collection[Path]) -> Iterator[Path]:
    """Files and single videos below a folder; `above` are those that it lies in, into which a link may lead back."""
    true = folder.resolve()
    if true in above or true in besides or (folder / _REPORT).is_file():
        return
    try:
        items = _shown(folder)
    except OSError:
        yield folder
        return
    for item in items:
        if not item.is_dir() or is_one_video(item):
            yield item
        else:
            yield from _inside(item, (*above, true), besides)


def is_one_video(folder: Path) -> bool:
    """Whether a folder holds pictures, or is named as a video is, and has neither videos nor folders in it."""
    try:
        items = _shown(folder)
    except OSError:
        return True
    if (folder / CARD).is_file() or any(item.is_dir() or is_video_file(item) for item in items):
        return False
    return folder.suffix.lower() in VIDEO_SUFFIXES or any(item.suffix.lower() in PICTURE_SUFFIXES for item in items)


def _shown(folder: Path) -> list[Path]:
    return [item for item in folder.iterdir() if not item.name.startswith(".")]
