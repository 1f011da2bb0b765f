"""A file that is no strategy, or values that do not fit it, is refused by kind, sentence and line."""

from __future__ import annotations

import pytest

from signalist.domain.strategies import StrategyManifest
from signalist.sandbox import Failed, FailureKind
from tests.random_walks import of_closes
from tests.sandbox.conftest import Start

IMPORTS = "from signalist_strategy import Parameter, Signals\n"
SIGNALS = "def signals(candles, parameters):\n    return Signals()\n"
WHOLE = IMPORTS + "history = 1\n" + SIGNALS


def test_the_smallest_strategy_has_no_parameters(start: Start) -> None:
    assert start(WHOLE).manifest() == StrategyManifest((), {}, 1)


@pytest.mark.parametrize(
    ("source", "kind", "message", "line"),
    [
        ("history = 1\ndef signals(:\n", FailureKind.SYNTAX, "SyntaxError", 2),
        ("if True:\nhistory = 1\n", FailureKind.SYNTAX, "IndentationError", 2),
        (IMPORTS + "history = 1\n", FailureKind.DECLARATION, "no function signals(candles, parameters), on_candle", None),
        (IMPORTS + "history = signals = 1\n", FailureKind.DECLARATION, "no function signals(candles, parameters), on_candle", None),
        (IMPORTS + SIGNALS, FailureKind.DECLARATION, "does not declare history", None),
        (WHOLE + "history = 0\n", FailureKind.DECLARATION, "history is 1 to 10000 bars, not 0", None),
        (WHOLE + "history = 10**9\n", FailureKind.DECLARATION, "history is 1 to 10000 bars", None),
        (WHOLE + "history = True\n", FailureKind.DECLARATION, "a whole number of bars, not bool", None),
        (WHOLE + "history = 2.5\n", FailureKind.DECLARATION, "a whole number of bars, not float", None),
        (WHOLE + "history = lambda parameters: None\n", FailureKind.DECLARATION, "a whole number of bars, not NoneType", None),
        (WHOLE + "history = lambda parameters: 1 // 0\n", FailureKind.RAISED, "ZeroDivisionError", 5),
        (WHOLE + "parameters = [1]\n", FailureKind.DECLARATION, "must be a dict", None),
        (WHOLE + "parameters = {'n': 3}\n", FailureKind.DECLARATION, "The parameter n must be Parameter(...), not int", None),
        (WHOLE + "parameters = {'n': Parameter(list, 3)}\n", FailureKind.DECLARATION, "must have the type int, float", None),
        (WHOLE + "parameters = {'n': Parameter(int, 3, min=4)}\n", FailureKind.DECLARATION, "at least 4, not 3", None),
        (WHOLE + "parameters = {'n': Parameter(int, '3')}\n", FailureKind.DECLARATION, "must be a whole number", None),
        (WHOLE + "parameters = {'n': Parameter(float, float('nan'))}\n", FailureKind.DECLARATION, "plain, finite number", None),
        (WHOLE + "parameters = {'n m': Parameter(int, 3)}\n", FailureKind.DECLARATION, "not a Python name", None),
        (WHOLE + "parameters = {f'n{i}': Parameter(int, 3) for i in range(51)}\n", FailureKind.DECLARATION, "at most 50", None),
        (WHOLE + "parameters = {'n': Parameter(int, 3, help=4)}\n", FailureKind.DECLARATION, "must be text", None),
        (WHOLE + "parameters = {'n': Parameter(int, 3, help='x' * 70_000)}\n", FailureKind.BAD_OUTPUT, "more than there can be", None),
        (WHOLE + "import nothing_of_the_kind\n", FailureKind.FORBIDDEN, "may not import nothing_of_the_kind; it may import", 5),
        (WHOLE + "import signalist.settings\n", FailureKind.FORBIDDEN, "may not import signalist.settings", 5),
        (WHOLE + "\n\n1 / 0\n", FailureKind.RAISED, "ZeroDivisionError: division by zero", 7),
    ],
)  # fmt: skip
def test_a_file_that_is_no_strategy_is_refused(
    start: Start, source: str, kind: FailureKind, message: str, line: int | None
) -> None:
    refused = start(source).manifest()
    assert isinstance(refused, Failed)
    assert (refused.kind, refused.line) == (kind, line)
    assert message in refused.message


@pytest.mark.parametrize(
    "source", ["history = 1\0", "(" * 10_000, "-" * 200_000 + "1", "x = " + "a." * 50_000 + "b", "\udc80"]
)
def test_a_file_that_the_parser_gives_up_on_is_refused(start: Start, source: str) -> None:
    refused = start(source).manifest()
    assert isinstance(refused, Failed)
    assert refused.kind is FailureKind.SYNTAX
    assert refused.message


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"slow": 3}, "There is no parameter slow; the strategy declares fast."),
        ({"fast": 1}, "The parameter fast must be at least 2, not 1."),
        ({"fast": "3"}, "The parameter fast must be a whole number, not '3'."),
    ],
)
def test_values_that_do_not_fit_the_declared_parameters_are_refused(
    start: Start, values: dict[str, object], message: str
) -> None:
    source = WHOLE + "parameters = {'fast': Parameter(int, 3, min=2)}\n"
    assert start(source, values).manifest() == Failed(FailureKind.PARAMETERS, message)


def test_a_parameter_that_was_not_declared_cannot_be_read(start: Start) -> None:
    source = (
        IMPORTS
        + "history = 1\nparameters = {'fast': Parameter(int, 3)}\ndef signals(candles, parameters):\n    parameters.slow\n"
    )
    refused = start(source).last(of_closes([1]))
    message = "AttributeError: The strategy declares no parameter 'slow'; it declares fast."
    assert refused == Failed(FailureKind.RAISED, message, 5)


def test_help_from_a_file_is_one_readable_line(start: Start) -> None:
    source = WHOLE + "parameters = {'fast': Parameter(int, 3, help='two\\nlines\\x00 and \\udc80')}\n"
    manifest = start(source).manifest()
    assert isinstance(manifest, StrategyManifest)
    assert manifest.parameters[0].help == "two lines  and"
