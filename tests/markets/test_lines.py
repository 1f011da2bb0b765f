"""A feed's connection from its first loss to its return, against a venue that speaks as Kraken does: pauses, ten tries, who is told."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterator

import pytest
from django.core import mail
from django.db import OperationalError
from django.test import override_settings
from django_q.models import OrmQ

from signalist.clock import SystemClock, monotonic
from signalist.domain.backoff import TRIES, pause
from signalist.engine import real_market
from signalist.engine.market_feeds import wanted_of
from signalist.events.models import Event
from signalist.markets.feed_models import FeedSource
from signalist.markets.feed_news import tell_staff
from signalist.markets.service import MarketService
from signalist.venues.kraken import protocol
from signalist.venues.kraken.client import Client
from signalist.venues.kraken.market import KrakenMarket
from signalist.venues.paper.matching_desk import Terms
from tenants.doors import across_tenants
from tenants.models import User
from tests.markets.feed_world import ENGINE, at_once, story, until
from tests.venues.kraken_bench import LISTED
from tests.venues.kraken_server.server import Server, serving

pytestmark = pytest.mark.django_db
PACE = 0.02


@pytest.fixture(autouse=True)
def door(db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The tests' door, in the loop's own thread."""
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
    with across_tenants("tests"):
        yield


async def away(_: Callable[[], object]) -> object:
    """A database that is away."""
    raise OperationalError("the server is away")


@story
async def test_a_lost_stream_is_tried_at_once_then_ever_more_slowly_and_after_ten_tries_somebody_is_told() -> None:
    User.objects.create_user("ops@example.com", "x", is_staff=True)
    clock = SystemClock()
    server = Server(LISTED, Terms(), protocol.TIERS["starter"], clock.now)
    real_market.instruments()

    async def rows_written(service: MarketService) -> FeedSource:
        service.due_now("rows")
        await service.turn()
        return FeedSource.objects.get(code="kraken")

    async with serving(server, beat=0.02) as address:
        source = KrakenMarket(Client(clock, base=address), address.replace("http", "ws") + "/v2")
        service = MarketService(source, clock, at_once, ENGINE, lambda: wanted_of("kraken"))
        try:
            await service.turn()
            (line,) = service.lines().values()
            line.pace = PACE
            channels = {("ticker", "BTC/USD", 0), ("ohlc", "BTC/USD", 1), ("instrument", "", 0)}
            await until(lambda: any(channels <= each.channels for each in server.streams.all), "it is subscribed")
            before = server.streams.opened
            server.streams.closed_to_all, lost_at = True, monotonic()
            await server.streams.drop()
            tried: list[float] = []

            async def watched() -> None:
                while len(tried) < TRIES + 1:
                    if server.streams.opened > before + len(tried):
                        tried.append(monotonic())
                    await asyncio.sleep(0.001)

            await asyncio.wait_for(watched(), 20)
            # Never sooner than it should be; how much later is the machine's doing.
            assert tried[0] - lost_at < 1
            wanted = [pause(number, line.name) for number in range(1, TRIES + 1)]
            assert [round(each) for each in wanted[:5]] == [1, 2, 4, 8, 15] and max(wanted) <= 30
            assert len({round(each % 1, 3) for each in wanted}) > 5, "each has a jitter of its own"
            due = [lost_at + each * PACE for each in itertools.accumulate(wanted)]
            assert all(at >= least for at, least in zip(tried[1:], due, strict=False)), (tried, due)
            assert line.has_failed
            database, service._database = service._database, away
            with pytest.raises(OperationalError):
                await service._keep_rows()
            service._database = database
            failed = await rows_written(service)
            assert failed.standing == "failed" and Event.objects.filter(kind="feed_failed").count() == 1
            await rows_written(service)
            assert OrmQ.objects.count() == 1, "told once"
            # It is tried on, and everything is subscribed anew.
            server.streams.closed_to_all = False
            await until(lambda: any(channels <= each.channels for each in server.streams.all), "it is back")
            await until(lambda: line.is_open, "and heard")
            assert (await rows_written(service)).standing == "open" and OrmQ.objects.count() == 2
        finally:
            await service.stop()
    for job in OrmQ.objects.order_by("pk"):
        assert job.task["ack_failure"] is False, "a job that breaks is tried again"
        refusing = override_settings(EMAIL_BACKEND="django.core.mail.backends.smtp.EmailBackend", EMAIL_PORT=1)
        with refusing, pytest.raises(ConnectionRefusedError):
            tell_staff(*job.task["args"])
        assert tell_staff(*job.task["args"]) == "told: 1 people"
        assert tell_staff(*job.task["args"]) == "nobody is left to be told"
    assert [(each.to, each.subject.partition("the ")[2]) for each in mail.outbox] == [
        (["ops@example.com"], "feed from Kraken has failed"),
        (["ops@example.com"], "feed from Kraken is back"),
    ]
    assert "/markets/feeds/" in mail.outbox[0].body
