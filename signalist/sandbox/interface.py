"""The child's side of the strategy interface: what a file must declare, what it may answer, and how its failures are told.

Loaded by path in the child. Nothing that is said here is trusted: the parent checks every reply again. What is checked here is
checked to tell the author, in the words of the file, what to change.
"""

from __future__ import annotations

import json
import sys
from types import CodeType, ModuleType
from typing import Any

STRATEGY = "<strategy>"
MESSAGE_LENGTH = 500
REFUSED = "A strategy has no files, network, processes or signals: the sandbox refused what it asked for"
TYPE_NAMES = {int: "int", float: "float", bool: "bool", str: "str"}


class RefusedError(Exception):
    """The strategy's file or answer is not what the interface asks for; `kind` is the failure's name on the wire."""

    def __init__(self, kind: str, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.kind = kind
        self.line = line


class Strategy:
    """One strategy file. It is executed afresh for every request, so that no run can depend on the one before it."""

    def __init__(self, author: ModuleType, allowed: ModuleType, forms: ModuleType, source: str) -> None:
        self._author = author
        self._forms = forms
        self._builtins = allowed.given_builtins()
        self._code = compiled(source)
        self._values: dict[str, Any] = {}

    def declared(self) -> list[dict[str, Any]]:
        """The declared parameters; raises RefusedError where the file lacks one of its three declarations."""
        module = self._module()
        if self._form(module) != "main" and not hasattr(module, "history"):
            raise RefusedError(
                "declaration", "The file does not declare history: the number of bars, or a function of the parameters."
            )
        parameters = getattr(module, "parameters", {})
        if not isinstance(parameters, dict) or not all(isinstance(name, str) for name in parameters):
            raise RefusedError("declaration", "parameters must be a dict from names to Parameter(...).")
        return [self._declaration(name, parameter) for name, parameter in parameters.items()]

    def keep(self, values: dict[str, Any]) -> None:
        """The values of the parameters for the runs to come."""
        self._values = values

    def history(self, values: dict[str, Any]) -> int:
        """Keep `values` for the runs to come and return how many bars the strategy needs with them."""
        self.keep(values)
        return self._history(self._module())

    def _history(self, module: ModuleType) -> int:
        history = getattr(module, "history", self._forms.MAIN_HISTORY)
        bars = history(self._parameters()) if callable(history) else history
        if isinstance(bars, bool) or not hasattr(bars, "__index__"):
            raise RefusedError("declaration", f"history must be a whole number of bars, not {type(bars).__name__}.")
        return int(bars)

    def run(self, columns: list[Any]) -> dict[str, Any]:
        """The signals over the candles `columns`, as arrays by name; None for what the strategy does not say."""
        module = self._module()
        form = self._form(module)
        if form != "signals":
            return self._bar_by_bar(module, form, columns)
        answer = module.signals(self._author.Candles(*columns), self._parameters())
        if not isinstance(answer, self._author.Signals):
            raise RefusedError("bad_output", f"signals() must return Signals(...), not {type(answer).__name__}.")
        return {
            name: column(name, getattr(answer, name), len(columns[0])) for name in type(answer).__dataclass_fields__
        }

    def _bar_by_bar(self, module: ModuleType, form: str, columns: list[Any]) -> dict[str, Any]:
        bars = self._history(module)
        try:
            if form == "main":
                said = self._forms.by_main(module.main, columns, self._parameters(), bars)
            else:
                said = self._forms.candle_by_candle(module.on_candle, self._author, columns, self._parameters(), bars)
        except self._forms.FormError as error:
            raise RefusedError("bad_output", str(error)) from None
        return {name: said[name] for name in self._author.Signals.__dataclass_fields__}

    def _form(self, module: ModuleType) -> str:
        try:
            return str(self._forms.form_of(module))
        except self._forms.FormError as error:
            raise RefusedError("declaration", str(error)) from None

    def _parameters(self) -> Any:
        return self._author.Parameters(self._values)

    def _module(self) -> ModuleType:
        module = ModuleType("strategy")
        module.__dict__["__builtins__"] = self._builtins
        sys.modules["strategy"] = module
        exec(self._code, module.__dict__)  # noqa: S102  # what this process is for
        return module

    def _declaration(self, name: str, parameter: Any) -> dict[str, Any]:
        if not isinstance(parameter, self._author.Parameter):
            raise RefusedError(
                "declaration", f"The parameter {name} must be Parameter(...), not {type(parameter).__name__}."
            )
        kind = TYPE_NAMES.get(parameter.type)
        if kind is None:
            raise RefusedError("declaration", f"The parameter {name} must have the type int, float, bool or str.")
        return {
            "name": name, "type": kind, "default": parameter.default, "minimum": parameter.min, "maximum": parameter.max,
            "help": parameter.help, "choices": parameter.choices,
        }  # fmt: skip


def compiled(source: str) -> CodeType:
    try:
        return compile(source, STRATEGY, "exec", dont_inherit=True)
    except SyntaxError as error:
        raise RefusedError("syntax", f"{type(error).__name__}: {error.msg}", error.lineno or None) from None
    except (ValueError, RecursionError, MemoryError) as error:  # a NUL byte, or nesting deeper than the parser goes
        raise RefusedError(
            "syntax", f"The file cannot be read as Python: {error or 'it is nested too deeply'}."
        ) from None


def column(name: str, values: Any, bars: int) -> Any:
    """One signal column as a numpy array of `bars` values, or None; RefusedError says in the author's words what is wrong."""
    if values is None:
        return None
    numpy = sys.modules["numpy"]
    try:
        array = numpy.asarray(values)
    except ValueError:
        raise RefusedError("bad_output", f"{name} must be an array with one value for each candle.") from None
    if array.shape != (bars,):
        raise RefusedError(
            "bad_output", f"{name} has the shape {array.shape}; it must hold one value for each of the {bars} candles."
        )
    flag = name.startswith(("enter", "exit"))
    if array.dtype.kind not in ("b" if flag else "fiu"):
        wanted = "booleans, as a comparison gives them" if flag else "numbers"
        raise RefusedError("bad_output", f"{name} holds values of type {array.dtype}; it must hold {wanted}.")
    return array if flag else array.astype("<f8", copy=False)


def failure(error: BaseException) -> dict[str, Any]:
    """What the parent is told of an exception: kind, one bounded sentence, and the last line of the strategy's file that was running."""
    if isinstance(error, RefusedError):
        return {"kind": error.kind, "message": str(error), "line": error.line}
    try:
        message = str(error)
    except BaseException:  # noqa: BLE001  # the strategy's own exception class may raise here
        message = "its message cannot be read"
    line, trace = None, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == STRATEGY:
            line = trace.tb_lineno
        trace = trace.tb_next
    said = f"{type(error).__name__}: {message[:MESSAGE_LENGTH]}"
    if type(error).__name__ == "ForbiddenError":
        return {"kind": "forbidden", "message": message[:MESSAGE_LENGTH], "line": line}
    if isinstance(error, PermissionError):
        return {"kind": "forbidden", "message": f"{REFUSED} ({said})", "line": line}
    return {"kind": "memory" if isinstance(error, MemoryError) else "raised", "message": said, "line": line}


def text(value: object) -> bytes:
    """`value` as JSON; RefusedError where a declaration holds what JSON cannot say (numpy numbers, nan)."""
    try:
        return json.dumps(value, allow_nan=False).encode()
    except (TypeError, ValueError):
        raise RefusedError(
            "declaration", "A declared default or bound is not a plain, finite number, text, True or False."
        ) from None
