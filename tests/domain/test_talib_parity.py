"""Value by value against TA-Lib: what both know is the same to 1e-9 once nothing remembers its first bar."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from signalist.domain import indicator_library as ours
from signalist.domain.candles import CandleArrays
from tests.domain.backtest.test_recorded import RECORDED, recorded
from tests.random_walks import cut, random_walk

talib = pytest.importorskip("talib")

# Longer than any of the indicators below remembers: 3 exponential means of 20 bars, or two of Wilder's of 14.
WARM = 900
BARS = 5_000
Values = Callable[[CandleArrays], Any]

CASES: dict[str, tuple[Values, Values]] = {
    "SMA": (lambda c: ours.sma(c.close, 30), lambda c: talib.SMA(c.close, 30)),
    "EMA": (lambda c: ours.ema(c.close, 20), lambda c: talib.EMA(c.close, 20)),
    "WMA": (lambda c: ours.wma(c.close, 21), lambda c: talib.WMA(c.close, 21)),
    "DEMA": (lambda c: ours.dema(c.close, 20), lambda c: talib.DEMA(c.close, 20)),
    "TEMA": (lambda c: ours.tema(c.close, 20), lambda c: talib.TEMA(c.close, 20)),
    "RSI": (lambda c: ours.rsi_wilder(c.close, 14), lambda c: talib.RSI(c.close, 14)),
    "MACD": (lambda c: ours.macd(c.close), lambda c: talib.MACD(c.close)),
    "BBANDS": (lambda c: ours.bollinger(c.close), lambda c: talib.BBANDS(c.close, 20, 2.0, 2.0)[::-1]),
    "TRANGE": (lambda c: ours.true_range(c.high, c.low, c.close), lambda c: talib.TRANGE(c.high, c.low, c.close)),
    "ATR": (lambda c: ours.atr_wilder(c.high, c.low, c.close, 14), lambda c: talib.ATR(c.high, c.low, c.close, 14)),
    "ADX, DI": (
        lambda c: ours.directional(c.high, c.low, c.close, 14),
        lambda c: [f(c.high, c.low, c.close, 14) for f in (talib.ADX, talib.PLUS_DI, talib.MINUS_DI)],
    ),
    "STOCH": (
        lambda c: ours.stochastic(c.high, c.low, c.close, 14, 3, 3),
        lambda c: talib.STOCH(c.high, c.low, c.close, 14, 3, 0, 3, 0),
    ),
    "STOCHF": (
        lambda c: ours.stochastic(c.high, c.low, c.close, 14, 1, 3),
        lambda c: talib.STOCHF(c.high, c.low, c.close, 14, 3, 0),
    ),
    "WILLR": (lambda c: ours.williams_r(c.high, c.low, c.close), lambda c: talib.WILLR(c.high, c.low, c.close, 14)),
    "CCI": (lambda c: ours.cci(c.high, c.low, c.close, 20), lambda c: talib.CCI(c.high, c.low, c.close, 20)),
    "ROCP": (lambda c: ours.roc(c.close, 10), lambda c: talib.ROCP(c.close, 10)),
    "MOM": (lambda c: ours.momentum(c.close, 10), lambda c: talib.MOM(c.close, 10)),
    "MFI": (
        lambda c: ours.mfi(c.high, c.low, c.close, c.volume),
        lambda c: talib.MFI(c.high, c.low, c.close, c.volume, 14),
    ),
    "OBV": (lambda c: ours.obv(c.close, c.volume), lambda c: talib.OBV(c.close, c.volume)),
    "MIN, MAX": (
        lambda c: ours.donchian(c.high, c.low, 20),
        lambda c: [talib.MIN(c.low, 20), talib.MIDPRICE(c.high, c.low, 20), talib.MAX(c.high, 20)],
    ),
    "STDDEV": (lambda c: ours.rolling_std(c.close, 20), lambda c: talib.STDDEV(c.close, 20, 1.0)),
}


def _assert_equal(name: str, candles: CandleArrays) -> None:
    mine, theirs = (np.atleast_2d(np.array(apply(candles))) for apply in CASES[name])
    assert mine.shape == theirs.shape == (len(mine), len(candles))
    scale = np.maximum(1.0, np.abs(theirs[:, WARM:]))
    apart = np.abs(mine[:, WARM:] - theirs[:, WARM:]) / scale
    assert not np.isnan(apart).any()
    assert apart.max() < 1e-9, f"{apart.max():g} at bar {WARM + int(apart.max(axis=0).argmax())}"


@pytest.mark.parametrize("name", CASES)
def test_an_indicator_is_talib_s_on_made_up_candles(name: str) -> None:
    candles = random_walk(3_000, seed=11)
    # A market that stands still shows what each of the two calls nothing; that is told by tests of their own.
    moving = (np.arange(len(candles)) // 20) % 9 != 8
    assert (candles.high[moving] > candles.low[moving]).all()
    _assert_equal(name, CandleArrays(*(getattr(candles, field)[moving] for field in CandleArrays.__slots__)))


@pytest.mark.parametrize("market", RECORDED)
def test_every_indicator_is_talib_s_on_recorded_candles(market: str) -> None:
    candles = cut(recorded(market), 0, BARS)
    for name in CASES:
        _assert_equal(name, candles)
