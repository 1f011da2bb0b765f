"""The lasting engine in this process: what it does when the database fails for a while, and how it catches up."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import OperationalError, connection, connections
from django.test.utils import CaptureQueriesContext

from signalist.accounts.models import Account, PaperAccount
from signalist.clock import ReplayClock, SystemClock, utc_now
from signalist.db.wakes import wakes
from signalist.domain.synthetic import TEN_SECONDS
from signalist.engine import database as database_module
from signalist.engine import live as live_module
from signalist.engine.database import Database
from signalist.engine.live import LiveEngine
from signalist.engine.market import SyntheticMarket
from signalist.execution import engines
from signalist.execution.models import EngineProcess
from signalist.markets import feeds, synthetic
from signalist.markets.models import Candle
from tenants.doors import across_tenants
from tests.cast import Cast
from tests.engine.outages import begin, end, outage
from tests.live.pages import elsewhere, eventually

NOON = datetime(2024, 5, 6, 12, 0, tzinfo=UTC)


class TestHeartbeat:
    """An engine that does not show that it lives is taken over while it trades on."""

    @pytest.fixture
    async def at_work(self, transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> LiveEngine:
        """An engine that beats often, once it runs."""
        monkeypatch.setattr(live_module, "HEARTBEAT_EVERY", 0.05)
        return LiveEngine(SystemClock())

    @pytest.fixture
    async def running(self, at_work: LiveEngine) -> AsyncIterator[asyncio.Task[None]]:
        """That engine, at work."""
        engine = at_work
        task = asyncio.create_task(engine.run())
        yield task
        engine.stop()
        await asyncio.gather(task, return_exceptions=True)
        wakes.clear()
        await sync_to_async(connections.close_all)()

    async def test_it_goes_on_after_the_database_was_away(self, running: asyncio.Task[None]) -> None:
        before = utc_now()
        assert await _seen_after(before)
        await elsewhere(begin, "execution_engineprocess", "UPDATE OF seen_at")
        await asyncio.sleep(1.5)  # longer than one beat is tried again
        await elsewhere(end)
        assert await _seen_after(utc_now()), "it has given up showing that it lives"
        assert not running.done()

    async def test_it_goes_on_beside_a_long_unit_and_ends_with_one_that_hangs(
        self, at_work: LiveEngine, running: asyncio.Task[None], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert await _seen_after(utc_now())
        assert await _seen_after(utc_now()), "the first time it may only have entered the list of engines"
        over = threading.Event()
        unit = asyncio.create_task(at_work.engine.database(lambda: over.wait(20)))
        try:
            await asyncio.sleep(0.2)
            beside = connection.vendor == "postgresql"
            assert await _seen_after(utc_now(), 4.0 if beside else 0.3) is beside, "on SQLite the one writer is at work"
            monkeypatch.setattr(database_module, "STUCK_AFTER", 0.0)
            quiet = [not await _seen_after(utc_now(), 0.3) for _ in range(5)]
            assert any(quiet), "who hangs is taken over from"
            if beside:
                assert await elsewhere(lambda: EngineProcess.objects.filter(ended_at__isnull=False).exists()), "at once"
        finally:
            over.set()
        assert await unit
        assert await _seen_after(utc_now())

    @pytest.mark.postgresql
    async def test_an_engine_that_cannot_beat_for_another_reason_does_not_work_on(
        self, running: asyncio.Task[None]
    ) -> None:
        assert await _seen_after(utc_now())
        await elsewhere(_rename, "seen_at", "seen_then")
        try:
            await eventually(running.done)
            assert running.exception() is not None
        finally:
            await elsewhere(_rename, "seen_then", "seen_at")


async def _seen_after(moment: datetime, seconds: float = 4.0) -> bool:
    """Whether an engine shows that it lives within so many seconds."""
    for _ in range(int(seconds / 0.05)):
        if await elsewhere(lambda: EngineProcess.objects.filter(seen_at__gt=moment).exists()):
            return True
        await asyncio.sleep(0.05)
    return False


def _rename(old: str, new: str) -> None:
    with across_tenants("tests"), connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE execution_engineprocess RENAME COLUMN {old} TO {new}")


@pytest.fixture
def engine(transactional_db: None) -> Any:
    """An engine that is not running, and nobody else's."""
    made = LiveEngine(ReplayClock(NOON))  # type: ignore[arg-type]
    yield made
    made.engine.strategies.close()
    made._database.close()


def test_news_that_could_not_be_read_to_the_end_are_news_the_next_time(engine: LiveEngine) -> None:
    with across_tenants("tests"):
        instruments = synthetic.instruments()
        feeds.take_prices([feeds.Price(one.pk, Decimal(100), NOON) for one in instruments.values()])
        with outage("accounts_paperdesk"), pytest.raises(OperationalError):
            engine._paper.news()
        _, ticks = engine._paper.news()
        assert {tick.symbol for tick in ticks} == set(instruments)
        assert engine._paper.news() == ([], [])


def test_what_asks_for_accounts_to_open_does_not_grow_with_those_that_are_open(engine: LiveEngine, cast: Cast) -> None:
    def asked(count: int) -> int:
        """Opens so many accounts more; how long the statements are that find nothing to open then."""
        with across_tenants("tests"):
            known = Account.objects.count()
            for n in range(known, known + count):
                Account.objects.create(
                    tenant=cast.acme, name="Paper", venue="paper", venue_ref=f"ref-{n}", currency="USD", deposit=100
                )
            engine._paper.open_accounts()
            with CaptureQueriesContext(connection) as captured:
                engine._paper.open_accounts()
        return sum(len(query["sql"]) for query in captured)

    first = asked(1)
    assert asked(20) == first
    assert PaperAccount.objects.count() == 21


def test_a_long_gap_is_filled_a_little_at_each_turn(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("signalist.engine.market.AT_A_TURN", 0.0)
    database, clock = Database(), ReplayClock(NOON)
    market = SyntheticMarket(clock, database)

    async def turns() -> list[bool]:
        """Whether the market is behind after each turn, until it has nothing more to tell."""
        entry = await database(lambda: engines.register(SystemClock()))
        await market.move(entry)
        clock.advance_to(NOON + timedelta(minutes=17))
        behind = []
        while await market.move(entry):
            behind.append(market.is_behind)
        return behind

    try:
        assert asyncio.run(turns()) == [True, True, True, False]
    finally:
        database.close()
    closes = Candle.objects.filter(timeframe="10s", instrument__symbol="AUR/USD").values_list("close_time", flat=True)
    assert set(closes) == {NOON + n * TEN_SECONDS.length for n in range(1, 17 * 6 + 1)}
