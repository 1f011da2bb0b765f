"""Markets in which nobody trades for a while: their minutes are known in time, in few requests, and their stream is not called mute."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pytest

from signalist.clock import monotonic
from signalist.markets import lines
from tenants.doors import across_tenants
from tests.markets.feed_world import MINUTE, NOON, story
from tests.markets.kraken_world import kraken_world

pytestmark = pytest.mark.django_db

THIN = ("BTC/USD", "ETH/USD", "SOL/USD", "XRP/USD", "ADA/USD", "DOT/USD")


@pytest.fixture(autouse=True)
def door(db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
    with across_tenants("tests"):
        yield


@story
async def test_idle_minutes_of_many_markets_take_one_request_and_their_higher_candles_are_run_in_time() -> None:
    async with kraken_world(*THIN, frames=frozenset({"5m"})) as w:
        asked: list[list[str]] = []
        for minute in range(1, 6):
            if minute == 5:
                with pytest.MonkeyPatch.context() as later:
                    later.setattr(lines, "monotonic", lambda: monotonic() + 600)  # ten minutes of heartbeats alone
                    await w.turn()
                assert all(line.tally.reconnects == 0 and line.is_open for line in w.service.lines().values())
                # A trade that the stream keeps from us: the count shows it, and history tells it.
                w.server.faults.add("mute", "ohlc", "ticker", times=None)
                w.trade(120, "DOT/USD")
            before = len(w.server.asked)
            await w.at(60 * minute + 3.2)
            await w.until(lambda m=minute: all(len(w.stored(s)) == m for s in THIN), f"minute {minute}")  # type: ignore[misc]
            asked.append(sorted(w.server.asked[before:]))
        assert asked[3] == ["Ticker"] and asked[4].count("OHLC") == 1
        assert w.stored("BTC/USD")[1:] == [(minute, 100, True) for minute in range(2, 6)]
        assert w.stored("DOT/USD")[-1] == (5, 120, False)
        await w.until(lambda: w.ran.count(NOON + 5 * MINUTE) >= 6, "the candles of five minutes are run")
        assert w.stored("BTC/USD", "5m") == [(5, 100, False)] and Decimal(120) == w.stored("DOT/USD", "5m")[0][1]
