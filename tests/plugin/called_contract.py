"""A contract's tests as plain calls: which of them does a broken plug-in fail?"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest


def failing(suite: object, **fixtures: Callable[[], Any]) -> set[str]:
    """Names of the contract's tests that fail; those that are skipped do not.

    Args:
        fixtures: by name, what makes the value that a test asks for, or skips it; each test gets values of its own.
    """
    found = set()
    for name, test in inspect.getmembers(suite, inspect.ismethod):
        if not name.startswith("test_"):
            continue
        asked = {fixture: fixtures[fixture] for fixture in inspect.signature(test).parameters}
        try:
            test(**{fixture: make() for fixture, make in asked.items()})
        except pytest.skip.Exception:
            continue
        except (Exception, pytest.fail.Exception):  # noqa: BLE001 - as pytest counts
            found.add(name)
    return found
