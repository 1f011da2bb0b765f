"""Indicators for readers: beside their candles, within their bounds, and no more than a page can bear."""

from __future__ import annotations

import math

import numpy as np
import pytest
from django.test import Client

from signalist.domain.conditions import Condition, condition, volatility
from signalist.markets.indicators import MOST, chosen, needed, worked
from tests.cast import Cast
from tests.markets.feed_world import candle
from tests.pages import ledger

CANDLES = [candle(n, 100 + round(10 * math.sin(n / 5))) for n in range(120)]


def test_what_is_asked_for_is_read_and_what_is_none_is_left_out() -> None:
    found = chosen(["sma", "SMA:20", "ema:5", "rsi:1", "rsi:999", "rsi:x", "nonsense", "bollinger:20", ""])
    assert [each.key for each in found] == ["sma:20", "ema:5", "bollinger:20"]
    assert len(chosen([f"sma:{n}" for n in range(2, 100)])) == MOST


def test_values_stand_beside_their_candles_and_within_their_bounds() -> None:
    indicators = chosen(["sma:20", "ema:5", "bollinger:20", "rsi:14", "atr:14", "volatility:20", "width:20"])
    shown = {word: line for each in worked(indicators, CANDLES, 60) for word, line in each.lines.items()}
    closes = [float(c.close) for c in CANDLES]
    assert {len(line) for line in shown.values()} == {60} and not any(np.isnan(line).any() for line in shown.values())
    assert shown["SMA 20"][-1] == pytest.approx(sum(closes[-20:]) / 20)
    spread = float(np.std(closes[-20:]))
    assert shown["Bollinger 20 upper"][-1] == pytest.approx(shown["SMA 20"][-1] + 2 * spread)
    assert shown["Band width, %"][-1] == pytest.approx(400 * spread / shown["SMA 20"][-1])
    assert shown["RSI 14"].min() >= 0 and shown["RSI 14"].max() <= 100
    returns = np.diff(closes)[-20:] / closes[-21:-1]
    assert shown["Volatility, %"][-1] == pytest.approx(100 * float(np.std(returns)))
    assert np.isnan(volatility(closes[:20], 20)).all() and needed(indicators) > 20


def test_a_market_that_rises_falls_or_does_neither_is_called_that() -> None:
    up = np.arange(200.0) + 100
    flat = np.tile([100.0, 101.0], 100)
    for closes, said in ((up, Condition.BULL), (up[::-1], Condition.BEAR), (flat, Condition.SIDEWAYS)):
        assert condition(closes + 0.5, closes - 0.5, closes) is said
    assert condition(up[:9] + 1, up[:9] - 1, up[:9]) is Condition.UNKNOWN


@pytest.mark.django_db
def test_a_reader_chooses_what_is_drawn_and_takes_the_candles_home(client: Client, cast: Cast) -> None:
    ledger.engine()
    made = ledger.instrument("NOVA/USD", "105")
    ledger.candles(made, "1m", ledger.timedelta(minutes=1), *[str(100 + n % 7) for n in range(100)])
    client.force_login(cast.vera)
    plain = client.get(f"/markets/{made.pk}/").content.decode()
    assert plain.count('class="c-line') == 1  # the volume below
    page = client.get(f"/markets/{made.pk}/?with=sma:50&with=bollinger&with=rsi&bars=60").content.decode()
    assert page.count("<title>") == 1 + 4 and "SMA 50" in page and "Bollinger 20 upper" in page
    assert 'id="rsi-14"' in page and page.count('class="c-limit"') == 2
    assert 'value="sma:50" checked' in page and "60 closed" in page
    file = client.get(f"/markets/{made.pk}/candles.csv?timeframe=1m").content.decode()
    assert file.startswith("close_time,open,high,low,close,volume\n") and file.count("\n") == 101
