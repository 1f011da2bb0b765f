"""Reads from the source where the pipeline commits and calls venues, and what is not marked there as a place to die."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

SIGNALIST = Path(__file__).resolve().parents[2] / "signalist"
UNITS = {"unit", "statement_unit"}
_CALLED = re.compile(rf"\b({'|'.join(sorted(UNITS))}|failpoint)\s*\(")
VENUE_METHODS = {
    "place",
    "cancel",
    "amend",
    "look_up",
    "reports",
    "balance",
    "positions",
    "open_orders",
    "take_down",
    "history",
}
# People call these, not the engine: a person sees whether it was done, and the unique key makes a repetition harmless.
BY_PEOPLE = {"actions.py"}
# How a commit can be written down past a unit. Within a unit, `atomic` is a savepoint and commits nothing.
PAST_A_UNIT = {"atomic", "commit", "set_autocommit", "non_atomic_requests"}


@dataclass(frozen=True, slots=True)
class Marker:
    """A failpoint: its name, and where it is written down."""

    name: str
    place: str


def markers(root: Path = SIGNALIST) -> list[Marker]:
    """Every failpoint in the Python files under `root`; that of a unit stands behind its commit."""
    return [marker for path in _sources(root) for marker in _markers(path.name, path.read_text(encoding="utf-8"))]


def violations(root: Path) -> list[str]:
    """What in the stages under `root` is not marked, a sentence each."""
    stages = [path for path in _sources(root) if path.name not in BY_PEOPLE]
    texts = [(path.name, path.read_text(encoding="utf-8")) for path in stages]
    found = [problem for text in texts for problem in _commits(*text)]
    found += [problem for text in texts for problem in _venue_calls(*text)]
    named = Counter(marker.name for marker in markers(root))
    found += [f"{name} is the name of {count} places" for name, count in named.items() if count > 1]
    return found


@cache
def _markers(file: str, text: str) -> list[Marker]:
    found: list[Marker] = []
    if not _CALLED.search(text):
        return found  # four files of five, which need not be read word by word
    for call in _calls(ast.parse(text, file)):
        name, said = _called_name(call), _literal(call)
        if said is not None and name in UNITS | {"failpoint"}:
            found.append(Marker(said if name == "failpoint" else f"{said}.committed", _place(file, call)))
    return found


# --- Commits -------------------------------------------------------------------------------------


@cache
def _commits(file: str, text: str) -> list[str]:
    """Transactions past a unit, and units whose name is not written out."""
    return list(_past_a_unit(file, ast.parse(text, file)))


def _past_a_unit(file: str, tree: ast.Module) -> Iterator[str]:
    savepoints = {id(node) for node in _savepoints(tree)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute | ast.Name) and _word(node) in PAST_A_UNIT and id(node) not in savepoints:
            yield f"{_place(file, node)}: {_word(node)} commits past a unit"
        if isinstance(node, ast.Call) and _called_name(node) in UNITS and _literal(node) is None:
            yield f"{_place(file, node)}: the name of a unit is not written out"
        if isinstance(node, ast.With) and _is_unit(node):
            yield from _nested(file, node)


def _savepoints(tree: ast.Module) -> Iterator[ast.AST]:
    """Every `atomic` in a function that is called, and only from within units."""
    functions = _functions(tree)
    within = {id(call) for other in functions for unit in _units(other) for call in _calls(unit)}
    for function in functions:
        found = [node for node in ast.walk(function) if _word(node) == "atomic"]
        if not found:
            continue
        called = [call for other in functions for call in _calls(other) if _called_name(call) == function.name]
        if called and all(id(call) in within for call in called):
            yield from found


def _units(function: ast.AST) -> Iterator[ast.With]:
    return (node for node in ast.walk(function) if isinstance(node, ast.With) and _is_unit(node))


def _is_unit(node: ast.With) -> bool:
    return any(isinstance(i.context_expr, ast.Call) and _called_name(i.context_expr) in UNITS for i in node.items)


def _nested(file: str, unit: ast.With) -> Iterator[str]:
    """A unit within a unit does not commit where its failpoint stands."""
    for statement in unit.body:
        for call in _calls(statement):
            if _called_name(call) in UNITS:
                yield f"{_place(file, call)}: a unit within a unit"


# --- Calls of venues -----------------------------------------------------------------------------


@cache
def _venue_calls(file: str, text: str) -> list[str]:
    """Calls of a session that do not stand between two failpoints, nor does every call of the function that makes them."""
    return list(_bare_calls(file, _functions(ast.parse(text, file))))


def _bare_calls(file: str, functions: Sequence[ast.FunctionDef | ast.AsyncFunctionDef]) -> Iterator[str]:
    for function in functions:
        bare = [call for call in _calls(function) if _is_venue_call(call) and not _between(function, call)]
        if not bare:
            continue
        callers = [
            (other, call) for other in functions for call in _calls(other) if _called_name(call) == function.name
        ]
        if not callers or not all(_between(other, call) for other, call in callers):
            for call in bare:
                assert isinstance(call.func, ast.Attribute)
                yield f"{_place(file, call)}: {call.func.attr} is called without a failpoint before and behind it"


def _is_venue_call(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Attribute) and call.func.attr in VENUE_METHODS


def _between(function: ast.AST, call: ast.Call) -> bool:
    """Whether the block that holds `call` has a failpoint before and one behind its statement."""
    for block in _blocks(function):
        for index, statement in enumerate(block):
            holds = any(node is call for node in ast.walk(statement))
            if holds and _has_failpoint(block[:index]) and _has_failpoint(block[index + 1 :]):
                return True
    return False


def _blocks(function: ast.AST) -> Iterator[Sequence[ast.stmt]]:
    for node in ast.walk(function):
        for name in ("body", "orelse", "finalbody"):
            block = getattr(node, name, None)
            if isinstance(block, list):
                yield block


def _has_failpoint(statements: Sequence[ast.stmt]) -> bool:
    return any(
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Call)
        and _called_name(statement.value) == "failpoint"
        for statement in statements
    )


# --- Reading -------------------------------------------------------------------------------------


def _sources(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*.py") if "migrations" not in path.parts)


def _functions(tree: ast.Module) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def _calls(node: ast.AST) -> Iterator[ast.Call]:
    return (child for child in ast.walk(node) if isinstance(child, ast.Call))


def _called_name(call: ast.Call) -> str:
    return _word(call.func)


def _word(node: ast.AST) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _literal(call: ast.Call) -> str | None:
    """The text that the call is given, where it is written out."""
    first = call.args[0] if call.args else None
    return first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else None


def _place(file: str, node: ast.AST) -> str:
    return f"{file}:{getattr(node, 'lineno', 0)}"
