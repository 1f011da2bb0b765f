"""What can be said of a strategy without any candle: that it is Python with its declarations, and that it imports what is there."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from signalist.sandbox import FailureKind
from signalist.strategies.gate.subject import Subject, manifest
from signalist.strategies.gate.values import Broke, Refused

LARGEST_SOURCE = 200_000
ALLOWED = frozenset(
    "__future__ abc bisect calendar cmath collections copy dataclasses datetime decimal enum fractions functools heapq itertools json math "
    "numbers numpy operator pandas random re signalist_strategy statistics string textwrap time typing warnings zoneinfo".split()
)
# Parts of numpy and pandas that reach files or compile code.
NOT_ALLOWED = ("numpy.ctypeslib", "numpy.distutils", "numpy.f2py", "numpy.testing", "pandas.io", "pandas.testing")
NO_CALLS = frozenset("__import__ breakpoint compile eval exec input open".split())


def parse(subject: Subject) -> str:
    """The file is Python, has its declarations, and takes the parameters. Raises Refused."""
    if len(subject.source) > LARGEST_SOURCE:
        raise Refused(f"The file has {len(subject.source)} characters; a strategy has at most {LARGEST_SOURCE}.")
    with subject.started() as process:
        try:
            declared = manifest(process)
        except Broke as broke:
            if broke.used_too_much or _is_import(broke):
                raise
            raise Refused(broke.failed.message, broke.failed.line) from None
    subject.history = declared.history
    return f"{len(declared.parameters)} parameters; looks at {declared.history} candles."


def imports(subject: Subject) -> str:
    """Every import and every call of a builtin that leads out is one that the sandbox grants. Raises Refused with the first line."""
    names = []
    for node in ast.walk(ast.parse(subject.source)):
        for name, line in _imported(node):
            reason = refusal(name)
            if reason is not None:
                raise Refused(reason, line)
            names.append(name)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in NO_CALLS:
            raise Refused(f"A strategy may not call {node.func.id}().", node.lineno)
    return f"It imports {', '.join(sorted({name.partition('.')[0] for name in names} - {'__future__'})) or 'nothing'}."


def refusal(name: str) -> str | None:
    """Why a strategy may not import `name`, or None."""
    if name.startswith("."):
        return "A strategy is one file: there is nothing for it to import relatively."
    if name.partition(".")[0] not in ALLOWED:
        return f"A strategy may not import {name}; it may import {', '.join(sorted(ALLOWED - {'__future__'}))}."
    if any(name == part or name.startswith(f"{part}.") for part in NOT_ALLOWED):
        return f"A strategy may not import {name}: it reaches files or compiles code."
    return None


def broken_import(broke: Broke) -> Refused | None:
    """The refusal of `imports` for a file that could not be loaded because of one; None where it broke for another reason."""
    return Refused(broke.failed.message, broke.failed.line) if _is_import(broke) else None


def _is_import(broke: Broke) -> bool:
    said = broke.failed.message
    missing = said.startswith(("ImportError", "ModuleNotFoundError", "A strategy may not import"))
    return missing and broke.failed.kind not in (FailureKind.SYNTAX, FailureKind.DECLARATION)


def _imported(node: ast.AST) -> Iterator[tuple[str, int]]:
    if isinstance(node, ast.Import):
        yield from ((alias.name, node.lineno) for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        module = "." * node.level + (node.module or "")
        yield module, node.lineno
        if not node.level:
            yield from ((f"{module}.{alias.name}", node.lineno) for alias in node.names if alias.name != "*")
