"""What programs read of markets: the same for every workspace, bounded, and worked out of the candles that are stored."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from signalist.clock import utc_now
from signalist.domain.timeframes import timeframe
from signalist.markets import current_prices
from signalist.markets.models import Candle, Instrument, LatestPrice
from signalist.markets.newest import newest_prices
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


def minutes(made: Instrument, count: int) -> None:
    """So many minutes of a market, up to the last whole hour; the open of each is its minute of the hour."""
    last = timeframe("1h").last_close(utc_now())
    rows = []
    for n in range(count):
        close = last - timedelta(minutes=count - 1 - n)
        prices = dict.fromkeys(("high", "low", "close"), Decimal(n % 60 + 1)) | {"open": (close.minute - 1) % 60}
        rows.append(Candle(instrument=made, timeframe="1m", close_time=close, volume=2, **prices))
    Candle.objects.bulk_create(rows)


def test_a_program_pages_through_a_range_and_gets_timeframes_that_nobody_stores(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    with across_tenants("tests"):
        one, two = market("ONE", 30), market("TWO", 0)
        minutes(two, 130)
        Instrument.objects.create(**{**Instrument.objects.filter(pk=one.pk).values()[0], "id": None, "venue": "other"})
    key = key_of(cast.globex, cast.gus).text
    at = f"instruments/{one.pk}/candles?timeframe=1h"
    first = ask(f"{at}&limit=20", key).json()
    assert (first["total"], first["total_is_exact"], first["has_more"], first["folded_from"]) == (30, True, True, None)
    rest = ask(f"{at}&limit=20&offset=20", key).json()
    assert (rest["total"], rest["has_more"], rest["next"], rest["offset"], len(rest["data"])) == (
        30,
        False,
        None,
        20,
        10,
    )
    assert rest["data"][0]["close"] == "109" and first["data"][-1]["close"] == "110"
    since, until = rest["data"][-1]["closed_at"], rest["data"][5]["closed_at"]
    assert ask(f"{at}&since={since}&until={until}&limit=2", key).json()["total"] == 5
    monkeypatch.setattr("signalist.markets.ranges.MOST_COUNTED", 7)
    bounded = ask(f"{at}&limit=20", key).json()
    assert (bounded["total"], bounded["total_is_exact"], bounded["has_more"]) == (7, False, True)
    for query, status in (
        ("offset=-1", 400), ("offset=50001", 400), (f"since={until}&until={since}", 400), ("timeframe=3m", 400),
    ):  # fmt: skip
        assert ask(f"instruments/{one.pk}/candles?{query}", key).status_code == status, query

    # Hours are not stored there: two whole ones are folded from 130 minutes, and the ten minutes before them are none.
    hours = ask(f"instruments/{two.pk}/candles?period=1h", key).json()
    assert (hours["folded_from"], hours["total"], len(hours["data"])) == ("1m", 2, 2)
    whole = hours["data"][0]
    assert (whole["open"], whole["volume"], whole["is_synthetic"]) == ("0", "120", False)
    assert (whole["high"], whole["low"]) == ("60", "1")
    assert ask(f"instruments/{two.pk}/candles?period=1h&limit=1", key).json()["next"] == whole["closed_at"]
    left = ask(f"instruments/{two.pk}/candles?period=1h&after={whole['closed_at']}", key).json()["data"]
    assert [each["closed_at"] for each in left] == [hours["data"][1]["closed_at"]]
    told = ask("indicators?pair=TWO&pair=loop:ONE&period=1h&limit=24&with=sma:2", key).json()["data"]
    assert [each["symbol"] for each in told] == ["TWO", "ONE"] and len(told[0]["close"]) == 2
    assert told[1]["indicators"]["sma:2"]["SMA 2"][-1] == 128.5
    assert "say which: loop:ONE, other:ONE" in ask("indicators?pair=ONE", key).json()["error"]["message"]
    assert ask("indicators?pair=NONE", key).status_code == 404


def test_all_newest_prices_come_out_of_memory(cast: Cast) -> None:
    with across_tenants("tests"):
        one, two = market("ONE", 0), market("TWO", 0)
        LatestPrice.objects.filter(instrument=two).delete()
    key = key_of(cast.globex, cast.gus).text

    def asked() -> tuple[dict[str, dict[str, object]], int]:
        with CaptureQueriesContext(connection) as queries:
            found = {each["symbol"]: each for each in ask("prices", key).json()["data"]}
        return found, sum("markets_" in query["sql"] for query in queries.captured_queries)

    found, reads = asked()
    assert (found["ONE"]["price"], found["ONE"]["is_fresh"], found["TWO"]["price"], reads) == ("7.5", True, None, 1)
    LatestPrice.objects.filter(instrument=one).update(price=Decimal(9))
    assert asked()[1] == 0 and asked()[0]["ONE"]["price"] == "7.5"
    newest_prices.put(one.pk, Decimal(8), utc_now())
    try:
        found, reads = asked()
    finally:
        newest_prices.forget()
    assert (found["ONE"]["price"], reads) == ("8", 0)  # what was heard is ahead of what was read
    current_prices.forget()
    assert asked()[0]["ONE"]["price"] == "9"
    assert ask("prices", key_of(cast.acme, cast.vera, "orders:read").text).status_code == 403
