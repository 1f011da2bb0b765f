"""PostgreSQL cuts every connection, or is started again, while a signal is on its way to many: nothing is lost, nothing happens twice,
and the engine goes on by itself.

The server is made to start again by killing one of its processes: it ends all others, recovers from its log and takes connections anew.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.db import OperationalError, connection

from signalist.execution.models import EngineProcess
from signalist.trading.models import Execution, Order, Position
from tenants.doors import across_tenants
from tests.flows.loopback_stage import Stage

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgresql]

MOMENTS = {
    "decided": lambda: Execution.objects.exclude(status="PENDING").exists(),
    "claimed": lambda: Order.objects.exclude(status="CREATED").exists(),
    "entered": lambda: Order.objects.filter(leg="ENTRY").exclude(status__in=["CREATED", "SENDING"]).exists(),
    "protected": lambda: Order.objects.filter(leg="STOP").exists(),
    "filled": Position.objects.exists,
}


@pytest.fixture
def subscribers() -> int:
    """Enough for a fan-out to be in the middle of."""
    return 60


@contextmanager
def commits_on_record() -> Iterator[None]:
    """The server of the tests answers commits before they are on record; one that is to survive its own death must not."""
    name = connection.settings_dict["NAME"]
    with across_tenants("tests"), connection.cursor() as cursor:
        cursor.execute(f'ALTER DATABASE "{name}" SET synchronous_commit = on')
    try:
        yield
    finally:
        connection.close()
        with across_tenants("tests"), connection.cursor() as cursor:
            cursor.execute(f'ALTER DATABASE "{name}" RESET synchronous_commit')


def cut_all() -> None:
    """Every connection to the database but our own is cut."""
    with across_tenants("tests"), connection.cursor() as cursor:
        cursor.execute(
            "SELECT COUNT(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        assert cursor.fetchone()[0] >= 1


def start_anew() -> None:
    """The server dies and starts again."""
    with across_tenants("tests"), connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid(), pg_postmaster_start_time()")
        backend = cursor.fetchone()[0]
    os.kill(backend, signal.SIGKILL)
    deadline = time.monotonic() + 30
    while True:
        connection.close()
        try:
            connection.ensure_connection()
        except OperationalError:
            assert time.monotonic() < deadline, "the server does not come back"
            time.sleep(0.02)
        else:
            return


def shut_for_long() -> None:
    """Nobody can connect for longer than a unit of work is tried again."""
    name = connection.settings_dict["NAME"]
    with across_tenants("tests"), connection.cursor() as cursor:
        cursor.execute(f'ALTER DATABASE "{name}" CONNECTION LIMIT 0')
        try:
            cut_all()
            time.sleep(2.5)
        finally:
            cursor.execute(f'ALTER DATABASE "{name}" CONNECTION LIMIT -1')


def told(stage: Stage, moment: str, what: object) -> None:
    """A signal for many; at this moment the database does `what`."""
    engine = stage.start()
    stage.settle()
    stage.candle(40)
    with across_tenants("tests"):
        stage.wait(MOMENTS[moment], moment, tend=False)
    what()  # type: ignore[operator]
    stage.settle()
    assert not stage.ended(engine), "it goes on by itself"
    assert EngineProcess.objects.count() == 1
    stage.check()
    assert stage.lost() == set()


@pytest.mark.soak
@pytest.mark.parametrize("moment", MOMENTS)
def test_every_connection_is_cut_while_a_signal_is_on_its_way(moment: str, stage: Stage) -> None:
    told(stage, moment, cut_all)


def test_an_engine_works_on_after_the_database_was_shut_for_longer_than_it_tries_again(stage: Stage) -> None:
    told(stage, "claimed", shut_for_long)
    assert "engine_turn_failed" in stage.said()


@pytest.mark.soak
@pytest.mark.parametrize("moment", MOMENTS)
def test_the_server_starts_anew_while_a_signal_is_on_its_way(moment: str, stage: Stage) -> None:
    with commits_on_record():
        told(stage, moment, start_anew)
