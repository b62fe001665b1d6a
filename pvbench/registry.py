"""One registry for every kind of part: names, or texts `module:object`, to classes. Importing it loads no part."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, TypeVar

from pvbench.errors import PvbenchError, did_you_mean

Part = TypeVar("Part")


class Registry(Generic[Part]):
    """The parts of one kind that are installed: classes that the entry points of `pvbench.<kind>s` name.

    A part of the user's own need not be installed: `module:object` names it as well. Whatever a plug-in raises when it
    is imported becomes an error of pvbench that names the plug-in, so that one that is broken stops nothing but itself.

    Args:
        kind: what the parts are, such as "method".
        base: the class that every part derives from.
        error: what is raised for a part that cannot be used.
        attributes: class attributes that a part must have besides `name`.
        check: looks at a class further; given how to name it in an error, and the class.
    """

    def __init__(
        self,
        kind: str,
        base: type[Part],
        error: type[PvbenchError],
        attributes: tuple[str, ...] = (),
        check: Callable[[str, type[Part]], None] | None = None,
    ) -> None:
        self.kind, self.base, self.error = kind, base, error
        self.group = f"pvbench.{kind}s"
        self._attributes, self._check = ("name", *attributes), check
        self._loaded: dict[str, type[Part]] = {}

    def names(self) -> tuple[str, ...]:
        """Names of the installed parts, in alphabetical order; none of them is imported."""
        return tuple(sorted(self.entries))

    def get(self, name: str, where: str = "") -> type[Part]:
        """The class of that name, or the one that `module:object` leads to.

        Args:
            where: what stands before the error's message, such as a profile and its table.

        Raises:
            PvbenchError: `error` for an unknown name, two packages that bring the same one, or a class that does not
                import or does not keep the interface.
        """
        if name not in self._loaded:
            self._loaded[name] = self._load(name, f"{where}: " if where else "")
        return self._loaded[name]

    @cached_property
    def entries(self) -> Mapping[str, tuple[EntryPoint, ...]]:
        """Entry points by name; more than one where packages bring the same name."""
        found: dict[str, tuple[EntryPoint, ...]] = {}
        for entry in entry_points(group=self.group):
            others = found.get(entry.name, ())
            # A checkout that is installed twice lists the same class twice.
            if entry.value not in {other.value for other in others}:
                found[entry.name] = (*others, entry)
        return found

    def _load(self, name: str, where: str) -> type[Part]:
        if ":" in name:
            cls = self._imported(lambda: _resolve(name), f"{where}{self.kind} {name!r} does not import")
            self._keeps_interface(cls, f"{where}{self.kind} {name!r}", name)
            own: type[Part] = cls
            return own
        entries = self.entries.get(name, ())
        if not entries:
            known = self.names()
            raise self.error(
                f"{where}unknown {self.kind} {name!r}{did_you_mean(name, known)}; installed: {', '.join(known)}"
            )
        if len(entries) > 1:
            values = " and ".join(entry.value for entry in entries)
            raise self.error(
                f"{where}two installed packages bring a {self.kind} {name!r}: {values}; uninstall one of them"
            )
        value = entries[0].value
        cls = self._imported(entries[0].load, f"{where}{self.kind} {name!r} does not import from {value}")
        self._keeps_interface(cls, f"{where}{self.kind} {name!r}", value)
        if cls.name != name:
            raise self.error(
                f"{where}{self.kind} {name!r}: {value} calls itself {cls.name!r}; give the entry point the same name"
            )
        found: type[Part] = cls
        return found

    def _imported(self, load: Callable[[], Any], what: str) -> Any:
        try:
            return load()
        # A plug-in may raise anything, and may even call sys.exit; it is reported by its name.
        except (Exception, SystemExit) as error:
            reason = f"{type(error).__name__}: {error}" if not isinstance(error, ImportError) else str(error)
            raise self.error(f"{what} ({reason}); fix or uninstall the package that brings it") from error

    def _keeps_interface(self, cls: Any, where: str, value: str) -> None:
        if not (isinstance(cls, type) and issubclass(cls, self.base)):
            expected = f"{self.base.__module__}.{self.base.__qualname__}"
            raise self.error(f"{where}: {value} is {cls!r}; expected a subclass of {expected}")
        for attribute in self._attributes:
            if not hasattr(cls, attribute):
                raise self.error(
                    f"{where}: {value} lacks the class attribute {attribute}; see "
                    f"{self.base.__module__}.{self.base.__qualname__}"
                )
        if self._check is not None:
            self._check(f"{where}: {value}", cls)


def _resolve(text: str) -> Any:
    module, _, path = text.partition(":")
    found: Any = importlib.import_module(module)
    for name in path.split("."):
        found = getattr(found, name)
    return found
