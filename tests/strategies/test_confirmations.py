"""The rules of the strategies that want more than one thing to be true, on closes that can be reckoned by hand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from signalist.domain import indicator_library as lib
from signalist.domain.signals import SignalKind
from signalist.domain.strategies import SignalArrays
from signalist.sandbox import Failed, RanWhole, StrategyProcess
from tests.random_walks import of_closes, random_walk

LIBRARY = Path(__file__).parents[2] / "signalist" / "strategies" / "library"
LONG, SHORT, EXIT_LONG, EXIT_SHORT = SignalKind.LONG, SignalKind.SHORT, SignalKind.EXIT_LONG, SignalKind.EXIT_SHORT
Whole = Any


@pytest.fixture(scope="module")
def whole() -> Iterator[Whole]:
    """What a strategy says at every bar of these candles."""
    processes: dict[str, StrategyProcess] = {}

    def answer(name: str, candles: Any, **parameters: object) -> SignalArrays:
        key = f"{name} {parameters}"
        if key not in processes:
            processes[key] = StrategyProcess((LIBRARY / f"{name}.py").read_text(), parameters)
        ran = processes[key].all(candles)
        assert isinstance(ran, RanWhole), ran
        return ran.signals

    yield answer
    for process in processes.values():
        process.close()


def _last(signals: SignalArrays) -> list[str]:
    return [row.kind for row in signals.at(-1).rows("")]


def test_the_third_close_in_a_row_above_a_rising_average_enters_long(whole: Whole) -> None:
    up = [10.0, 10, 10, 10, 11, 12, 13, 14]
    quick: dict[str, object] = {"period": 2, "atr": 1, "stop_atr": 0.5, "target_atr": 1.0}
    assert _last(whole("signalist_sma_3c", of_closes(up[:6]), **quick)) == [EXIT_SHORT]
    assert _last(whole("signalist_sma_3c", of_closes(up[:7]), **quick)) == [EXIT_SHORT, LONG]
    assert _last(whole("signalist_sma_3c", of_closes(up), **quick)) == [EXIT_SHORT]
    down = [20.0 - close for close in up]
    assert _last(whole("signalist_sma_3c", of_closes(down[:7]), **quick)) == [EXIT_LONG, SHORT]
    assert _last(whole("signalist_sma_3c", of_closes(down[:7]), **quick, shorts=False)) == [EXIT_LONG]


def test_three_indices_must_agree_and_the_shortest_must_turn(whole: Whole) -> None:
    quick: dict[str, object] = {"short": 2, "middle": 4, "long": 6, "atr": 1, "stop_atr": 0.5, "target_atr": 1.0}
    falls = [110.0, 108, 106, 104, 102, 100]
    # Of the newest two changes -2 and +1 the shortest index is 33; of four it is 14, of six 9.
    assert _last(whole("three_rsi", of_closes([*falls, 98, 99]), **quick)) == [LONG]
    # After a rise of ten before the falls the longest one does not agree.
    assert _last(whole("three_rsi", of_closes([92.0, *falls[2:], 98, 99]), **quick)) == []
    assert _last(whole("three_rsi", of_closes([90.0, 92, 94, 96, 98, 100, 102, 101]), **quick)) == [SHORT]


def test_only_bands_that_had_been_tight_are_left(whole: Whole) -> None:
    quick: dict[str, object] = {
        "period": 4,
        "deviations": 1.0,
        "window": 12,
        "fresh": 2,
        "squeeze": 0.5,
        "atr": 1,
        "stop_atr": 0.5,
        "target_atr": 1.0,
    }
    wide = [100.0, 106, 94, 106, 94, 106, 94, 106, 94]
    tight = [100.0, 101, 100, 101, 100, 101, 100, 100.5]
    assert _last(whole("bollinger_breakout", of_closes([*wide, *tight, 106]), **quick)) == [LONG]
    assert _last(whole("bollinger_breakout", of_closes([*wide, *tight, 95]), **quick)) == [EXIT_LONG, SHORT]
    always = [100.0, 106, 94, 106, 94, 106, 94, 106, 94, 106, 94, 106, 94, 106, 94, 100, 100, 120]
    assert LONG not in _last(whole("bollinger_breakout", of_closes(always), **quick))


def test_the_line_crosses_its_signal_below_zero_or_anywhere(whole: Whole) -> None:
    candles = random_walk(1_500, seed=6)
    quick: dict[str, object] = {"fast": 3, "slow": 8, "signal": 4}
    line, signal, _ = lib.macd(candles.close, 3, 8, 4)
    crosses = [bar for bar in range(1, 1_500) if line[bar] > signal[bar] and line[bar - 1] <= signal[bar - 1]]
    low = whole("macd_crossover", candles, **quick)
    assert np.flatnonzero(low.enter_long).tolist() == [bar for bar in crosses if line[bar] < 0 and bar >= 200]
    assert len(np.flatnonzero(low.enter_long)) > 30
    everywhere = whole("macd_crossover", candles, **quick, anywhere=True)
    entered = np.flatnonzero(everywhere.enter_long).tolist()
    # Where the market stands still, a cross may be what rounding left.
    assert set(entered) <= set(crosses)
    assert len(entered) > 0.95 * len([bar for bar in crosses if bar >= 200])
    assert (low.exit_short == everywhere.exit_short).all()


TIMEFRAMES: dict[str, object] = {
    "first": 2,
    "second": 3,
    "third": 5,
    "rsi": 3,
    "fast": 2,
    "slow": 4,
    "signal": 2,
    "ema": 4,
    "atr": 3,
    "stop_atr": 0.5,
    "target_atr": 1.0,
}


def test_two_timeframes_of_three_enter_and_one_does_not(whole: Whole) -> None:
    candles = random_walk(2_000, seed=5)
    two = whole("multi_timeframe", candles, **TIMEFRAMES)
    three = whole("multi_timeframe", candles, **TIMEFRAMES, least=3)
    assert two.enter_long.sum() > three.enter_long.sum() > 10
    assert two.enter_short.sum() > three.enter_short.sum() > 10
    strengths = set(np.round(two.strength[two.enter_long | two.enter_short], 6).tolist())
    assert strengths == {round(2 / 3, 6), 1.0}
    assert (two.confidence[two.enter_long] >= 2 / 3).all()
    assert set(three.strength[three.enter_long].tolist()) == {1.0}
    assert not (two.enter_long & two.exit_long).any()
    # Nobody agrees while a position is left, so the three that agree before it have all changed their minds.
    assert (two.strength[two.exit_long & two.exit_short] == 0).all()


def test_a_timeframe_that_is_no_multiple_of_the_candles_is_refused() -> None:
    source = (LIBRARY / "multi_timeframe.py").read_text()
    with StrategyProcess(source, {"minutes": 2, "first": 5}) as process:
        refused = process.manifest()
    assert isinstance(refused, Failed)
    assert "must be a multiple of the candles' minutes" in refused.message


SCORE: dict[str, object] = {
    "rsi": 5,
    "period": 8,
    "fast": 8,
    "slow": 24,
    "atr": 5,
    "cooldown": 4,
    "threshold": 0.5,
    "wild": 100.0,
    "confidence": 0.0,
}


def test_the_score_is_the_weighted_mean_and_enters_where_it_crosses(whole: Whole) -> None:
    """CON-179: 0.4, 0.3 and 0.3."""
    candles = random_walk(1_500, seed=12)
    close = candles.close
    atr = lib.atr(candles.high, candles.low, close, 5)
    lower, average, upper = lib.bollinger(close, 8, 2.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        parts = [
            (50 - lib.rsi(close, 5)) / 25,
            np.where(upper > lower, (average - close) / ((upper - lower) / 2), 0),
            np.where(atr > 0, (lib.sma(close, 8) - lib.sma(close, 24)) / atr, 0),
        ]
    parts = [np.clip(part, -1, 1) for part in parts]
    score = 0.4 * parts[0] + 0.3 * parts[1] + 0.3 * parts[2]
    said = whole("weighted_score", candles, **SCORE)
    entered = np.flatnonzero(said.enter_long | said.enter_short)
    assert len(entered) > 30
    assert said.strength[entered] == pytest.approx(np.abs(score[entered]), rel=1e-9)
    side = np.where(said.enter_long[entered], 1, -1)
    assert (score[entered] * side > 0.5).all()
    assert (score[entered - 1] * side <= 0.5).all()
    share = sum(
        np.where(part * np.sign(score) > 0, weight, 0) for part, weight in zip(parts, (0.4, 0.3, 0.3), strict=True)
    )
    assert said.confidence[entered] == pytest.approx(share[entered])
    assert (np.diff(entered) > 4).all()


def test_low_confidence_wild_markets_and_the_cooldown_suppress_entries(whole: Whole) -> None:
    """STR-18, STR-19."""
    candles = random_walk(1_500, seed=12)
    plain = whole("weighted_score", candles, **SCORE)
    for stricter in ({"confidence": 0.9}, {"wild": 1.0}, {"cooldown": 9}):
        fewer = whole("weighted_score", candles, **{**SCORE, **stricter})
        entries = fewer.enter_long | fewer.enter_short
        assert 0 < entries.sum() < 0.8 * (plain.enter_long | plain.enter_short).sum(), stricter
        assert not (entries & ~(plain.enter_long | plain.enter_short)).any()
