"""Declared parameters and the meaning of a strategy's output."""

from __future__ import annotations

import math
from dataclasses import fields
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signalist.domain.errors import DomainError
from signalist.domain.signals import SignalKind
from signalist.domain.strategies import (
    FLAG_FIELDS,
    BarSignals,
    ParameterSpec,
    SignalArrays,
    SignalError,
    SignalRow,
    StrategyManifest,
    last_row,
    resolve,
)
from tests import examples

FAST = ParameterSpec("fast", "int", 10, minimum=2, maximum=200)
RISK = ParameterSpec("risk", "float", 0.5, minimum=0)
SHORTS = ParameterSpec("shorts", "bool", True)
MODE = ParameterSpec("mode", "str", "calm", choices=("calm", "wild"))
TIMES = np.array([1_515_560_400, 1_515_560_700], dtype=np.int64)


def test_values_are_the_given_ones_and_the_defaults_of_the_rest() -> None:
    values = resolve([FAST, RISK, SHORTS, MODE], {"fast": 20, "risk": 1})
    assert values == {"fast": 20, "risk": 1.0, "shorts": True, "mode": "calm"}
    assert isinstance(values["risk"], float)


@pytest.mark.parametrize(
    ("spec", "value", "message"),
    [
        (FAST, 1, "The parameter fast must be at least 2, not 1."),
        (FAST, 201, "The parameter fast must be at most 200, not 201."),
        (FAST, 10.5, "The parameter fast must be a whole number, not 10.5."),
        (FAST, True, "The parameter fast must be a whole number, not True."),
        (FAST, "10", "The parameter fast must be a whole number, not '10'."),
        (FAST, 2**70, "must be a whole number"),
        (RISK, math.nan, "The parameter risk must be a number, not nan."),
        (RISK, math.inf, "must be a number"),
        (RISK, 10**400, "must be a number"),
        (RISK, -0.1, "The parameter risk must be at least 0, not -0.1."),
        (RISK, None, "must be a number"),
        (SHORTS, 1, "The parameter shorts must be true or false, not 1."),
        (MODE, "loud", "The parameter mode must be one of calm, wild, not 'loud'."),
    ],
)
def test_a_value_that_does_not_fit_is_refused_with_what_would(spec: ParameterSpec, value: object, message: str) -> None:
    with pytest.raises(DomainError) as refused:
        resolve([spec], {spec.name: value})
    assert message in str(refused.value)


def test_a_name_that_nobody_declared_is_refused() -> None:
    with pytest.raises(DomainError, match="There is no parameter slow; the strategy declares fast, risk"):
        resolve([FAST, RISK], {"slow": 3})


@pytest.mark.parametrize(
    ("declaration", "message"),
    [
        ({"name": "two words", "type": "int", "default": 1}, "not a Python name"),
        ({"name": "n", "type": "date", "default": 1}, "use int, float, bool or str"),
        ({"name": "n", "type": "int", "default": 1, "minimum": 2}, "must be at least 2"),
        ({"name": "n", "type": "int", "default": 1, "minimum": 3, "maximum": 2}, "min of 3 above its max of 2"),
        ({"name": "n", "type": "int", "default": 1, "minimum": math.nan}, "must be finite numbers"),
        ({"name": "n", "type": "int", "default": 1, "maximum": "9"}, "must be finite numbers"),
        ({"name": "n", "type": "bool", "default": True, "minimum": 0}, "cannot have a min or max"),
        ({"name": "n", "type": "str", "default": "a"}, "declares its choices"),
        ({"name": "n", "type": "int", "default": 1, "choices": ("a",)}, "declares its choices"),
    ],
)
def test_a_declaration_that_makes_no_sense_is_refused(declaration: dict[str, Any], message: str) -> None:
    with pytest.raises(DomainError, match=message):
        ParameterSpec(**declaration)


@pytest.mark.parametrize("history", [0, -5, 10_001])
def test_a_history_is_a_sane_number_of_bars(history: int) -> None:
    with pytest.raises(DomainError, match="1 to 10000 bars"):
        StrategyManifest((), {}, history)


def test_exits_come_before_entries_and_carry_no_levels() -> None:
    bar = BarSignals(
        exit_short=True, enter_long=True, stop_long=95, target_long=110, stop_short=120, strength=0.5, confidence=1
    )
    assert bar.rows("bar 0") == (
        SignalRow(SignalKind.EXIT_SHORT, None, None, 0.5, 1),
        SignalRow(SignalKind.LONG, 95, 110, 0.5, 1),
    )
    assert BarSignals(exit_long=True, enter_short=True, stop_short=105).rows("bar 0") == (
        SignalRow(SignalKind.EXIT_LONG),
        SignalRow(SignalKind.SHORT, 105),
    )


@pytest.mark.parametrize(
    ("bar", "message"),
    [
        ({"enter_long": True, "enter_short": True}, "enter_long and enter_short are both true at bar 7"),
        ({"enter_long": True, "exit_long": True}, "enter_long and exit_long are both true at bar 7"),
        ({"enter_short": True, "exit_short": True}, "enter_short and exit_short are both true at bar 7"),
        ({"enter_long": True, "stop_long": math.inf}, "stop_long at bar 7 is inf"),
        ({"enter_long": True, "target_long": 0.0}, "target_long at bar 7 is 0"),
        ({"enter_short": True, "stop_short": -3.0}, "stop_short at bar 7 is -3"),
        ({"enter_short": True, "target_short": -math.inf}, "target_short at bar 7 is -inf"),
        ({"exit_long": True, "strength": 1.5}, "strength at bar 7 is 1.5"),
        ({"exit_long": True, "confidence": -0.1}, "confidence at bar 7 is -0.1"),
    ],
)
def test_a_bar_that_means_nothing_is_refused_by_field_and_bar(bar: dict[str, Any], message: str) -> None:
    with pytest.raises(SignalError) as refused:
        BarSignals(**bar).rows("bar 7")
    assert message in str(refused.value)


def test_levels_and_scores_count_only_where_they_are_used() -> None:
    assert BarSignals(stop_long=-1, strength=9).rows("bar 0") == ()
    assert BarSignals(enter_long=True, stop_short=-1).rows("bar 0") == (SignalRow(SignalKind.LONG),)


numbers = st.sampled_from([math.nan, math.inf, -1.0, 0.0, 0.5, 1.0, 2.0])
bars = st.builds(BarSignals, *([st.booleans()] * 4), *([numbers] * 6))


@given(said=st.lists(bars, min_size=1, max_size=6))
@settings(max_examples=examples.up_to(300), deadline=None)
def test_a_whole_run_is_refused_exactly_where_live_would_refuse_a_bar(said: list[BarSignals]) -> None:
    names = [field.name for field in fields(BarSignals)]
    arrays = SignalArrays.of(len(said), {name: np.array([getattr(bar, name) for bar in said]) for name in names})
    times = 60 * np.arange(len(said), dtype=np.int64)
    messages = []
    for index, bar in enumerate(said):
        single = SignalArrays(*(getattr(arrays, name)[: index + 1] for name in names))
        try:
            assert last_row(single, times[: index + 1]) == bar.rows("")
        except SignalError as error:
            messages.append(str(error))
    if messages:
        with pytest.raises(SignalError) as refused:
            arrays.checked(times)
        assert str(refused.value) == messages[0]
    else:
        assert arrays.checked(times) is arrays


def test_a_level_more_than_a_hundred_times_the_close_away_is_refused_live_and_over_a_whole_run() -> None:
    closes = np.array([10.0, 10.0])
    for name, said in (("target_long", "enter_long"), ("stop_short", "enter_short")):
        for level, is_meant in ((1_000.0, True), (1_000.1, False), (1e300, False)):
            arrays = SignalArrays.of(2, {said: np.array([False, True]), name: np.array([1e300, level])})
            if is_meant:
                assert arrays.checked(TIMES, closes) is arrays
                assert len(arrays.at(1).rows("bar 1", 10.0)) == 1
                continue
            for refused in (lambda: arrays.checked(TIMES, closes), lambda: arrays.at(1).rows("bar 1", 10.0)):  # noqa: B023
                with pytest.raises(SignalError, match=f"{name} at bar 1.*at most 100 times the close of 10"):
                    refused()


def test_a_message_names_the_bar_by_its_close() -> None:
    both = np.array([False, True])
    arrays = SignalArrays.of(2, {"enter_long": both, "enter_short": both})
    with pytest.raises(SignalError, match=r"at bar 1 \(2018-01-10T05:05:00Z\)"):
        arrays.checked(TIMES)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"enter_long": np.zeros(3, dtype=bool)}, r"enter_long has the shape \(3,\).*each of the 2 candles"),
        ({"stop_long": np.zeros((2, 2))}, r"stop_long has the shape \(2, 2\)"),
        ({"exit_long": np.zeros(2)}, "exit_long holds values of type float64; it must hold booleans"),
        ({"strength": np.zeros(2, dtype=bool)}, "strength holds values of type bool; it must hold numbers"),
        ({"stop": np.zeros(2)}, "stop is no signal field"),
    ],
)
def test_arrays_of_another_shape_or_type_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(SignalError, match=message):
        SignalArrays.of(2, given)


def test_what_a_strategy_leaves_out_is_never_true_or_none() -> None:
    arrays = SignalArrays.of(2, {"enter_long": np.array([False, True]), "stop_long": np.array([1, 2])})
    assert last_row(arrays, TIMES) == (SignalRow(SignalKind.LONG, stop=2.0),)
    assert last_row(SignalArrays.of(0, {}), TIMES[:0]) == ()


def test_bars_before_a_whole_history_are_silent_and_the_original_stays() -> None:
    every = np.ones(2, dtype=bool)
    arrays = SignalArrays.of(2, {"exit_long": every, "exit_short": every})
    quiet = arrays.silent_before(1)
    assert [getattr(quiet, name).tolist() for name in FLAG_FIELDS] == [
        [False, False], [False, True], [False, False], [False, True],
    ]  # fmt: skip
    assert arrays.exit_long.all()
