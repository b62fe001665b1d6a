"""Weights on disk: where they lie, what their manifest says they are, and the check that they are it.

A folder of weights holds one sub-folder a model and a `manifest.json` with the sha256 of every file. Signatures are
read from the manifest and cost nothing; a file is checked against it when it is opened.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path, PurePosixPath

from pvbench.digest import file_digest
from pvbench.errors import WeightsError, did_you_mean

MANIFEST = "manifest.json"


def weights_folder(name: str) -> Path:
    """The folder of the weights `name`: one that pvbench ships, or a path.

    Raises:
        WeightsError: there is no such folder or it has no manifest.
    """
    shipped = Path(__file__).parent
    folder = shipped / name
    if not (folder / MANIFEST).exists():
        folder = Path(name).expanduser()
    if not (folder / MANIFEST).exists():
        known = sorted(p.parent.name for p in shipped.glob(f"*/{MANIFEST}"))
        raise WeightsError(
            f"no weights {name!r}: neither shipped with pvbench ({', '.join(known) or 'none'}) nor a folder with a "
            f"{MANIFEST}{did_you_mean(name, known)}"
        )
    return folder


@cache
def _manifest(folder: Path, changed: int) -> dict[str, str]:
    path = folder / MANIFEST
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path} is not readable as JSON ({error}); restore it or pack the weights again") from error
    if not isinstance(found, dict) or not all(isinstance(v, str) for v in found.values()):
        raise WeightsError(f"{path} does not map files to sha256 sums; pack the weights again")
    for file in found:
        if not file or file != PurePosixPath(file).as_posix() or file.startswith("/") or ".." in file.split("/"):
            raise WeightsError(
                f"{path} lists {file!r}, which is not a plain path below its folder; pack the weights again"
            )
    return found


def manifest(folder: Path) -> dict[str, str]:
    """Sha256 in hex of every file, by its path relative to the folder."""
    path = folder / MANIFEST
    return _manifest(folder, path.stat().st_mtime_ns if path.exists() else 0)


def signature(folder: Path, *models: str) -> dict[str, str]:
    """First 16 hex digits of what each model's files digest to, from the manifest alone.

    Raises:
        WeightsError: the manifest lists no file of a model.
    """
    from pvbench.digest import digest

    listed = manifest(folder)
    found = {}
    for model in models:
        files = {
            file: sha for file, sha in listed.items() if file.split("/")[0] == model and not file.endswith("card.json")
        }
        if not files:
            raise WeightsError(f"{folder / MANIFEST} lists no files of {model!r}; train and pack it")
        found[model] = digest(files)[:16]
    return found


@cache
def _checked(path: Path, changed: int, size: int, wanted: str) -> None:
    found = file_digest(path)
    if found != wanted:
        raise WeightsError(
            f"{path} has sha256 {found[:16]}..., its manifest says {wanted[:16]}...; the file is damaged or was "
            f"replaced: restore it, or pack the folder again if the change was meant"
        )


def verified(folder: Path, model: str) -> Path:
    """The sub-folder of a model, after every file in it was checked against the manifest.

    Raises:
        WeightsError: a file is missing, or is not the one that the manifest names.
    """
    listed = {file: sha for file, sha in manifest(folder).items() if file.split("/")[0] == model}
    if not listed:
        raise WeightsError(f"{folder / MANIFEST} lists no files of {model!r}; train and pack it")
    for file, sha in listed.items():
        path = folder / file
        if not path.is_file():
            raise WeightsError(
                f"{path} is missing, though it is listed in {folder / MANIFEST}; restore it, or pack the weights again"
            )
        state = path.stat()
        _checked(path, state.st_mtime_ns, state.st_size, sha)
    return folder / model


def write_manifest(folder: Path) -> Path:
    """Lists every file below the folder with its sha256 and writes the manifest."""
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.name != MANIFEST)
    path = folder / MANIFEST
    path.write_text(json.dumps({p.relative_to(folder).as_posix(): file_digest(p) for p in files}, indent=1) + "\n")
    return path
