"""The type check of the tests finds what does not fit: in functions, closures, dataclasses and shapes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from beartype.roar import BeartypeCallHintViolation
from checked_calls import jaxtyped
from jaxtyping import Float, TypeCheckError

if TYPE_CHECKING:
    from pathlib import Path


@jaxtyped
def half(number: float, *, of: list[int] | None = None) -> float:
    return number / 2


THREE: Any = 3


@jaxtyped
def wrong() -> str:
    return THREE


@jaxtyped
def seen_by_type_checkers(path: Path) -> Path:
    return path


@jaxtyped
def product(left: Float[np.ndarray, "rows inner"], right: Float[np.ndarray, "inner columns"]) -> float:
    return float((left @ right).sum())


@jaxtyped
@dataclass(frozen=True)
class Named:
    value: int


@jaxtyped
@dataclass(frozen=True)
class Told:
    value: str


def adder(more):
    @jaxtyped
    def add(number: int) -> int:
        """Closures of the same lines."""
        return number + more

    return add


def test_arguments_and_results_are_checked():
    assert half(3) == 1.5  # an int is a float
    for call in (lambda: half("3"), lambda: half(3.0, of=["a"]), wrong):
        with pytest.raises(BeartypeCallHintViolation):
            call()


def test_what_only_type_checkers_see_is_anything():
    assert seen_by_type_checkers(3) == 3


def test_shapes_are_checked_together():
    assert product(np.ones((2, 3)), np.ones((3, 2))) == 12
    with pytest.raises(TypeCheckError, match="inner=3"):
        product(np.ones((2, 3)), np.ones((2, 3)))


def test_dataclasses_of_like_fields_are_checked_by_their_own_types():
    assert (Named(1).value, Told("a").value) == (1, "a")
    swapped: Any = ((Named, "a"), (Told, 1))
    for kind, value in swapped:
        with pytest.raises(BeartypeCallHintViolation):
            kind(value)


def test_every_closure_is_itself_and_checked():
    one, two = adder(1), adder(2)
    assert (one(1), two(1)) == (2, 3)
    assert (two.__doc__, two.__name__) == ("Closures of the same lines.", "add")
    for closure in (one, two):
        with pytest.raises(BeartypeCallHintViolation):
            closure("a")


def test_functions_of_the_package_are_checked():
    from pvbench.digest import stable_seed
    from pvbench.report.gate import read_bars

    assert isinstance(stable_seed("a"), int)
    with pytest.raises(BeartypeCallHintViolation):
        read_bars(THREE)
