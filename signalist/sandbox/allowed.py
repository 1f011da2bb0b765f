"""What a strategy file may import and call: the second wall, whose job is a clear message. The first one is the kernel's.

Loaded by path in the sandbox, so it imports only the standard library. It holds for the strategy's own file; a library that the file
imports goes on importing what it needs.
"""

from __future__ import annotations

import builtins
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

IMPORTS = (
    "__future__", "abc", "bisect", "calendar", "cmath", "collections", "copy", "dataclasses", "datetime", "decimal", "enum",
    "fractions", "functools", "heapq", "itertools", "json", "math", "numbers", "numpy", "operator", "pandas", "random", "re",
    "signalist_strategy", "statistics", "string", "textwrap", "time", "typing", "warnings", "zoneinfo",
)  # fmt: skip
"""The modules, by the first part of their name."""

NO_BUILTINS = ("breakpoint", "compile", "eval", "exec", "input", "open")
# Parts of what is allowed that reach files or compile code of others.
NO_PARTS = ("numpy.ctypeslib", "numpy.distutils", "numpy.f2py", "numpy.testing", "pandas.io", "pandas.testing")


class ForbiddenError(Exception):
    """A strategy asked for what no strategy gets."""


def refusal(name: str) -> str | None:
    """Why a strategy may not import the module `name`; None when it may."""
    if name.split(".", maxsplit=1)[0] not in IMPORTS:
        return f"A strategy may not import {name}; it may import {', '.join(IMPORTS[1:])}."
    if any(name == part or name.startswith(f"{part}.") for part in NO_PARTS):
        return f"A strategy may not import {name}: it reaches files or compiles code."
    return None


def given_builtins() -> dict[str, Any]:
    """The builtins of a strategy's file: Python's, with a guarded import and without what needs files or code of others."""
    given = dict(vars(builtins))
    given["__import__"] = _import
    for name in NO_BUILTINS:
        given[name] = _refused(name)
    return given


def _import(
    name: str,
    globals: Mapping[str, object] | None = None,  # noqa: A002  # Python's own names
    locals: Mapping[str, object] | None = None,  # noqa: A002
    fromlist: Sequence[str] = (),
    level: int = 0,
) -> ModuleType:
    # A list: Python's own C code asks, in the name of whoever called it (datetime.strptime does).
    if isinstance(fromlist, list):
        return __import__(name, globals, locals, fromlist, level)
    if level:
        raise ForbiddenError("A strategy is one file: there is nothing for it to import relatively.")
    for asked in (name, *(f"{name}.{part}" for part in fromlist or ())):
        reason = refusal(asked)
        if reason is not None:
            raise ForbiddenError(reason)
    return __import__(name, globals, locals, fromlist, level)


def _refused(name: str) -> Any:
    def refuse(*_: object, **__: object) -> None:
        raise ForbiddenError(f"A strategy may not call {name}(): it has candles and parameters, and nothing else.")

    return refuse
