"""The type check of the tests: beartype, taking an int for a float as mypy does.

jaxtyping binds the arguments of every call and checks them twice, for the sake of shapes that few functions have. Those
that have none are checked by beartype alone, and closures, which are made again and again, are prepared once.
"""

import dataclasses
import functools
import inspect
from types import CodeType, FunctionType
from typing import Any, get_args, get_type_hints
from unittest.mock import patch

import jaxtyping
from beartype import BeartypeConf, beartype
from jaxtyping import _import_hook

check = beartype(conf=BeartypeConf(is_pep484_tower=True))
_WRAPPED = "__beartype_func"
_with_shapes = jaxtyping.jaxtyped
# By module, name and code, all of which closures of the same lines have in common.
_closures: dict[tuple[str, str, CodeType], tuple[CodeType, dict[str, Any], dict[str, Any]]] = {}


def jaxtyped(fn=None, *, typechecker=check):
    """In the place of jaxtyping's decorator, which its import hook puts on every function and class."""
    if fn is None:
        return functools.partial(jaxtyped, typechecker=typechecker)
    if isinstance(fn, FunctionType):
        return _of_closure(fn) if fn.__closure__ and "<locals>" in fn.__qualname__ else _checked(fn)
    if inspect.isclass(fn) and dataclasses.is_dataclass(fn) and isinstance(vars(fn).get("__init__"), FunctionType):
        fn.__init__ = _checked(fn.__init__)  # type: ignore[method-assign]
        return fn
    return _with_shapes(fn, typechecker=typechecker)


def leave_libraries_alone():
    """jaxtyping's byte code is looked for under a name of its own, and only that of the modules that it changes.

    Its loader changes the name while a module runs, too, so that whatever the module imports first, torch among it, is
    compiled from source: eight seconds in every process.
    """

    def exec_module(self, module):
        name = functools.partial(_import_hook._optimized_cache_from_source, self._typechecker.get_hash())
        with patch("importlib._bootstrap_external.cache_from_source", name):
            code = self.get_code(module.__name__)
        exec(code, vars(module))

    _import_hook._JaxtypingLoader.exec_module = exec_module  # type: ignore[method-assign]


def _checked(fn):
    hints = _hints(fn)
    if _has_shapes(hints):
        return _with_shapes(fn, typechecker=check)
    fn.__annotations__ = hints
    return check(fn)


def _of_closure(fn):
    """As `_checked`; beartype's wrapper has its function as a default, which another of the same code can replace."""
    key = fn.__module__, fn.__qualname__, fn.__code__
    if not all(isinstance(hint, str) for hint in fn.__annotations__.values()):
        # What is not a text may be another type in another closure.
        return _checked(fn)
    if key not in _closures:
        checked = _checked(fn)
        if _WRAPPED in (checked.__kwdefaults__ or {}) and not _has_shapes(_hints(fn)):
            # Without the function, which holds on to whatever it closes over.
            _closures[key] = checked.__code__, checked.__globals__, {**checked.__kwdefaults__, _WRAPPED: None}
        return checked
    code, names, defaults = _closures[key]
    again = FunctionType(code, names, fn.__name__)
    again.__kwdefaults__ = {**defaults, _WRAPPED: fn}
    return functools.update_wrapper(again, fn)


def _hints(fn):
    """The annotations as types; Any for those that only type checkers see, as jaxtyping takes them."""
    found = {}
    for name, hint in fn.__annotations__.items():
        try:
            found[name] = get_type_hints(_Of({name: hint}), fn.__globals__, include_extras=True)[name]
        except Exception:  # noqa: BLE001 - whatever a name may stand for
            found[name] = Any
    return found


class _Of:
    def __init__(self, annotations):
        self.__annotations__ = annotations


def _has_shapes(hint):
    if isinstance(hint, dict):
        return any(_has_shapes(one) for one in hint.values())
    if inspect.isclass(hint) and issubclass(hint, jaxtyping.AbstractArray):
        return True
    return any(_has_shapes(one) for one in get_args(hint))
