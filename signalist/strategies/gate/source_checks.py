"""What can be said of a strategy without any candle: that it is Python with its declarations, and that it imports what is there."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from signalist.sandbox import FailureKind
from signalist.sandbox.allowed import NO_BUILTINS, refusal
from signalist.strategies.gate.subject import Subject, manifest
from signalist.strategies.gate.values import Broke, Refused

LARGEST_SOURCE = 200_000
# What modules that may be imported have imported themselves.
INSIDES = ("sys", "os", "builtins", "modules")
NOW = ("now", "today")


def parse(subject: Subject) -> str:
    """The file is Python, has its declarations, and takes the parameters. Raises Refused."""
    if len(subject.source) > LARGEST_SOURCE:
        raise Refused(f"The file has {len(subject.source)} characters; a strategy has at most {LARGEST_SOURCE}.")
    with subject.started(live=True) as process:
        try:
            declared = manifest(process)
        except Broke as broke:
            if broke.used_too_much or _is_import(broke):
                raise
            raise Refused(broke.failed.message, broke.failed.line) from None
    if subject.promised is not None and declared.history != subject.promised:
        raise Refused(
            f"It looks at {declared.history} candles now and at {subject.promised} when its version was made."
        )
    if subject.promised is not None and dict(declared.values) != dict(subject.parameters):
        raise Refused("It declares other parameters now than when its version was made.")
    subject.history = declared.history
    return f"{len(declared.parameters)} parameters; looks at {declared.history} candles."


def imports(subject: Subject) -> str:
    """Every import and every call of a builtin that leads out is one that the sandbox grants. Raises Refused with the first line."""
    names, modules = [], set()
    for node in ast.walk(ast.parse(subject.source)):
        for name, line in _imported(node):
            reason = _refusal(name)
            if reason is not None:
                raise Refused(reason, line)
            if any(part.startswith("_") for part in name.split(".")[1:]):
                raise Refused(
                    f"A strategy may not import {name}: a module's names that begin with an underscore are its own.",
                    line,
                )
            names.append(name)
        if isinstance(node, ast.Import):
            modules |= {alias.asname or alias.name.partition(".")[0] for alias in node.names}
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in NO_BUILTINS:
            raise Refused(f"A strategy may not call {node.func.id}().", node.lineno)
    _no_way_out(subject.source, modules)
    _no_word_for_now(subject.source)
    return f"It imports {', '.join(sorted({name.partition('.')[0] for name in names} - {'__future__'})) or 'nothing'}."


def _no_way_out(source: str, modules: set[str]) -> None:
    """No look into a module's inside, where the interpreter's own modules are. Raises Refused with the first line."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Attribute):
            continue
        root: ast.AST = node
        while isinstance(root, ast.Attribute):
            root = root.value
        of_module = isinstance(root, ast.Name) and root.id in modules
        if of_module and (node.attr.startswith("_") or node.attr in INSIDES):
            raise Refused(f"A strategy may not use {ast.unparse(node)}: that is the module's own.", node.lineno)


def _no_word_for_now(source: str) -> None:
    """No text that numpy and pandas read as the true time, which no strategy gets. Raises Refused with the first line."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.strip().lower() in NOW:
            raise Refused(
                f"A strategy may not hold the text {node.value!r}, which numpy and pandas read as the true time; its time is that of its "
                "newest candle.",
                node.lineno,
            )


def _refusal(name: str) -> str | None:
    """Why a strategy may not import `name`, or None."""
    if name.startswith("."):
        return "A strategy is one file: there is nothing for it to import relatively."
    return refusal(name)


def broken_import(broke: Broke) -> Refused | None:
    """The refusal of `imports` for a file that could not be loaded because of one; None where it broke for another reason."""
    return Refused(broke.failed.message, broke.failed.line) if _is_import(broke) else None


def _is_import(broke: Broke) -> bool:
    failed = broke.failed
    missing = failed.kind is FailureKind.RAISED and failed.message.startswith(("ImportError", "ModuleNotFoundError"))
    return missing or failed.kind is FailureKind.FORBIDDEN


def _imported(node: ast.AST) -> Iterator[tuple[str, int]]:
    if isinstance(node, ast.Import):
        yield from ((alias.name, node.lineno) for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        module = "." * node.level + (node.module or "")
        yield module, node.lineno
        if not node.level:
            yield from ((f"{module}.{alias.name}", node.lineno) for alias in node.names if alias.name != "*")
