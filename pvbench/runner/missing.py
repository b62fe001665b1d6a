"""Weights that are missing: a run is refused, and a plan says what it would take; both name all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from pvbench.errors import WeightsError


class Missing:
    """What is said of weights that are missing or damaged.

    Attributes:
        tolerated: whether they are noted; otherwise the first is an error.
        messages: of each, what is wrong and what to do, once.
    """

    def __init__(self, tolerated: bool = False) -> None:
        self.tolerated = tolerated
        self.messages: list[str] = []

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Within it, weights that are missing end the block and are noted.

        Raises:
            WeightsError: they are not tolerated.
        """
        try:
            yield
        except WeightsError as error:
            if not self.tolerated:
                raise
            if str(error) not in self.messages:
                self.messages.append(str(error))

    def refuse(self) -> None:
        """Ends what cannot be done without the weights.

        Raises:
            WeightsError: some were noted; the message is that of all of them.
        """
        if self.messages:
            raise WeightsError("\n".join(self.messages))

    def signature(self, make: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
        """What `make` gives, or a signature that no weights have where these are missing.

        Raises:
            WeightsError: as `noted`.
        """
        with self.noted():
            return make()
        return {"missing": self.messages[-1]}
