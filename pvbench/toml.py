"""Reading the TOML files that people write: cards, prompts and profiles, with errors that name file and field."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pvbench.errors import PvbenchError, did_you_mean


def read_toml(path: Path, error: type[PvbenchError]) -> dict[str, Any]:
    """What the file holds.

    Raises:
        PvbenchError: as the class `error`, for a file that cannot be read or is no TOML.
    """
    try:
        # Notepad begins a file with a mark that TOML does not know.
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as cause:
        raise error(f"{path} is no TOML: {cause}") from cause
    except OSError as cause:
        raise error(f"{path} cannot be read: {cause.strerror}; check its permissions") from cause


def only_fields(table: Mapping[str, Any], known: Iterable[str], where: str, error: type[PvbenchError]) -> None:
    """Nothing comes out; the table has no other fields.

    Raises:
        PvbenchError: as the class `error`, for a field that is not known, with the nearest that is.
    """
    known = tuple(known)
    for name in table:
        if name not in known:
            raise error(
                f"{where} has the unknown field {name!r}{did_you_mean(name, known)}; it takes {', '.join(known)}"
            )
