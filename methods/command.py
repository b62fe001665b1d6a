"""A method that is a command: somebody's code in an environment of its own, described in a TOML file."""

from __future__ import annotations

import os
import re
import shlex
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from pvbench.digest import digest
from pvbench.errors import GenerationError, SettingError
from pvbench.identity import Identity
from pvbench.keyword import at_least, photos_asked_for
from pvbench.machine.process import Ended, run_program
from pvbench.method import Adapter, Method, Request, place
from pvbench.profile import Profile
from pvbench.prompt import PromptSet
from pvbench.toml import only_fields, read_toml
from pvbench.video import Video, read_video

PLACEHOLDERS = (
    "photos", "photo", "prompt", "noun", "seed", "frames", "width", "height", "fps", "out", "folder",
)  # fmt: skip
_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_OF_PVBENCH = (
    "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV",
    "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS",
)  # fmt: skip
"""Variables of pvbench's own environment and of its workers, which another one does without."""
_VIDEOS = (".mp4", ".mkv", ".avi", ".webm", ".mov", ".gif")


@dataclass(frozen=True)
class Description:
    """What the TOML file says.

    Attributes:
        command: the program and its arguments, with placeholders in braces; no shell reads them.
        commit: of the repository; part of every key.
        folder: where the command runs; by default the file's own.
        suffix: of the file that `{out}` names.
        timeout_s: how long one video may take, in seconds.
        environment: further variables that are set.
        name, summary, source, licence, gpu_memory_gib: what it is, for readers; no part of a key.
    """

    command: tuple[str, ...]
    commit: str
    folder: Path
    suffix: str = ".mp4"
    timeout_s: float = 3600.0
    environment: Mapping[str, str] = field(default_factory=dict)
    name: str = ""
    summary: str = ""
    source: str = ""
    licence: str = ""
    gpu_memory_gib: float = 0.0

    @property
    def digest(self) -> str:
        """Of what may change a video."""
        return digest([self.command, self.commit, self.suffix, self.environment])


@dataclass(frozen=True)
class CommandSettings:
    """Settings of a command.

    Attributes:
        file: the TOML file that describes it.
        references: how many of the identity's photos it is given, the first ones; 0 is all of them.
    """

    file: str = place()
    references: int = 0

    def __post_init__(self) -> None:
        at_least("cannot be negative", self, ("references",), 0)


class Command(Method):
    """Videos by a program that reads photos and a prompt and writes a video."""

    name: ClassVar[str] = "command"
    version: ClassVar[int] = 1
    summary: ClassVar[str] = "a command in an environment of its own, described in a TOML file"
    tunes: ClassVar[bool] = False
    uses_backbone: ClassVar[bool] = False
    in_all: ClassVar[bool] = False
    Settings: ClassVar[type] = CommandSettings
    settings: CommandSettings

    @classmethod
    def check(cls, settings: Any, profile: Profile, identities: Sequence[Identity], prompts: PromptSet) -> None:
        """Refuses a file that describes no command, and more photos than an identity has.

        Raises:
            SettingError: for either.
        """
        read_description(settings.file)
        for identity in identities:
            photos_asked_for(identity, settings.references)

    @classmethod
    def files_digest(cls, settings: Any, identity: Identity) -> str:
        """Of what the file says of the command."""
        return read_description(settings.file).digest

    @classmethod
    def licence(cls, settings: Any) -> str:
        """As the file has it."""
        return read_description(settings.file).licence

    @classmethod
    def gpu_gib(cls, settings: Any) -> float:
        """As the file has it."""
        return read_description(settings.file).gpu_memory_gib

    def generate(self, identity: Identity, adapter: Adapter | None, requests: Sequence[Request]) -> Iterator[Video]:
        """One video for each request, each by one call of the command.

        Raises:
            GenerationError: the command fails, takes too long or writes no video.
        """
        described = read_description(self.settings.file)
        count = photos_asked_for(identity, self.settings.references)
        photos = [str(path.resolve()) for path in identity.images[:count]]
        for request in requests:
            with tempfile.TemporaryDirectory(prefix="pvbench-") as folder:
                out = Path(folder) / f"video{described.suffix}"
                values = self._values(identity, request, photos, out)
                arguments = [one for part in described.command for one in filled(part, values)]
                _check_ended(_run(described, arguments), described, arguments)
                yield read_video(_written(out, described))

    def _values(
        self, identity: Identity, request: Request, photos: Sequence[str], out: Path
    ) -> dict[str, Sequence[str]]:
        """What stands for each placeholder; several texts for several photos."""
        sampling = self.profile.sampling
        one = {
            "photo": photos[0],
            "prompt": request.prompt.render(identity.class_noun),
            "noun": identity.class_noun,
            # Random generators of numpy take 32 bits, and many programs take an int of C.
            "seed": str(request.noise_seed % 2**31),
            "frames": str(sampling.frames),
            "width": str(sampling.width),
            "height": str(sampling.height),
            "fps": f"{sampling.fps:g}",
            "out": str(out),
            "folder": str(out.parent),
        }
        return {**{name: [value] for name, value in one.items()}, "photos": photos}


def filled(part: str, values: Mapping[str, Sequence[str]]) -> list[str]:
    """The arguments that a part of a command becomes: several where it is `{photos}` and nothing else.

    Within a longer part photos are joined by commas. What is put in is not looked into again.
    """
    whole = _PLACEHOLDER.fullmatch(part)
    if whole and whole[1] in values:
        return list(values[whole[1]])
    return [_PLACEHOLDER.sub(lambda found: ",".join(values.get(found[1], [found[0]])), part)]


def read_description(file: str) -> Description:
    """What a TOML file says of a command.

    Raises:
        SettingError: no file is set, it is missing or no TOML, or a field is missing, unknown or of the wrong type.
    """
    if not file:
        raise SettingError("method 'command' needs a file: command[file=phantom.toml], which describes it")
    path = Path(file).expanduser()
    table = read_toml(path, SettingError)
    only_fields(table, Description.__dataclass_fields__, str(path), SettingError)
    command = table.get("command")
    if not isinstance(command, list) or not command or not all(isinstance(part, str) for part in command):
        raise SettingError(f"{path}: command is {command!r}; expected a list of texts: the program and its arguments")
    _check_placeholders(path, command)
    texts = {name: _text(path, table, name) for name in ("commit", "suffix", "name", "summary", "source", "licence")}
    if not texts["commit"]:
        raise SettingError(f"{path} lacks commit; say which version of the code it is: keys of videos rest on it")
    return Description(
        command=tuple(command),
        folder=path.parent / Path(_text(path, table, "folder")).expanduser(),
        environment=_environment(path, table.get("environment", {})),
        timeout_s=_number(path, table, "timeout_s", 3600.0),
        gpu_memory_gib=_number(path, table, "gpu_memory_gib", 0.0),
        **{**texts, "suffix": texts["suffix"] or ".mp4"},
    )


def _check_placeholders(path: Path, command: Sequence[str]) -> None:
    named = {name for part in command for name in _PLACEHOLDER.findall(part)}
    if wrong := sorted(named - set(PLACEHOLDERS)):
        raise SettingError(f"{path}: command has {{{wrong[0]}}}; known: {', '.join(PLACEHOLDERS)}")
    for needed in (("prompt",), ("photos", "photo"), ("out", "folder")):
        if not named & set(needed):
            expected = " or ".join(f"{{{name}}}" for name in needed)
            raise SettingError(f"{path}: command lacks {expected}; put it where the program takes it")


def _text(path: Path, table: Mapping[str, Any], name: str) -> str:
    found = table.get(name, "")
    if not isinstance(found, str):
        raise SettingError(f"{path}: {name} is {found!r}; expected a text")
    return found


def _number(path: Path, table: Mapping[str, Any], name: str, default: float) -> float:
    found = table.get(name, default)
    if isinstance(found, bool) or not isinstance(found, int | float) or found < 0 or (name in table and found == 0):
        raise SettingError(f"{path}: {name} is {found!r}; expected a positive number")
    return float(found)


def _environment(path: Path, found: Any) -> dict[str, str]:
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise SettingError(f"{path}: environment is {found!r}; expected a table of texts")
    return dict(found)


def _run(described: Description, arguments: Sequence[str]) -> Ended:
    ours = {name: value for name, value in os.environ.items() if name not in _OF_PVBENCH}
    try:
        return run_program(arguments, described.folder, {**ours, **described.environment}, described.timeout_s)
    except OSError as error:
        raise GenerationError(
            f"{arguments[0]} cannot be run in {described.folder}: {error.strerror}; see command and folder in the "
            f"description"
        ) from error


def _check_ended(ended: Ended, described: Description, arguments: Sequence[str]) -> None:
    if ended.status == 0:
        return
    how = f"was ended after {described.timeout_s:g} s" if ended.status is None else f"ended with {ended.status}"
    raise GenerationError(
        f"the command {how}{f': {ended.in_words}' if ended.in_words else ''}; workers.log has its output. It was "
        f"{shlex.join(arguments)}"
    )


def _written(out: Path, described: Description) -> Path:
    """The video: the file that was asked for, or the only one in its folder."""
    if out.exists():
        return out
    found = [path for path in sorted(out.parent.rglob("*")) if path.suffix.lower() in _VIDEOS]
    if len(found) != 1:
        raise GenerationError(
            f"the command wrote {len(found)} videos in place of {out.name}; expected one at {{out}}, or one in "
            f"{{folder}}"
        )
    return found[0]
