"""Which of the optional packages are installed: reports are read without torch, runs and measurements need it."""

from __future__ import annotations

import importlib.util

from pvbench.errors import ExtraError

RUN = ("torch", "torchvision", "diffusers", "transformers", "peft", "open_clip", "timm", "cv2", "tqdm")
"""The modules of the extra `run`."""


def lacking(modules: tuple[str, ...] = RUN) -> list[str]:
    """Those of the modules that are not installed."""
    return [name for name in modules if not _installed(name)]


def check_run_extra(purpose: str) -> None:
    """Asks for the extra `run` before anything is begun.

    Args:
        purpose: what needs it, as the subject of a sentence.

    Raises:
        ExtraError: a package of it is not installed.
    """
    if names := lacking():
        raise ExtraError(f'{purpose} needs {", ".join(names)}, not installed here: pip install "pvbench[run]"')


def _installed(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except (ValueError, ModuleNotFoundError):  # a module that is halted, or None in its place
        return False
