"""The rest of the indicators: the same to the last bit over a window and over the whole series, and what TA-Lib does not know."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from signalist.domain import indicator_library as lib
from signalist.domain.candles import CandleArrays
from tests.random_walks import cut, flat, random_walk

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Case:
    """Lines over candles, and how many bars the value at a bar looks at."""

    apply: Callable[[CandleArrays], Any]
    bars: int


def _hourly(c: CandleArrays) -> lib.Higher:
    return lib.resample(c.time, c.open, c.high, c.low, c.close, c.volume, 900)


def _quarters(c: CandleArrays) -> list[Floats]:
    higher = _hourly(c)
    return [higher.at_bars(lib.sma(higher.close, 3)), *(higher.at_bars(getattr(higher, n)) for n in ("open", "volume"))]


CASES = {
    "wma": Case(lambda c: lib.wma(c.close, 21), 21),
    "wilder": Case(lambda c: lib.wilder(c.close, 5), lib.wilder_bars(5)),
    "dema": Case(lambda c: lib.dema(c.close, 6), 2 * lib.ema_bars(6) - 1),
    "tema": Case(lambda c: lib.tema(c.close, 6), 3 * lib.ema_bars(6) - 2),
    "hma": Case(lambda c: lib.hma(c.close, 16), 19),
    "vwma": Case(lambda c: lib.vwma(c.close, c.volume, 9), 9),
    "vwap": Case(lambda c: lib.vwap(c.high, c.low, c.close, c.volume, 9), 9),
    "atr": Case(lambda c: lib.atr_wilder(c.high, c.low, c.close, 5), lib.wilder_bars(5) + 1),
    "rsi": Case(lambda c: lib.rsi_wilder(c.close, 5), lib.wilder_bars(5) + 1),
    "macd": Case(lambda c: lib.macd(c.close, 3, 6, 4), lib.macd_bars(3, 6, 4)),
    "stochastic": Case(lambda c: lib.stochastic(c.high, c.low, c.close, 9), 13),
    "williams": Case(lambda c: lib.williams_r(c.high, c.low, c.close, 9), 9),
    "cci": Case(lambda c: lib.cci(c.high, c.low, c.close, 9), 9),
    "roc": Case(lambda c: [lib.roc(c.close, 9), lib.momentum(c.close, 9)], 10),
    "directional": Case(lambda c: lib.directional(c.high, c.low, c.close, 4), lib.adx_bars(4)),
    "bollinger": Case(lambda c: lib.bollinger(c.close, 9), 9),
    "donchian": Case(lambda c: lib.donchian(c.high, c.low, 9), 9),
    "keltner": Case(lambda c: lib.keltner(c.high, c.low, c.close, 5), lib.wilder_bars(5) + 1),
    "supertrend": Case(lambda c: lib.supertrend(c.high, c.low, c.close, 4, 2.0, 60), lib.supertrend_bars(4, 60)),
    "obv change": Case(lambda c: lib.obv_change(c.close, c.volume, 9), 10),
    "mfi": Case(lambda c: lib.mfi(c.high, c.low, c.close, c.volume, 9), 10),
    "bars since": Case(lambda c: lib.bars_since(c.close > c.open, 20), 20),
    "within": Case(lambda c: lib.within(c.close > c.open, 7), 7),
    "a higher timeframe": Case(_quarters, 60),
    "the day's price": Case(lambda c: lib.vwap_day(c.time * 40, c.high, c.low, c.close, c.volume), 37),
}


def _lines(name: str, candles: CandleArrays) -> NDArray[Any]:
    return np.atleast_2d(np.array(CASES[name].apply(candles)))


@pytest.mark.parametrize("name", CASES)
def test_a_value_over_its_bars_is_bit_for_bit_the_value_over_the_whole_series(name: str) -> None:
    candles, bars = random_walk(900, seed=4), min(CASES[name].bars, 700)
    whole = _lines(name, candles)
    assert whole.shape[-1] == len(candles)
    for end in (bars, bars + 1, bars + 37, 803, 899):
        window = _lines(name, cut(candles, end - bars, end))
        assert window[:, -1].tobytes() == whole[:, end - 1].tobytes(), end
    assert not np.isnan(whole[:, -1].astype(float)).any() or name == "bars since"


@pytest.mark.parametrize("name", sorted(set(CASES) - {"bars since", "within", "a higher timeframe", "the day's price"}))
def test_there_is_no_value_before_its_bars_are_there(name: str) -> None:
    candles = random_walk(900, seed=4)
    lines = _lines(name, candles)
    assert np.isfinite(lines[:, CASES[name].bars - 1 :].astype(float)).all()
    if name != "supertrend":
        assert np.isnan(lines[:, : CASES[name].bars - 1]).any(axis=0).sum() >= CASES[name].bars - 2


def test_a_market_that_stands_still_has_its_own_price_and_moves_nowhere() -> None:
    c = flat(700, price=1 / 3)
    for values in (lib.wma(c.close, 21), lib.dema(c.close, 9), lib.tema(c.close, 9), lib.hma(c.close, 16)):
        assert set(values[-100:]) == {1 / 3}
    assert set(lib.rsi_wilder(c.close, 5)[-9:]) == set(lib.mfi(c.high, c.low, c.close, c.volume)[-9:]) == {50.0}
    assert lib.stochastic(c.high, c.low, c.close).d[-1] == 50.0
    assert lib.williams_r(c.high, c.low, c.close)[-1] == -50.0
    assert lib.cci(c.high, c.low, c.close)[-1] == 0.0
    assert [line[-1] for line in lib.directional(c.high, c.low, c.close, 4)] == [0.0, 0.0, 0.0]
    assert lib.macd(c.close).histogram[-1] == 0.0
    quiet = np.zeros(700)
    assert lib.vwap(c.high, c.low, c.close, quiet, 5)[-1] == pytest.approx(1 / 3)


def _endless_supertrend(c: CandleArrays, n: int, width: float) -> tuple[Floats, list[bool], list[int]]:
    """The usual recursion from the first bar on; at each bar, how long ago the older of the two lines' last breaks was."""
    reach = width * lib.atr_wilder(c.high, c.low, c.close, n)
    middle = (c.high + c.low) / 2
    line, rising, since = np.full(len(c), np.nan), [False] * len(c), [0] * len(c)
    lower = upper = np.nan
    up, broke = True, [0, 0]
    for bar in range(len(c)):
        if np.isnan(reach[bar]):
            continue
        if np.isnan(lower):
            lower, upper = middle[bar] - reach[bar], middle[bar] + reach[bar]
        else:
            before = c.close[bar - 1]
            if before < lower:
                broke[0] = bar
            if before > upper:
                broke[1] = bar
            lower = max(middle[bar] - reach[bar], lower) if before >= lower else middle[bar] - reach[bar]
            upper = min(middle[bar] + reach[bar], upper) if before <= upper else middle[bar] + reach[bar]
        up = not c.close[bar] < lower if up else bool(c.close[bar] > upper)
        line[bar], rising[bar], since[bar] = lower if up else upper, up, bar - min(broke)
    return line, rising, since


def test_supertrend_is_the_endless_one_where_both_of_its_lines_have_broken() -> None:
    candles = random_walk(4_000, seed=7)
    line, rising, since = _endless_supertrend(candles, 10, 2.0)
    mine = lib.supertrend(candles.high, candles.low, candles.close, 10, 2.0, 150)
    known = np.array([lib.supertrend_bars(10) < bar and ago < 149 for bar, ago in enumerate(since)])
    assert known.sum() > 3_000
    assert (mine.line[known] == line[known]).all()
    assert (mine.rising[known] == np.array(rising)[known]).all()
    assert 0.2 < mine.rising.mean() < 0.8


def test_a_higher_candle_is_known_from_its_close_on_and_not_before() -> None:
    c = random_walk(100, seed=2)
    higher = _hourly(c)
    assert (higher.time % 900 == 0).all()
    first = int(np.flatnonzero(c.time == higher.time[0])[0])
    inside = slice(first - 14, first + 1)
    assert (higher.open[0], higher.close[0]) == (c.open[inside][0], c.close[inside][-1])
    assert (higher.high[0], higher.low[0]) == (c.high[inside].max(), c.low[inside].min())
    assert higher.volume[0] == pytest.approx(c.volume[inside].sum())
    closes = higher.at_bars(higher.close)
    assert np.isnan(closes[:first]).all()
    assert (closes[first : first + 15] == higher.close[0]).all()
    assert closes[first + 15] == higher.close[1]
    assert len(_hourly(cut(c, 0, 3))) == 0
    with pytest.raises(ValueError, match="higher candles"):
        higher.at_bars(np.ones(2))


def test_a_higher_candle_whose_last_minutes_had_no_trade_is_known_at_the_next_bar() -> None:
    c = random_walk(60, seed=2)
    closing = int(np.flatnonzero(c.time % 900 == 0)[1])
    kept = np.arange(60) != closing
    gapped = CandleArrays(*(getattr(c, field)[kept] for field in CandleArrays.__slots__))
    higher = _hourly(gapped)
    closes = higher.at_bars(higher.close)
    assert closes[closing - 1] != closes[closing]
    assert closes[closing] == gapped.close[closing - 1]


def test_how_long_ago_a_flag_was_set_is_forgotten_at_the_limit() -> None:
    flags = [False, True, False, False, False, True]
    assert lib.bars_since(flags, 3).tolist() == pytest.approx([np.nan, 0, 1, 2, np.nan, 0], nan_ok=True)
    assert lib.within(flags, 2).tolist() == [False, True, True, False, False, True]
    assert len(lib.bars_since([], 3)) == 0


def test_on_balance_volume_begins_with_the_first_volume() -> None:
    assert lib.obv([1.0, 2.0, 2.0, 1.0], [10.0, 5.0, 7.0, 3.0]).tolist() == [10.0, 15.0, 15.0, 12.0]
    assert lib.obv_change([1.0, 2.0, 2.0, 1.0], [10.0, 5.0, 7.0, 3.0], 2).tolist()[2:] == [5.0, -3.0]


def test_the_day_s_price_begins_anew_each_day_and_skips_the_first() -> None:
    times = np.arange(1, 7) * 43_200
    prices, volume = np.array([1.0, 2, 3, 5, 7, 9]), np.array([1.0, 1, 1, 3, 0, 2])
    assert lib.vwap_day(times, prices, prices, prices, volume).tolist()[2:] == [3.0, 4.5, 7.0, 9.0]
    assert np.isnan(lib.vwap_day(times, prices, prices, prices, volume)[:2]).all()


def test_a_parameter_that_makes_no_sense_is_refused() -> None:
    series = np.ones(9)
    for wrong in (lambda: lib.macd(series, 9, 9), lambda: lib.hma(series, 1), lambda: lib.wma(series, 0)):
        with pytest.raises(ValueError, match="bars|less than"):
            wrong()
