"""What programs read of markets: the same for every workspace, bounded, and worked out of the candles that are stored."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from signalist.clock import utc_now
from signalist.domain.timeframes import timeframe
from signalist.markets.models import Candle, Instrument, LatestPrice
from tenants.doors import across_tenants
from tests.api.test_api import ask, key_of
from tests.cast import Cast

pytestmark = pytest.mark.django_db


def market(symbol: str, candles: int) -> Instrument:
    """With so many hours behind it, rising by one a candle."""
    rules = {"tick": Decimal("0.1"), "lot": Decimal(1), "min_quantity": Decimal(1), "min_notional": Decimal(1)}
    made = Instrument.objects.create(venue="loop", symbol=symbol, base=symbol, quote="USD", kind="SPOT", **rules)
    last = timeframe("1h").last_close(utc_now())
    rows = []
    for n in range(candles):
        price = Decimal(100 + n)
        prices = dict.fromkeys(("open", "high", "low", "close"), price)
        rows.append(
            Candle(
                instrument=made, timeframe="1h", close_time=last - timedelta(hours=candles - 1 - n), volume=1, **prices
            )
        )
    Candle.objects.bulk_create(rows)
    LatestPrice.objects.create(instrument=made, price=Decimal("7.5"), at=utc_now())
    return made


def test_a_program_reads_prices_candles_and_indicators_of_several_markets_at_once(cast: Cast) -> None:
    with across_tenants("tests"):
        one, two = market("ONE", 60), market("TWO", 3)
    key, narrow = key_of(cast.globex, cast.gus).text, key_of(cast.acme, cast.vera, "orders:read").text
    assert ask("instruments", narrow).status_code == ask("indicators", narrow).status_code == 403
    listed = {each["id"]: each for each in ask("instruments", key).json()["data"]}
    assert listed[one.pk]["last"]["price"] == "7.5" and listed[one.pk]["last"]["is_fresh"] is True
    assert (listed[one.pk]["tick"], listed[one.pk]["trading"]) == ("0.1", "online")

    at = f"instruments/{one.pk}/candles?timeframe=1h"
    first = ask(f"{at}&limit=2", key).json()
    assert [each["close"] for each in first["data"]] == ["159", "158"]
    second = ask(f"{at}&limit=2&after={first['next']}", key).json()
    assert [each["close"] for each in second["data"]] == ["157", "156"]
    bound = second["data"][0]["closed_at"]
    assert (
        len(ask(f"{at}&since={bound}", key).json()["data"]) == 3
        and ask(f"{at}&until={bound}", key).json()["data"][0] == second["data"][0]
    )

    def told(*keys: int) -> int:
        with CaptureQueriesContext(connection) as queries:
            asked = "&".join(f"instrument={each}" for each in keys)
            answer = ask(f"indicators?{asked}&timeframe=1h&limit=24&with=sma:5&with=rsi:14", key).json()["data"]
        assert [each["instrument"] for each in answer] == list(keys)
        assert len(answer[0]["closed_at"]) == 24 and answer[0]["indicators"]["sma:5"]["SMA 5"][-1] == 157.0
        assert set(answer[0]["indicators"]["rsi:14"]["RSI 14"]) == {100.0}
        if len(keys) > 1:
            assert answer[1]["indicators"]["sma:5"]["SMA 5"] == [None] * 3
        return len(queries.captured_queries)

    assert told(one.pk, two.pk) == told(one.pk) + 1
    wrong = (
        "timeframe=7m",
        "limit=9999",
        "with=magic",
        "with=rsi:1",
        "instrument=x",
        "&".join(f"instrument={n}" for n in range(11)),
    )
    for query in wrong:
        assert ask(f"indicators?{query}", key).json()["error"]["code"] == "bad_request", query
    assert (
        ask(f"{at}&since=yesterday", key).status_code == ask(f"{at}&since=2026-01-01T00:00:00", key).status_code == 400
    )
    for nobodys in ("instruments/99999/candles", f"instruments/{10**20}/candles", "indicators?instrument=99999"):
        assert ask(nobodys, key).status_code == 404, nobodys
    for edge in ("0001-01-01T00:00:00%2B14:00", "9999-12-31T23:59:59-14:00"):
        assert ask(f"{at}&since={edge}", key).status_code == 400, "no such moment in UTC"
    assert ask("indicators", key).json() == {"data": []}
