"""What a backtest comes to: amounts that add up, and nothing where nothing is defined."""

from __future__ import annotations

import math
from dataclasses import asdict, replace
from decimal import Decimal

import numpy as np
import pytest

from signalist.domain.backtest.metrics import DAY, daily_returns, drawdown, equity, metrics, ratios
from tests.domain.backtest.test_kernel import FREE, _candles, _flat, _says, _traded

D = Decimal


def test_without_trades_what_needs_them_is_not_defined() -> None:
    """CON-59."""
    found = metrics(_traded(_candles(*_flat(5)), _says(5)))
    undefined = {name for name, value in asdict(found).items() if value is None}
    assert undefined >= {"win_rate", "profit_factor", "expectancy", "average_win", "average_loss", "sharpe", "sortino"}
    assert (found.trades, found.net_pnl, found.max_drawdown, found.exposure) == (0, 0, 0, 0.0)
    assert found.final_capital == found.initial_capital == 10_000


def test_amounts_add_up_to_the_final_capital() -> None:
    """BT-06: final capital = initial capital + net result; fees are in it."""
    terms = replace(FREE, fee_rate=D("0.001"))
    candles = _candles(*_flat(2), *_flat(2, 110), *_flat(3, 104), *_flat(2, 90))
    outcome = _traded(candles, _says(9, enter_long={0: True, 3: True}, exit_long={2: True, 6: True}), terms)
    found = metrics(outcome)
    assert found.net_pnl == D("10") - D("0.21") + D("-14") - D("0.194")
    assert found.fees == D("0.404")
    assert found.final_capital == 10_000 + found.net_pnl == D(repr(float(equity(outcome)[-1])))
    assert (found.winners, found.losers, found.win_rate) == (1, 1, 0.5)
    assert (found.average_win, found.average_loss) == (D("9.79"), D("-14.194"))
    assert found.profit_factor == pytest.approx(9.79 / 14.194)
    assert found.expectancy == found.net_pnl / 2


def test_equity_marks_what_is_open_at_every_close() -> None:
    """CON-66: a fall between entry and exit is seen."""
    candles = _candles(*_flat(2), *_flat(1, 80), *_flat(2, 105))
    outcome = _traded(candles, _says(5, enter_long={0: True}, exit_long={3: True}))
    assert equity(outcome).tolist() == [10_000, 10_000, 9_980, 10_005, 10_005]
    found = metrics(outcome)
    assert (found.max_drawdown, found.max_drawdown_fraction) == (20, 0.002)
    assert found.exposure == 3 / 5
    assert found.average_duration == 180.0


def test_a_first_loss_falls_from_the_initial_capital() -> None:
    """CON-58."""
    assert drawdown(np.array([90.0, 95.0]), 100.0) == (10.0, 0.1)


def test_the_deepest_amount_and_the_deepest_share_may_be_two_falls() -> None:
    assert drawdown(np.array([100.0, 50.0, 1000.0, 800.0]), 100.0) == (200.0, 0.5)


def test_daily_returns_go_from_close_to_close_of_utc_days_and_midnight_ends_a_day() -> None:
    times = np.array([DAY - 60, DAY, DAY + 60, 2 * DAY, 4 * DAY], dtype=np.int64)
    curve = np.array([101.0, 110.0, 50.0, 99.0, 198.0])
    assert daily_returns(times, curve, 100.0).tolist() == pytest.approx([0.1, -0.1, 1.0])


def test_nothing_is_returned_after_everything_is_lost() -> None:
    times = np.array([DAY, 2 * DAY, 3 * DAY], dtype=np.int64)
    assert daily_returns(times, np.array([50.0, -1.0, 5.0]), 100.0).tolist() == pytest.approx([-0.5, -1.02])


def test_ratios_are_of_sample_deviation_and_annual_by_the_root_of_365() -> None:
    """CON-57."""
    sharpe, sortino = ratios(np.array([0.01, -0.02, 0.03]))
    mean = 0.02 / 3
    deviation = math.sqrt(((0.01 - mean) ** 2 + (-0.02 - mean) ** 2 + (0.03 - mean) ** 2) / 2)
    assert sharpe == pytest.approx(mean / deviation * math.sqrt(365))
    assert sortino == pytest.approx(mean / math.sqrt(0.0004 / 3) * math.sqrt(365))


@pytest.mark.parametrize("returns", [[], [0.1], [0.25, 0.25]])
def test_ratios_without_deviation_are_not_defined(returns: list[float]) -> None:
    assert ratios(np.array(returns)) == (None, None)
