"""Which files of the checkpoints that a profile names are missing: all at once, with their sizes and publishers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pvbench.errors import WeightsError
from pvbench.weights.layout import REPOSITORIES, Repository, find_checkpoint, read_json, shard_names, tensors_of

Alternatives = tuple[tuple[str, ...], ...]
"""Sets of files of which one has to be there."""
CLIP_WORDS: Alternatives = (("vocab.json", "merges.txt"), ("tokenizer.json",))
FAST_WORDS: Alternatives = (("tokenizer.json",),)
PIECES: Alternatives = (("spiece.model",), ("tokenizer.json",))
"""The files of a tokenizer: CLIP's, one of the tokenizers library, and T5's."""
SCHEDULE: Alternatives = (("scheduler_config.json",),)
CONFIG: Alternatives = (("config.json",),)


@dataclass(frozen=True)
class Parts:
    """What the folder of a checkpoint has to hold.

    Attributes:
        models: sub-folders that hold a network each; "" for the folder itself.
        others: by sub-folder, the files that are read of it.
    """

    models: tuple[str, ...] = ()
    others: Mapping[str, Alternatives] = field(default_factory=dict)


@dataclass(frozen=True)
class Wanted:
    """A checkpoint that a profile names.

    Attributes:
        where: what asks for it, such as a profile and its line.
        name: a path, or the name of a repository.
        parts: what its folder has to hold.
        published: a repository that has such a folder, for one that is named by its path.
        file: whether a single file will do.
    """

    where: str
    name: str
    parts: Parts
    published: str = ""
    file: bool = False


def find_whole(wanted: Sequence[Wanted]) -> dict[str, Path]:
    """The folders or files of checkpoints by `where`, after it was seen that nothing of them is missing.

    No file of tensors is read.

    Raises:
        WeightsError: some are nowhere, or lack files; the message names all of these, with their sizes and publishers.
    """
    found, wrong = {}, []
    for one in wanted:
        try:
            found[one.where] = _whole(one)
        except WeightsError as error:
            wrong.append(str(error))
    if wrong:
        raise WeightsError("\n".join(wrong))
    return found


def _whole(one: Wanted) -> Path:
    path = find_checkpoint(one.name, one.where)
    if path.is_file():
        if not one.file:
            raise WeightsError(
                f"{one.where}: {path} is a file; expected a folder in diffusers' layout, such as "
                f"{REPOSITORIES[one.published].url}: name the folder"
            )
        return path
    repository, named = _repository(one, path)
    lacking = list(_lacking(path, one.parts, repository))
    if lacking:
        raise WeightsError(
            f"{one.where}: {path} is not whole; {_how_to_get(path, repository, named)}. It lacks:\n"
            + "\n".join(f"  {line}" for line in lacking)
        )
    return path


def _repository(one: Wanted, path: Path) -> tuple[Repository | None, bool]:
    """The repository that a folder is a copy of, and whether its name says so."""
    of_name = [entry for entry in REPOSITORIES.values() if one.name == entry.name or path.name == _last(entry.name)]
    return (of_name[0], True) if of_name else (REPOSITORIES.get(one.published), False)


def _last(name: str) -> str:
    return name.rpartition("/")[2]


def _how_to_get(path: Path, repository: Repository | None, named: bool) -> str:
    if repository is None:
        return "fetch the missing files from where it came"
    terms = f"{repository.url} ({repository.gigabytes:g} GB in all; {repository.licence})"
    if not named:
        return f"fetch the missing files from where it came, for one {terms}"
    # Programs of huggingface.co complete their own cache without being told a folder.
    place = "" if path.parent.name == "snapshots" else f" --local-dir {path}"
    return f"it is published at {terms}, and this fetches what is missing: hf download {repository.name}{place}"


def lacking_of_model(folder: Path, stem: str, gigabytes: float | None = None) -> str:
    """The files of a network that are missing, with their size, in words; empty where all are there.

    Args:
        stem: what the file of its tensors is called, without its ending.
        gigabytes: of the tensors, as published; None where that is not known.
    """
    config = [] if (folder / "config.json").is_file() else ["config.json"]
    there = tensors_of(folder)
    if there is None:
        return f"{' and '.join([*config, f'{stem}.safetensors'])} ({size_in_words(gigabytes)})"
    shards, count = _missing_shards(there)
    if shards:
        rest = gigabytes if len(shards) == count else None
        told = size_in_words(_gigabytes_left(there, shards) or rest)
        return f"{' and '.join([*config, *shards])}, {len(shards)} of {count} shards ({told})"
    return f"{config[0]} ({size_in_words(None)})" if config else ""


def _lacking(folder: Path, parts: Parts, repository: Repository | None) -> Iterator[str]:
    """A line for every part that is not whole."""
    sizes = repository.parts if repository else {}
    for part in parts.models:
        stem = "model" if part.startswith("text_encoder") else "diffusion_pytorch_model"
        if said := lacking_of_model(folder / part, stem, sizes.get(part)):
            yield f"{part}/: {said}" if part else said
    for part, sets in parts.others.items():
        gone = [[name for name in names if not (folder / part / name).is_file()] for names in sets]
        if all(gone):
            yield f"{part}/: {', or '.join(' and '.join(names) for names in gone)} ({size_in_words(None)})"


def _missing_shards(index: Path) -> tuple[list[str], int]:
    """Names of the shards that are missing, and how many there should be; an index that is damaged is refused later."""
    if index.suffix != ".json":
        return [], 1
    try:
        names = shard_names(index)
    except WeightsError:
        return [], 0
    return [name for name in names if not (index.parent / name).is_file()], len(names)


def _gigabytes_left(index: Path, missing: Sequence[str]) -> float | None:
    """Gigabytes of missing shards: what the index says of all, without those that are there."""
    metadata = read_json(index).get("metadata")
    total = metadata.get("total_size") if isinstance(metadata, dict) else None
    if not isinstance(total, int | float):
        return None
    there = sum((index.parent / name).stat().st_size for name in shard_names(index) if name not in missing)
    return max(total - there, 0) / 1e9 or None


def size_in_words(gigabytes: float | None) -> str:
    """`about 25.6 GB`, `about 986 MB`, or `size not known`."""
    if gigabytes is None:
        return "size not known"
    return f"about {gigabytes:.3g} GB" if gigabytes >= 1 else f"about {gigabytes * 1000:.3g} MB"
