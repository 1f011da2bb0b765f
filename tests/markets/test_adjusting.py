"""What staff changes of the markets while everything runs: within bounds, on record, and heard by pages, feeds, sockets and retention."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from signalist.audit.models import Entry
from signalist.domain.timeframes import TIMEFRAMES
from signalist.live.limits import limits
from signalist.markets import adjusting
from signalist.markets.adjusting import ADJUSTABLE, OutOfBounds, adjust, adjusted
from signalist.markets.jobs import retire_candles
from signalist.markets.models import Candle
from signalist.markets.setting_models import MarketSetting
from tenants.doors import across_tenants
from tenants.models import User
from tests.cast import PASSWORD, Cast
from tests.markets.feed_world import NOON, story, until, world
from tests.pages import ledger
from tests.pages.counting import asks

pytestmark = pytest.mark.django_db


@pytest.fixture
def door(db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
    with across_tenants("tests"):
        yield


def test_staff_sets_a_value_within_its_bounds_and_pages_follow_without_a_restart(client: Client, cast: Cast) -> None:
    boss = User.objects.create_superuser("staff@example.com", PASSWORD)
    ledger.engine()
    market = ledger.instrument()
    ledger.candles(market, "1m", timedelta(minutes=1), *[str(100 + n % 7) for n in range(40)])
    staff = Client()
    staff.force_login(boss)
    staff.post("/accounts/reauthenticate/", {"password": PASSWORD})
    staff.post("/staff/powers/", {"reason": "another period"})
    add = reverse("admin:markets_marketsetting_add")
    page = staff.get(add).content.decode()
    assert "period.rsi: candles that rsi looks at" in page
    refused = staff.post(add, {"name": "period.rsi", "value": "1"}).content.decode()
    assert "is from 2 to 200; 1 is not" in refused and not MarketSetting.objects.exists()
    assert staff.post(add, {"name": "period.magic", "value": "5"}).status_code == 200
    client.force_login(cast.vera)
    there = f"/markets/{market.pk}/?with=rsi"
    assert "RSI 14" in client.get(there).content.decode()
    assert staff.post(add, {"name": "period.rsi", "value": "9"}).status_code == 302
    row = MarketSetting.objects.get()
    shown = client.get(there).content.decode()
    assert "RSI 9" in shown and "RSI 14" not in shown
    change = reverse("admin:markets_marketsetting_change", args=[row.pk])
    assert staff.post(change, {"name": "period.sma", "value": "201"}).status_code == 200
    assert staff.post(change, {"name": "period.sma", "value": "11"}).status_code == 302
    assert MarketSetting.objects.values_list("name", "value").get() == ("period.rsi", 11)
    assert staff.get(reverse("admin:markets_marketsetting_changelist")).status_code == 200
    assert staff.post(reverse("admin:markets_marketsetting_delete", args=[row.pk]), {"post": "yes"}).status_code == 302
    assert "RSI 14" in client.get(there).content.decode()
    with across_tenants("tests"):
        entries = Entry.objects.filter(action="market.setting_changed", target="period.rsi").order_by("pk")
        told = [(json.loads(each.details)["from"], json.loads(each.details)["to"]) for each in entries]
    assert told == [(14, 9), (9, 11), (11, 14)]


def test_what_is_read_is_kept_for_a_while_and_every_default_is_within_its_bounds(cast: Cast, settings: Any) -> None:
    settings.CANDLE_DAYS = {"5m": 40}
    for each in ADJUSTABLE.values():
        assert each.checked(each.default()) == adjusted(each.name)
    assert (adjusted("keep.10s"), adjusted("keep.1m"), adjusted("keep.5m")) == (2, adjusting.FOR_EVER, 40)
    with asks(0):
        adjusted("period.sma")
    with across_tenants("tests"):
        adjust(cast.olivia, "connections.person", 3)
        adjust(cast.olivia, "connections.prices", 5)
    with asks(1):
        assert (limits().person, limits().prices) == (3, 5)
    with across_tenants("tests"), pytest.raises(OutOfBounds, match="from 500 to 36500, or 0 for ever; 20 is not"):
        adjust(cast.olivia, "keep.1d", 20)


def test_retention_keeps_as_long_as_staff_says(cast: Cast) -> None:
    market = ledger.instrument(price=None)
    for frame in TIMEFRAMES[1:3]:
        ledger.candles(market, frame.code, timedelta(days=5), *["1"] * 5)
    with across_tenants("tests"):
        assert retire_candles(ledger.NOON) == 0
        adjust(cast.olivia, "keep.1m", 12)
        assert retire_candles(ledger.NOON) == 2
        assert Candle.objects.filter(timeframe="1m").count() == 3 and Candle.objects.count() == 8
        adjust(cast.olivia, "keep.1m", adjusting.FOR_EVER)
        assert retire_candles(ledger.NOON) == 0


@pytest.mark.usefixtures("door")
@story
async def test_a_feed_is_connected_anew_when_staff_changes_how() -> None:
    async with world("BTC/USD", "ETH/USD") as w:
        assert len(w.service.lines()) == 1
        MarketSetting.objects.create(name="feed.per_connection", value=2, changed_at=NOON)
        adjusting.forget()
        w.service.due_now("wanted")
        await w.service.turn()
        await until(lambda: len(w.service.lines()) == 2 and w.server.joined >= 3, "a connection for each market")
        w.service.due_now("wanted")
        before = w.service.lines()
        await w.service.turn()
        assert w.service.lines() == before  # nothing has changed, and nobody is connected anew
