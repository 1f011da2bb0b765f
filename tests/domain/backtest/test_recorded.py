"""Trade by trade the same as the slow reference on recorded markets, where their candles lie beside the project."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from signalist.domain import indicators
from signalist.domain.backtest.markets import recorded_market
from signalist.domain.backtest.terms import BacktestTerms
from signalist.domain.candles import CandleArrays
from signalist.domain.strategies import SignalArrays
from signalist.domain.timeframes import timeframe
from signalist.markets.recordings import read_recording
from tests.domain.backtest.comparing import assert_same

MARKET = Path(__file__).parents[4] / "shared" / "market"
BESIDE = "no recorded candles lie beside the project"
RECORDED = {
    "BTC": ("BTC-PERP-1m-2022-01.csv.gz", "1m"),
    "ETH": ("ETH-BTC-5m-2018-01.csv.gz", "5m"),
    "LTC": ("LTC-BTC-5m-2018-01.csv.gz", "5m"),
    "XMR": ("XMR-BTC-5m-2018-01.csv.gz", "5m"),
    "ZEC": ("ZEC-BTC-5m-2018-01.csv.gz", "5m"),
}
# An account for each scale of prices; leverage, so that money, stops and liquidation all have their say.
MONEY = {"BTC": Decimal(20_000)}
SLICE = 1_200


@dataclass(frozen=True)
class Way:
    """How a market is traded: terms beside the capital, and the distance of stops and targets as shares of the price."""

    sizing: dict[str, Decimal]
    leverage: Decimal
    stop: float
    target: float


WAYS = {
    "by risk": Way({"risk_fraction": Decimal("0.02")}, Decimal(5), 0.004, 0.008),
    "all in, ten times": Way({"notional_fraction": Decimal(1)}, Decimal(10), 0.2, 0.006),
}


def recorded(name: str) -> CandleArrays:
    """All candles of a recording; skips where there is none."""
    file, code = RECORDED[name]
    if not (MARKET / file).is_file():
        pytest.skip(BESIDE)
    return CandleArrays.of(read_recording(MARKET / file, timeframe(code)))


def _crossover(candles: CandleArrays, way: Way) -> SignalArrays:
    fast, slow = indicators.sma(candles.close, 5), indicators.sma(candles.close, 12)
    above, below = indicators.crossed_above(fast, slow), indicators.crossed_below(fast, slow)
    columns: dict[str, Any] = {"enter_long": above, "exit_long": below, "enter_short": below, "exit_short": above}
    for side, sign in (("long", 1), ("short", -1)):
        columns[f"stop_{side}"] = candles.close * (1 - sign * way.stop)
        columns[f"target_{side}"] = candles.close * (1 + sign * way.target)
    return SignalArrays.of(len(candles), columns)


def _compared(name: str, way: Way, candles: CandleArrays) -> int:
    spec = recorded_market(name, candles, lot=Decimal("0.00000001"), leverage=Decimal(20))
    terms = BacktestTerms(
        MONEY.get(name, Decimal(10)),
        leverage=way.leverage,
        fee_rate=Decimal("0.0005"),
        slippage=Decimal("0.0002"),
        **way.sizing,  # type: ignore[arg-type]  # one of them by name
    )
    return assert_same(candles, _crossover(candles, way), terms, spec)


@pytest.mark.parametrize("name", RECORDED)
def test_it_agrees_with_the_slow_reference_on_a_stretch_of_a_recorded_market(name: str) -> None:
    candles = recorded(name)
    middle = len(candles) // 2
    stretch = CandleArrays(*(getattr(candles, field)[middle : middle + SLICE] for field in CandleArrays.__slots__))
    assert sum(_compared(name, way, stretch) for way in WAYS.values()) > 40


@pytest.mark.soak
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", RECORDED)
def test_it_agrees_with_the_slow_reference_on_a_whole_recorded_market(name: str, way: str) -> None:
    candles = recorded(name)
    assert _compared(name, WAYS[way], candles) > 0
