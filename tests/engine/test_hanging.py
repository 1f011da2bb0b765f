"""An engine that hangs or is frozen: how long it shows that it lives, and how long it holds rows."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import pytest
from django.db import OperationalError, connection, connections, transaction

from signalist.clock import SystemClock, monotonic
from signalist.db import connections as settings_of
from signalist.engine import database as database_module
from signalist.engine import live
from signalist.engine.database import STUCK_AFTER, Database, behind_the_door


async def test_what_an_engine_holds_whose_database_thread_hangs_is_for_others_within_ten_seconds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    database, now, tries = Database(), 100.0, list[bool]()
    monkeypatch.setattr(database_module, "monotonic", lambda: now)
    monkeypatch.setattr(database_module, "RETRY_AFTER", 0.0)

    def unit() -> bool:
        """Waits for a lock in vain, and hangs at the second try."""
        nonlocal now
        now += 4.0 if not tries else STUCK_AFTER
        tries.append(database.is_stuck)
        if len(tries) == 1:
            raise OperationalError("canceling statement due to lock timeout")
        now += 0.1
        return database.is_stuck

    assert not database.is_stuck
    assert await database(unit) is True
    assert tries == [False, False], "each try has its own time"
    assert not database.is_stuck
    database.close()
    found_out = STUCK_AFTER + live.HANGS_EVERY
    assert found_out + live.TAKE_OVER_EVERY + live.POLL_EVERY < 8, "and then it is taken"
    assert settings_of.STILL_FOR / 1000 <= STUCK_AFTER, "nor does it hold their rows longer"
    assert settings_of.STATEMENT_WITHIN / 1000 <= STUCK_AFTER, "whatever it does"
    assert settings_of.LOCK_WITHIN / 1000 < STUCK_AFTER, "nor is waiting for a lock to hang"


async def test_an_engine_that_was_merely_slow_shows_soon_that_it_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "HANGS_EVERY", 0.02)
    monkeypatch.setattr(live, "HEARTBEAT_EVERY", 60.0)
    engine, shown = live.LiveEngine(SystemClock()), asyncio.Event()

    async def heartbeat() -> None:
        if not engine._database.is_stuck:
            shown.set()

    monkeypatch.setattr(engine.engine, "heartbeat", heartbeat)
    engine._database._begun = monotonic() - STUCK_AFTER - 1
    beating = asyncio.create_task(engine._beat())
    await asyncio.sleep(0.05)
    assert not shown.is_set()
    engine._database._begun = None
    await asyncio.wait_for(shown.wait(), 2.0)
    beating.cancel()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Connections as an engine has them, but with less patience."""
    monkeypatch.setattr(settings_of, "STILL_FOR", 200)
    monkeypatch.setattr(settings_of, "STATEMENT_WITHIN", 200)
    settings = connections.settings["default"]
    before, settings["OPTIONS"] = settings["OPTIONS"], dict(settings["OPTIONS"])
    settings_of.no_waiting_for_ever()
    yield
    settings["OPTIONS"] = before
    connection.close()


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("impatient")
def test_a_transaction_that_stands_still_is_lost_and_its_unit_repeated() -> None:
    tries = []

    def unit() -> tuple[str, str]:
        tries.append(1)
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SHOW lock_timeout")
            (patience,) = cursor.fetchone()
            if len(tries) == 1:
                time.sleep(0.6)  # frozen, as it were
            cursor.execute("SELECT 'whole'")
            return patience, cursor.fetchone()[0]

    assert behind_the_door(unit) == ("3s", "whole")
    assert len(tries) == 2


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("impatient")
def test_a_statement_that_is_merely_slow_comes_to_its_end_and_the_next_has_no_more_time_than_any() -> None:
    tries = []

    def unit() -> str:
        tries.append(1)
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(0.3)")
            cursor.execute("SHOW statement_timeout")
            return str(cursor.fetchone()[0])

    def settings() -> dict[str, str]:
        with connection.cursor() as cursor:
            cursor.execute("SELECT name, setting FROM pg_settings WHERE name LIKE '%%timeout' OR name LIKE 'tcp%%'")
            return dict(cursor.fetchall())

    assert behind_the_door(unit) == "400ms"
    assert len(tries) == 2
    bound = behind_the_door(settings)
    assert (bound["statement_timeout"], bound["idle_in_transaction_session_timeout"]) == ("200", "200")
    said = connection.get_connection_params()
    assert (said["keepalives_idle"], said["keepalives_count"], said["tcp_user_timeout"]) == (2, 2, 6000)
