"""Errors that a user can fix: each says what is wrong, where, what was expected and what to do next."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable
from typing import ClassVar


class PvbenchError(Exception):
    """A mistake in the input or the surroundings; the command line prints its message and exits with `exit_status`."""

    exit_status: ClassVar[int] = 2


class IdentityError(PvbenchError):
    """An identity's folder, card or reference images cannot be used."""


class PromptError(PvbenchError):
    """A prompt or a file of prompts cannot be used."""


class ProfileError(PvbenchError):
    """A profile is missing, malformed, or does not fit what was asked."""


class MethodError(PvbenchError):
    """A method is unknown, does not load, or does not keep the `Method` interface."""


class SettingError(PvbenchError):
    """A method's setting is unknown or its value has the wrong type or range."""


class WeightsError(PvbenchError):
    """A weight file is missing, corrupt, or not the one its card names."""


class VideoError(PvbenchError):
    """A video cannot be read, or an array is not a video."""


class DeviceError(PvbenchError):
    """The device asked for is not there."""


class StoreError(PvbenchError):
    """A run folder cannot be read or written."""


class GenerationError(PvbenchError):
    """A method made no video, or something that is none, for one cell."""


class FaceError(PvbenchError):
    """A reference image shows no face, or more than one."""


class ReportError(PvbenchError):
    """A report cannot be written from what the run holds."""


class StudyError(PvbenchError):
    """A study is unknown, or its file makes no sense."""


class ExtraError(PvbenchError, ImportError):
    """A part of pvbench that is installed on demand, an extra, is not there."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """' (did you mean ...?)' for the known word nearest to `word`; '' when none is near."""
    lowered = {name.lower(): name for name in known}
    near = difflib.get_close_matches(word.lower(), list(lowered), n=1, cutoff=0.6)
    return f" (did you mean {lowered[near[0]]!r}?)" if near else ""


def first_line(error: BaseException) -> str:
    """The first line of an exception's message, or its class's name where it has none; 300 letters at most."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:300]


def readable(name: str | os.PathLike[str]) -> str:
    """A path, or a text with paths in it: where a name is no UTF-8, question marks stand for what cannot be read."""
    return os.fspath(name).encode("utf-8", "replace").decode()


def counted(count: int, noun: str, plural: str = "") -> str:
    """Such as `1 video`, `2 videos`; with a plural of its own, `2 people`."""
    return f"{count} {noun}" if count == 1 else f"{count} {plural or f'{noun}s'}"
