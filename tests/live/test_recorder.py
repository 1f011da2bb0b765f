"""Which clients listen to what is on record: one row a socket, changed without a new one, ended with it, and nothing secret in it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError

from signalist.clock import utc_now
from signalist.live import recorder
from signalist.live.hub import Hub
from signalist.live.sockets import SESSION_OVER, user_group
from signalist.markets import adjusting
from signalist.markets.jobs import retire_streams
from signalist.markets.setting_models import MarketSetting
from signalist.markets.stream_models import StreamSession
from tenants.doors import across_tenants, acting_for
from tests.cast import Cast
from tests.live.pages import Page, elsewhere, eventually, session_of
from tests.pages import ledger

pytestmark = pytest.mark.django_db(transaction=True)


def rows(tenant_id: int) -> list[StreamSession]:
    """What the workspace's clients did, in order."""
    with acting_for(tenant_id):
        return list(StreamSession.objects.order_by("pk"))


async def written(process: Hub) -> None:
    """All that is to be written is."""
    await eventually(lambda: not process.recorder._writing and not process.recorder._timers)


async def test_a_client_is_on_record_with_what_it_listens_to_until_it_leaves(
    process: Hub, people: Cast, browsers: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "PAUSE", 0.5)
    market = await elsewhere(ledger.instrument)
    page = Page(browsers["theo"], "test-words", client="tab-7", prices=str(market.pk))
    assert await page.open()
    await written(process)
    [row] = await elsewhere(rows, people.acme.pk)
    assert (row.client, row.regions, row.instruments) == ("tab-7", ["test-words"], [market.pk])
    assert (row.user_id, row.ended_at, row.changes) == (people.theo.pk, None, 0)
    kept = repr(vars(row))
    assert session_of(browsers["theo"]) not in kept and "cookie" not in kept.lower()

    # It asks for something else and stays connected; the same once more is no change, and several at once are one write.
    for names in (["test-news"], ["test-words", "test-news"], ["test-words", "test-news"]):
        await page.says(live="show", regions=names, prices=[])
    await page.until(lambda seen: "test-news" in seen.regions)
    await written(process)
    await page.says(live="show", regions=["test-news", "test-words"], prices=[])
    await page.says(live="beat")
    [row] = await elsewhere(rows, people.acme.pk)
    assert (row.regions, row.instruments, row.changes) == (["test-news", "test-words"], [], 1)
    assert len(process.sockets.everyone()) == 1
    await page.leave()
    await written(process)
    [row] = await elsewhere(rows, people.acme.pk)
    assert row.ended_at is not None and (row.ended_with, row.changes) == (None, 1)

    # One without a name is given one; one that we close says with what; another workspace sees none of them.
    other = Page(browsers["theo"], "test-words", client="<script>")
    assert await other.open()
    process.sockets.close(user_group(people.theo.pk), SESSION_OVER)
    await other.until(lambda seen: seen.closed_with == SESSION_OVER)
    await written(process)
    second = (await elsewhere(rows, people.acme.pk))[1]
    assert second.ended_with == SESSION_OVER and second.client == second.public_id.hex
    assert await elsewhere(rows, people.globex.pk) == []


async def test_a_record_that_cannot_be_written_costs_no_client_its_socket(
    process: Hub, browsers: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(*args: Any, **kwargs: Any) -> None:
        raise OperationalError("the database is away")

    monkeypatch.setattr(StreamSession, "save", silent)
    page = Page(browsers["theo"], "test-words")
    assert await page.open()
    await page.until(lambda seen: "test-words" in seen.regions)
    await page.leave()
    await written(process)
    assert process.recorder._keys == process.recorder._wanted == {}


async def test_records_are_let_go_after_their_days(process: Hub, people: Cast) -> None:
    def two() -> int:
        now = utc_now()
        with acting_for(people.acme.pk):
            for days in (29, 31):
                opened = now - timedelta(days=days)
                StreamSession.objects.create(tenant=people.acme, user=people.theo, client="x", opened_at=opened)
        with across_tenants("retention"):
            return retire_streams(now)

    assert await elsewhere(two) == 1
    assert len(await elsewhere(rows, people.acme.pk)) == 1


async def test_how_many_may_listen_is_staff_s_to_say_while_they_do(process: Hub, browsers: dict[str, Any]) -> None:
    def say(name: str, value: int) -> None:
        MarketSetting.objects.update_or_create(name=name, defaults={"value": value, "changed_at": utc_now()})
        adjusting.forget()

    first = Page(browsers["theo"])
    assert await first.open()
    await elsewhere(say, "connections.person", 1)
    assert not await Page(browsers["theo"]).open()
    second = Page(browsers["vera"])
    assert await second.open()
    await elsewhere(say, "connections.process", 2)
    assert not await Page(browsers["gus"]).open()
    await elsewhere(say, "connections.process", 3)
    await elsewhere(say, "connections.prices", 1)
    third = Page(browsers["gus"])
    assert await third.open() and process.quotes.most_each == 1
    for page in (first, second, third):
        await page.leave()
