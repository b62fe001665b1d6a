"""Published weights in the caches of their publishers' own programs: InsightFace's packs, OpenAI's CLIP.

Files of Hugging Face's cache are found by `pvbench.weights.layout`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from pvbench.weights.digests import digest_of


def cached_packs(name: str) -> tuple[Path, ...]:
    """Folders where insightface keeps a pack of that name; it unpacks antelopev2 one folder deeper."""
    folder = Path.home() / ".insightface" / "models" / name
    return folder, folder / name


def cached_folder(files: Mapping[str, str]) -> Path | None:
    """The folder of a cache that holds all files of published weights; None where there is none.

    Args:
        files: path below the weights folder -> sha256 in hex, as in `Published`; a file with another is none of them.
    """
    for folder, names in _folders(files):
        if all((folder / name).is_file() and sha in ("", digest_of(folder / name)) for name, sha in names.items()):
            return folder
    return None


def cached_others(files: Mapping[str, str]) -> tuple[Path, ...]:
    """Files of these names that lie in a cache and are not those of the publisher."""
    found = {folder / name: sha for folder, names in _folders(files) for name, sha in names.items()}
    return tuple(path for path, sha in found.items() if path.is_file() and sha not in ("", digest_of(path)))


def _folders(files: Mapping[str, str]) -> Iterator[tuple[Path, dict[str, str]]]:
    """The folders of caches that may hold all of the files, with the files' names there."""
    paths = {PurePosixPath(file): sha for file, sha in files.items()}
    names = {path.name: sha for path, sha in paths.items()}
    parents = {path.parent.parts for path in paths}
    if parents == {("clip",)}:
        yield Path.home() / ".cache" / "clip", names
    for parts in parents if len(parents) == 1 else ():
        if len(parts) == 2 and parts[0] == "insightface":
            yield from ((folder, names) for folder in cached_packs(parts[1]))
